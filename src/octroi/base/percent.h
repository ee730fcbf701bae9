// octroi/base/percent.h: percent-encoding, RFC 3986 section 2.1, for any choice of what stays.
//
//   percent_encoded("a b/ü", is_unreserved)        "a%20b%2F%C3%BC"
//
// Escapes are upper case, which section 6.2.2.1 makes the normal form.  Thread: pure.
#pragma once

#include <string>
#include <string_view>

namespace octroi {

/// RFC 3986 section 2.3.
[[nodiscard]] constexpr bool is_unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/// Every byte of which `stays` says no becomes an escape.
template <class Stays>
[[nodiscard]] std::string percent_encoded(std::string_view text, Stays stays) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (stays(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

}  // namespace octroi
