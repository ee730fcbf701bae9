// octroi/base/bytes.h: byte strings and their text forms: hex, base64, base64url.
//
// Decoding is strict: a character outside the alphabet, a line break, a wrong length or non-zero
// bits in the last character is an error, because two texts of one value would let a signed or
// hashed text be changed without changing what it means. Padding is accepted where it is right.
// Thread: pure, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"

namespace octroi {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

enum class BytesErrc : std::uint8_t {
  bad_hex,     // odd length or a character that is not a hex digit
  bad_base64,  // wrong alphabet, padding, length or tail bits
  bad_length,  // decoded well, but not to the length asked for
};
ErrorInfo error_info(BytesErrc e);

[[nodiscard]] inline ByteView as_bytes(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

/// Lower-case hex.
[[nodiscard]] std::string to_hex(ByteView bytes);

enum class HexCase : std::uint8_t {
  any,
  lower
};  // `lower` refuses A-F, as the Lightning drafts do for preimages
[[nodiscard]] Result<Bytes> from_hex(std::string_view text, HexCase which = HexCase::any);

/// Decodes exactly out.size() bytes.
[[nodiscard]] Result<> from_hex_into(std::string_view text, std::span<std::uint8_t> out,
                                     HexCase which = HexCase::any);

template <std::size_t N>
[[nodiscard]] Result<std::array<std::uint8_t, N>> from_hex_exact(std::string_view text,
                                                                 HexCase which = HexCase::any) {
  std::array<std::uint8_t, N> out{};
  OCTROI_CHECK(from_hex_into(text, out, which));
  return out;
}

/// RFC 4648 section 5, no padding.
[[nodiscard]] std::string to_base64url(ByteView bytes);
/// RFC 4648 section 4, padded.
[[nodiscard]] std::string to_base64(ByteView bytes);

/// Accepts the url alphabet, with or without correct padding.
[[nodiscard]] Result<Bytes> from_base64url(std::string_view text);
/// Accepts the standard alphabet, with or without correct padding.
[[nodiscard]] Result<Bytes> from_base64(std::string_view text);
/// Accepts either alphabet (never mixed), for macaroons, which clients send in both.
[[nodiscard]] Result<Bytes> from_base64_any(std::string_view text);

/// Upper bound of the decoded size, to refuse an encoded text before any memory is spent on it.
[[nodiscard]] constexpr std::size_t base64_decoded_bound(std::size_t encoded) {
  return encoded / 4 * 3 + 3;
}

}  // namespace octroi
