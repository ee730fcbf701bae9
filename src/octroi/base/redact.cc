// The Redactor: cuts registered secrets and the shapes of credentials out of a text.
#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "octroi/base/log.h"
#include "octroi/base/percent.h"

namespace octroi {

namespace {

constexpr std::string_view kCut = "[redacted]";
constexpr std::size_t kShortestSecret = 8;

/// Parts of a text that must go, in order of their begin once sorted.
struct Range {
  std::size_t begin;
  std::size_t end;
};
using Ranges = std::vector<Range>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_alnum(char c) { return is_digit(c) || is_letter(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_base64(char c) {
  return is_alnum(c) || c == '+' || c == '/' || c == '-' || c == '_' || c == '=';
}
bool is_token(char c) { return is_base64(c) || c == '.' || c == '~'; }
bool is_token_list(char c) { return is_base64(c) || c == ',' || c == ':'; }
bool is_key_text(char c) { return is_alnum(c) || c == '_' || c == '-'; }
bool is_space(char c) { return c == ' ' || c == '\t'; }
constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

template <class Predicate>
std::size_t run_end(std::string_view text, std::size_t at, Predicate predicate) {
  while (at < text.size() && predicate(text[at])) ++at;
  return at;
}

/// `word` is lower case.
bool starts_with_word(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[at + i]) != word[i]) return false;
  }
  return true;
}

bool all_hex(std::string_view token) { return std::all_of(token.begin(), token.end(), is_hex); }

/// Long enough, and mixed as no word of a sentence is.
bool looks_encoded(std::string_view token, std::size_t least) {
  if (token.size() < least) return false;
  const bool digit = std::any_of(token.begin(), token.end(), is_digit);
  const bool letter = std::any_of(token.begin(), token.end(), is_letter);
  const bool upper_inside = std::any_of(token.begin() + 1, token.end(), is_upper);
  return (digit && letter) || upper_inside;
}

/// The end of a value: at the closing quote when it opened with one, otherwise at the line's end.
std::size_t value_end(std::string_view text, std::size_t at) {
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
    const char quote = text[at];
    for (std::size_t i = at + 1; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        return i;
      }
    }
    return text.size();
  }
  return std::min(text.find_first_of("\r\n", at), text.size());
}

/// Quotes, also escaped ones of JSON inside a string, and spaces.
bool is_quote_or_space(char c) { return is_space(c) || c == '"' || c == '\'' || c == '\\'; }

/// Past what stands between a label and its value: quotes, spaces and one of ':' and '='. Equal to
/// `at` when there is neither.
std::size_t skip_separator(std::string_view text, std::size_t at) {
  const std::size_t i = run_end(text, at, is_quote_or_space);
  if (i >= text.size() || (text[i] != ':' && text[i] != '=')) return at;
  return run_end(text, i + 1, is_space);
}

/// Header fields whose whole value goes.
constexpr std::array<std::string_view, 6> kHeaders = {
    "authorization", "payment-receipt", "x-api-key", "set-cookie", "cookie", "api-key"};

bool cut_header(std::string_view text, std::size_t at, Ranges& out) {
  for (const std::string_view name : kHeaders) {
    if (!starts_with_word(text, at, name)) continue;
    const std::size_t value = skip_separator(text, at + name.size());
    if (value == at + name.size()) continue;
    const bool quoted = value < text.size() && (text[value] == '"' || text[value] == '\'');
    out.push_back({value + (quoted ? 1 : 0), value_end(text, value)});
    return true;
  }
  return false;
}

/// 32 bytes in hex or base64 count as a preimage only with the word before them: a payment hash
/// looks the same and has to stay.
constexpr std::string_view kPreimage = "preimage";

bool cut_preimage(std::string_view text, std::size_t at, Ranges& out) {
  if (!starts_with_word(text, at, kPreimage)) return false;
  const std::size_t value =
      std::min(text.find_first_not_of("\"'\\: =\t", at + kPreimage.size()), text.size());
  if (value == at + kPreimage.size()) return false;
  const std::size_t end = run_end(text, value, is_base64);
  if (end - value < 43) return false;
  out.push_back({value, end});
  return true;
}

/// `macaroon="…"`, `Macaroon: …`, also as the end of a longer name.
constexpr std::string_view kMacaroon = "macaroon";

bool cut_macaroon_label(std::string_view text, std::size_t at, Ranges& out) {
  if (!starts_with_word(text, at, kMacaroon)) return false;
  std::size_t value = skip_separator(text, at + kMacaroon.size());
  if (value == at + kMacaroon.size()) return false;
  value = run_end(text, value, is_quote_or_space);
  const std::size_t end = run_end(text, value, is_token_list);
  if (!looks_encoded(text.substr(value, end - value), 20)) return false;
  out.push_back({value, end});
  return true;
}

