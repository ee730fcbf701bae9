#include "octroi/base/bytes.h"

#include <cstring>

#include <tmmintrin.h>

namespace octroi {

ErrorInfo error_info(BytesErrc e) {
  switch (e) {
    case BytesErrc::bad_hex:
      return {"base.bad_hex", ErrorKind::invalid};
    case BytesErrc::bad_base64:
      return {"base.bad_base64", ErrorKind::invalid};
    case BytesErrc::bad_length:
      return {"base.bad_length", ErrorKind::invalid};
  }
  return {"base.unknown", ErrorKind::internal};
}

namespace {

constexpr std::uint8_t kBad = 0xff;
using Table = std::array<std::uint8_t, 256>;

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr Table reverse(std::string_view alphabet) {
  Table table{};
  for (auto& entry : table) entry = kBad;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr Table kStandardValues = reverse(kStandard);
constexpr Table kUrlValues = reverse(kUrl);

constexpr std::uint8_t hex_value(char c, HexCase which) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (which == HexCase::any && c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return kBad;
}

bool decode_hex(std::string_view text, std::uint8_t* out, HexCase which) {
  std::uint8_t seen = 0;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const std::uint8_t high = hex_value(text[i], which);
    const std::uint8_t low = hex_value(text[i + 1], which);
    seen |= high | low;
    *out++ = static_cast<std::uint8_t>((high << 4) | (low & 0x0f));
  }
  return seen < 0x10;
}

/// Two characters for every twelve bits.
using Pairs = std::array<std::array<char, 2>, 4096>;
constexpr Pairs make_pairs(std::string_view alphabet) {
  Pairs pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {alphabet[i >> 6], alphabet[i & 63]};
  return pairs;
}
constexpr Pairs kStandardPairs = make_pairs(kStandard);
constexpr Pairs kUrlPairs = make_pairs(kUrl);

std::string encode_base64(ByteView bytes, const Pairs& pairs, bool pad) {
  const std::size_t whole = bytes.size() / 3;
  const std::size_t rest = bytes.size() % 3;
  std::string out(whole * 4 + (rest == 0 ? 0 : pad ? 4 : rest + 1), '=');
  char* to = out.data();
  const std::uint8_t* from = bytes.data();
  const auto put = [&to](const std::array<char, 2>& pair) {
    std::memcpy(to, pair.data(), 2);
    to += 2;
  };
  for (std::size_t i = 0; i < whole; ++i, from += 3) {
    const auto v = static_cast<std::uint32_t>(from[0] << 16 | from[1] << 8 | from[2]);
    put(pairs[v >> 12]);
    put(pairs[v & 4095]);
  }
  if (rest == 0) return out;
  const auto v = static_cast<std::uint32_t>(from[0] << 16 | (rest == 2 ? from[1] << 8 : 0));
  put(pairs[v >> 12]);
  if (rest == 2) *to = pairs[v & 4095][0];
  return out;
}

/// Takes the padding off; false when there is some and it is not what the length calls for.
bool strip_padding(std::string_view& text) {
  if (!text.ends_with('=')) return true;
  if (text.size() % 4 != 0) return false;
  text.remove_suffix(text.ends_with("==") ? 2 : 1);
  return true;  // a third '=' is outside the alphabet and refused by the decoder
}

/// Sixteen characters to twelve bytes (and four of nothing behind them); false when one is not of
/// the alphabet. Each lane is told apart by where its character lies, and the six bits of four
/// neighbours are then moved together.
bool decode_sixteen(const char* text, std::uint8_t* out, char char62, char char63) {
  const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const auto within = [c](char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8(static_cast<char>(first - 1))),
                         _mm_cmplt_epi8(c, _mm_set1_epi8(static_cast<char>(last + 1))));
  };
  const __m128i upper = within('A', 'Z');
  const __m128i lower = within('a', 'z');
  const __m128i digit = within('0', '9');
  const __m128i is62 = _mm_cmpeq_epi8(c, _mm_set1_epi8(char62));
  const __m128i is63 = _mm_cmpeq_epi8(c, _mm_set1_epi8(char63));
  const __m128i known =
      _mm_or_si128(_mm_or_si128(upper, lower), _mm_or_si128(digit, _mm_or_si128(is62, is63)));
  if (_mm_movemask_epi8(known) != 0xffff) return false;
  const auto shift = [](__m128i where, int by) {
    return _mm_and_si128(where, _mm_set1_epi8(static_cast<char>(by)));
  };
  const __m128i by =
      _mm_or_si128(_mm_or_si128(shift(upper, -'A'), shift(lower, 26 - 'a')),
                   _mm_or_si128(shift(digit, 52 - '0'),
                                _mm_or_si128(shift(is62, 62 - char62), shift(is63, 63 - char63))));
  const __m128i six = _mm_add_epi8(c, by);
  const __m128i twelve = _mm_maddubs_epi16(six, _mm_set1_epi16(0x0140));           // a * 64 + b
  const __m128i twenty_four = _mm_madd_epi16(twelve, _mm_set1_epi32(0x00011000));  // ab * 4096 + cd
  const __m128i order = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(twenty_four, order));
  return true;
}

