// octroi/http/char_class.h: which bytes may stand where in a message. Internal to http.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <tmmintrin.h>

namespace octroi::http {

namespace detail {
enum CharClass : std::uint8_t {
  kTokenChar = 1,   // RFC 9110 section 5.6.2
  kTargetChar = 2,  // what we accept in a request target
  kHostChar = 4,    // of a name or an IPv4 address
  kHexChar = 8,
};

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  auto mark = [&table](std::string_view chars, std::uint8_t c) {
    for (const char ch : chars) {
      auto& entry = table[static_cast<unsigned char>(ch)];
      entry = static_cast<std::uint8_t>(entry | c);
    }
  };
  constexpr std::string_view kAlnum =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  mark(kAlnum, kTokenChar | kTargetChar | kHostChar);
  mark("!#$%&'*+-.^_`|~", kTokenChar);
  // Visible ASCII but what opens a fragment, what some servers take for '/', and '<' '>'.
  mark("!\"$%&'()*+,-./:;=?@[]^_`{|}~", kTargetChar);
  mark("-._", kHostChar);
  mark("0123456789abcdefABCDEF", kHexChar);
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_classes();

/// The class as two tables of sixteen: a byte belongs to it when the entries of its low and of its
/// high half share a bit, so that sixteen bytes are looked up at once.
struct NibbleTables {
  alignas(16) std::array<std::uint8_t, 16> low{};
  alignas(16) std::array<std::uint8_t, 16> high{};
};
constexpr NibbleTables make_nibbles(CharClass which) {
  NibbleTables tables;
  for (unsigned c = 0; c < 128; ++c) {
    if ((kCharClasses[c] & which) == 0) continue;
    auto& entry = tables.low[c & 0x0f];
    entry = static_cast<std::uint8_t>(entry | (1U << (c >> 4)));
  }
  for (unsigned h = 0; h < 8; ++h) tables.high[h] = static_cast<std::uint8_t>(1U << h);
  return tables;
}
template <CharClass which>
inline constexpr NibbleTables kNibbles = make_nibbles(which);

/// A bit for each of the sixteen bytes at `p` that is not of the class.
[[nodiscard]] inline unsigned not_of_class(const char* p, const NibbleTables& tables) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i half = _mm_set1_epi8(0x0f);
  const auto* low = reinterpret_cast<const __m128i*>(tables.low.data());
  const auto* high = reinterpret_cast<const __m128i*>(tables.high.data());
  const __m128i by_low = _mm_shuffle_epi8(_mm_load_si128(low), _mm_and_si128(bytes, half));
  const __m128i by_high =
      _mm_shuffle_epi8(_mm_load_si128(high), _mm_and_si128(_mm_srli_epi16(bytes, 4), half));
  const __m128i none = _mm_cmpeq_epi8(_mm_and_si128(by_low, by_high), _mm_setzero_si128());
  return static_cast<unsigned>(_mm_movemask_epi8(none));
}

/// A bit for each of the sixteen bytes at `p` that is a control character, tab among them.
[[nodiscard]] inline unsigned controls(const char* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(low, del)));
}

constexpr std::array<char, 256> make_lower() {
  std::array<char, 256> table{};
  for (unsigned i = 0; i < table.size(); ++i) {
    table[i] = static_cast<char>(i >= 'A' && i <= 'Z' ? i + ('a' - 'A') : i);
  }
  return table;
}
inline constexpr std::array<char, 256> kLower = make_lower();
}  // namespace detail

[[nodiscard]] inline bool is_class(char c, detail::CharClass which) noexcept {
  return (detail::kCharClasses[static_cast<unsigned char>(c)] & which) != 0;
}
[[nodiscard]] inline bool all_class(std::string_view text, detail::CharClass which) noexcept {
  for (const char c : text) {
    if (!is_class(c, which)) return false;
  }
  return true;
}
/// How many characters of the class [begin, end) begins with. The bytes up to `readable` may be
/// read too.
template <detail::CharClass which>
[[nodiscard]] std::size_t class_length(const char* begin, const char* end,
                                       const char* readable) noexcept {
  const char* p = begin;
  while (p < end && readable - p >= 16) {
    const unsigned others = detail::not_of_class(p, detail::kNibbles<which>);
    if (others != 0) {
      p += std::countr_zero(others);
      break;
    }
    p += 16;
  }
  while (p < end && is_class(*p, which)) ++p;
  return static_cast<std::size_t>(std::min(p, end) - begin);
}
/// ASCII lower case.
[[nodiscard]] inline char lower(char c) noexcept {
  return detail::kLower[static_cast<unsigned char>(c)];
}

/// Whether `text`, which has no control characters, equals `lower_text` (of a-z, 0-9 and '-') but
/// for ASCII case: setting one bit lowers letters, and turns nothing else that may stand there into
/// one of those.
[[nodiscard]] inline bool equals_lower(std::string_view text,
                                       std::string_view lower_text) noexcept {
  const std::size_t size = lower_text.size();
  if (text.size() != size) return false;
  const auto same8 = [&](std::size_t at) {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, text.data() + at, 8);
    std::memcpy(&b, lower_text.data() + at, 8);
    return (a | 0x2020202020202020U) == b;
  };
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      if (!same8(at)) return false;
    }
    return same8(size - 8);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if ((text[i] | 0x20) != lower_text[i]) return false;
  }
  return true;
}

/// Whether a byte of [begin, end) may not stand in a field value. The bytes from `readable` up to
/// begin may be read too and must be free of controls themselves: so a short value costs one
/// comparison.
[[nodiscard]] inline bool has_control(const char* begin, const char* end,
                                      const char* readable) noexcept {
  const auto any = [](const char* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)) != 0;
  };
  if (begin == end) return false;
  if (end - readable >= 16) {
    for (const char* p = begin; end - p > 16; p += 16) {
      if (any(p)) return true;
    }
    return any(end - 16);
  }
  for (const char* p = begin; p != end; ++p) {
    const auto u = static_cast<unsigned char>(*p);
    if ((u < 0x20 && u != '\t') || u == 0x7f) return true;
  }
  return false;
}

/// Calls `each(token)` for every non-empty member of a comma-separated list, spaces trimmed; stops
/// when it returns false.
template <class Each>
void for_each_member(std::string_view list, Each each) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view member = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t'))
      member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t'))
      member.remove_suffix(1);
    if (!member.empty() && !each(member)) return;
  }
}

}  // namespace octroi::http