/// An authentication scheme and its credential. Bare hex after "payment" or "L402" is a hash.
struct Scheme {
  std::string_view name;
  bool (*belongs)(char);
  std::size_t least;
  bool hex_is_public;
};
constexpr std::array<Scheme, 6> kSchemes = {{{"payment", is_token, 20, true},
                                             {"l402", is_token_list, 20, true},
                                             {"lsat", is_token_list, 20, true},
                                             {"bearer", is_token, 8, false},
                                             {"basic", is_token, 8, false},
                                             {"dpop", is_token, 20, false}}};

bool cut_scheme(std::string_view text, std::size_t at, Ranges& out) {
  for (const Scheme& scheme : kSchemes) {
    if (!starts_with_word(text, at, scheme.name)) continue;
    const std::size_t after = at + scheme.name.size();
    const std::size_t value = run_end(text, after, is_space);
    if (value == after) return false;
    const std::size_t end = run_end(text, value, scheme.belongs);
    const std::string_view token = text.substr(value, end - value);
    if (scheme.hex_is_public && all_hex(token)) return false;
    if (!looks_encoded(token, scheme.least)) return false;
    out.push_back({value, end});
    return true;
  }
  return false;
}

/// Values that give themselves away by how they begin.
struct Shape {
  std::string_view begin;  // case counts
  bool (*belongs)(char);
  std::size_t least;
};
constexpr std::array<Shape, 11> kShapes = {{
    {"AgE", is_token_list, 40},   // a macaroon (version 2, then a location) and what follows it
    {"AgJ", is_token_list, 40},   // a macaroon without a location
    {"MDA", is_token_list, 60},   // a macaroon of version 1
    {"0201", is_token_list, 80},  // a macaroon in hex; longer than any hash
    {"0202", is_token_list, 80},
    {"eyJ", is_token, 40},  // JSON in base64: a Payment credential, receipt or JWT
    {"vault_live_", is_key_text, 12},
    {"vault_test_", is_key_text, 12},
    {"sk_live_", is_key_text, 12},
    {"sk_test_", is_key_text, 12},
    {"rk_live_", is_key_text, 12},
}};

bool cut_shape(std::string_view text, std::size_t at, Ranges& out) {
  for (const Shape& shape : kShapes) {
    if (!text.substr(at).starts_with(shape.begin)) continue;
    const std::size_t end = run_end(text, at, shape.belongs);
    if (end - at < shape.least) continue;
    out.push_back({at, end});
    return true;
  }
  return false;
}

/// The user part of a URL, which may hold a password.
bool cut_userinfo(std::string_view text, std::size_t at, Ranges& out) {
  if (!text.substr(at).starts_with("://")) return false;
  const std::size_t begin = at + 3;
  const std::size_t end = std::min(text.find_first_of("/?# \t\r\n\"'", begin), text.size());
  const std::size_t host = text.substr(begin, end - begin).rfind('@');
  if (host == std::string_view::npos || host == 0) return false;
  out.push_back({begin, begin + host});
  return true;
}

/// What can begin with a character. With most of them nothing can, and nothing else is looked at.
struct Begins {
  bool label = false;     // of a header, a preimage, a macaroon
  bool value = false;     // a scheme or a shape
  bool userinfo = false;  // of a URL
};
constexpr std::array<Begins, 256> kBegins = [] {
  std::array<Begins, 256> out{};
  const auto in_either_case = [&out](std::string_view word, bool Begins::* what) {
    out[static_cast<std::uint8_t>(word[0])].*what = true;
    out[static_cast<std::uint8_t>(upper(word[0]))].*what = true;
  };
  for (const std::string_view name : kHeaders) in_either_case(name, &Begins::label);
  in_either_case(kPreimage, &Begins::label);
  in_either_case(kMacaroon, &Begins::label);
  for (const Scheme& scheme : kSchemes) in_either_case(scheme.name, &Begins::value);
  for (const Shape& shape : kShapes) out[static_cast<std::uint8_t>(shape.begin[0])].value = true;
  out[static_cast<std::uint8_t>(':')].userinfo = true;
  return out;
}();

bool cut_label(std::string_view text, std::size_t at, Ranges& out) {
  return cut_header(text, at, out) || cut_preimage(text, at, out) ||
         cut_macaroon_label(text, at, out);
}
bool cut_value(std::string_view text, std::size_t at, Ranges& out) {
  return cut_scheme(text, at, out) || cut_shape(text, at, out);
}