Result<Bytes> decode_base64(std::string_view text, const Table& values, std::string_view alphabet) {
  if (!strip_padding(text)) return fail(BytesErrc::bad_base64);
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return fail(BytesErrc::bad_base64);
  Bytes out(text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1));
  std::size_t at = 0;
  while (text.size() >= 16 && out.size() - at >= 16) {  // sixteen bytes are written, twelve count
    if (!decode_sixteen(text.data(), out.data() + at, alphabet[62], alphabet[63]))
      return fail(BytesErrc::bad_base64);
    text.remove_prefix(16);
    at += 12;
  }
  std::uint32_t bits = 0;
  unsigned have = 0;
  std::uint8_t seen = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<std::uint8_t>(c)];
    seen |= value;
    bits = (bits << 6 | (value & 63U)) & 0xffffU;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[at++] = static_cast<std::uint8_t>(bits >> have);
    }
  }
  const bool tail_is_zero = (bits & ((1U << have) - 1U)) == 0;
  if (seen >= 64 || !tail_is_zero) return fail(BytesErrc::bad_base64);
  return out;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr auto kPairs = [] {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kDigits[i >> 4], kDigits[i & 15]};
    return pairs;
  }();
  std::string out(bytes.size() * 2, '\0');
  char* to = out.data();
  for (const std::uint8_t byte : bytes) {
    std::memcpy(to, kPairs[byte].data(), 2);
    to += 2;
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text, HexCase which) {
  if (text.size() % 2 != 0) return fail(BytesErrc::bad_hex);
  Bytes out(text.size() / 2);
  if (!decode_hex(text, out.data(), which)) return fail(BytesErrc::bad_hex);
  return out;
}

Result<> from_hex_into(std::string_view text, std::span<std::uint8_t> out, HexCase which) {
  if (text.size() % 2 != 0) return fail(BytesErrc::bad_hex);
  if (text.size() != out.size() * 2) return fail(BytesErrc::bad_length);
  if (!decode_hex(text, out.data(), which)) return fail(BytesErrc::bad_hex);
  return {};
}

std::string to_base64url(ByteView bytes) { return encode_base64(bytes, kUrlPairs, false); }
std::string to_base64(ByteView bytes) { return encode_base64(bytes, kStandardPairs, true); }

Result<Bytes> from_base64url(std::string_view text) {
  return decode_base64(text, kUrlValues, kUrl);
}
Result<Bytes> from_base64(std::string_view text) {
  return decode_base64(text, kStandardValues, kStandard);
}

Result<Bytes> from_base64_any(std::string_view text) {
  const bool url = text.find_first_of("-_") != std::string_view::npos;
  return url ? from_base64url(text) : from_base64(text);
}

}  // namespace octroi
