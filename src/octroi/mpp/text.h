// octroi/mpp/text.h: small things that the codecs of this module share. Internal to octroi/mpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp::detail {

[[nodiscard]] constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] constexpr bool is_alpha(char c) noexcept {
  return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}
[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
/// RFC 9110 section 5.6.2.
[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
  return is_alpha(c) || is_digit(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
[[nodiscard]] constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;
/// The base64url alphabet with padding at most at the end; not whether it decodes.
[[nodiscard]] bool looks_like_base64url(std::string_view text) noexcept;

/// base64url of a text.
[[nodiscard]] inline std::string encode(std::string_view text) {
  return to_base64url(as_bytes(text));
}
/// Decodes base64url and parses the JSON object in it; `what` and `code` make the error. Refuses a
/// decoded size beyond `max_bytes` before decoding.
[[nodiscard]] Result<json::Document> decode_object(std::string_view base64url,
                                                   std::size_t max_bytes, Errc code,
                                                   std::string_view what, bool sensitive = false);

}  // namespace octroi::mpp::detail