void find_shapes(std::string_view text, Ranges& out) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const Begins begins = kBegins[static_cast<std::uint8_t>(text[at])];
    const std::size_t before = out.size();
    // A label may be the end of a longer name (paymentPreimage); values and schemes begin a word.
    const bool cut =
        (begins.label && cut_label(text, at, out)) ||
        (begins.value && (at == 0 || !is_alnum(text[at - 1])) && cut_value(text, at, out));
    if (cut && out[before].end > at) at = out[before].end - 1;
    if (begins.userinfo) cut_userinfo(text, at, out);
  }
}

std::string cut_out(std::string_view text, Ranges ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::string out;
  std::size_t done = 0;
  for (std::size_t i = 0; i < ranges.size();) {
    std::size_t end = ranges[i].end;
    const std::size_t begin = ranges[i].begin;
    for (++i; i < ranges.size() && ranges[i].begin <= end; ++i) end = std::max(end, ranges[i].end);
    if (begin == end) continue;
    out += text.substr(done, begin - done);
    out += kCut;
    done = end;
  }
  out += text.substr(done);
  return out;
}

std::string upper_hex(ByteView bytes) {
  std::string out = to_hex(bytes);
  for (char& c : out) c = upper(c);
  return out;
}

/// The characters of base64 that depend on nothing but the secret when `before` other bytes stand
/// in front of it, as a user name does in Basic credentials.
std::string base64_core(ByteView secret, std::size_t before, bool url) {
  Bytes shifted(before, 0);
  shifted.insert(shifted.end(), secret.begin(), secret.end());
  std::string text = url ? to_base64url(shifted) : to_base64(shifted);
  secure_wipe(shifted.data(), shifted.size());
  const std::size_t first = (before * 8 + 5) / 6;
  const std::size_t last = shifted.size() * 8 / 6;
  std::string core = text.substr(first, last - first);
  secure_wipe(text.data(), text.size());
  return core;
}

}  // namespace

struct Redactor::Impl {
  using Index = std::unordered_multimap<std::uint32_t, Secret>;

  static std::uint32_t key_of(const char* begin) {
    std::uint32_t key = 0;
    std::memcpy(&key, begin, sizeof key);
    return key;
  }
  static std::size_t pair_of(const char* begin) {
    return static_cast<std::size_t>(static_cast<std::uint8_t>(begin[0])) << 8 |
           static_cast<std::uint8_t>(begin[1]);
  }

  void insert(std::string form) {
    if (form.size() >= kShortestSecret) {
      const std::uint32_t key = key_of(form.data());
      const auto [first, last] = needles.equal_range(key);
      const bool known =
          std::any_of(first, last, [&](const auto& entry) { return entry.second.equals(form); });
      if (!known) {
        starts.set(pair_of(form.data()));
        needles.emplace(key, Secret(std::string_view(form)));
      }
    }
    secure_wipe(form.data(), form.size());
  }

  void find(std::string_view text, Ranges& out) const {
    if (needles.empty() || text.size() < kShortestSecret) return;
    for (std::size_t at = 0; at + kShortestSecret <= text.size(); ++at) {
      if (!starts.test(pair_of(text.data() + at))) continue;
      const auto [first, last] = needles.equal_range(key_of(text.data() + at));
      for (auto it = first; it != last; ++it) {
        const std::string_view needle = it->second.reveal_text();
        if (text.substr(at).starts_with(needle)) out.push_back({at, at + needle.size()});
      }
    }
  }

  mutable std::shared_mutex mutex;
  std::bitset<65536> starts;  // the first two bytes of each needle: one test a position
  Index needles;              // by the first four
};

Redactor::Redactor() : impl_(std::make_unique<Impl>()) {}
Redactor::~Redactor() = default;

void Redactor::add(const Secret& secret) { add_text(secret.reveal_text()); }

void Redactor::add_text(std::string_view secret) {
  if (secret.size() < kShortestSecret) return;
  const ByteView bytes = as_bytes(secret);
  const std::unique_lock lock(impl_->mutex);
  impl_->insert(std::string(secret));
  impl_->insert(percent_encoded(secret, is_unreserved));
  impl_->insert(to_hex(bytes));
  impl_->insert(upper_hex(bytes));
  impl_->insert(to_base64(bytes));
  impl_->insert(to_base64url(bytes));
  for (std::size_t before = 0; before < 3; ++before) {
    impl_->insert(base64_core(bytes, before, false));
    impl_->insert(base64_core(bytes, before, true));
  }
}

std::string Redactor::redact(std::string_view text) const {
  Ranges ranges;
  {
    const std::shared_lock lock(impl_->mutex);
    impl_->find(text, ranges);
  }
  find_shapes(text, ranges);
  if (ranges.empty()) return std::string(text);
  return cut_out(text, std::move(ranges));
}

Redactor& redactor() {
  // Never destroyed: what dies after it may still log.
  static auto* const instance = new Redactor;  // NOLINT(cppcoreguidelines-owning-memory)
  return *instance;
}

}  // namespace octroi
