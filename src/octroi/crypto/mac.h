// octroi/crypto/mac.h: hashes and HMACs (FIPS 180-4, RFC 2104) whose algorithm is chosen at run
// time, for interfaces of others that name one in their documentation. What octroi authenticates
// itself uses octroi/crypto/hash.h, which is faster and knows SHA-256 only.
//
// SHA-1 is for HMACs of old interfaces; as a hash alone it protects nothing.
// Errors   none. Secrets: intermediate states are wiped by the library.
// Thread   pure. Allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "octroi/base/bytes.h"

namespace octroi::crypto {

enum class HashName : std::uint8_t { sha1, sha256, sha384, sha512 };
/// "sha1", "sha256", "sha384", "sha512".
[[nodiscard]] std::string_view to_string(HashName name);
[[nodiscard]] std::optional<HashName> hash_from_string(std::string_view text);

[[nodiscard]] Bytes hash(HashName name, ByteView data);
/// Keys of any length.
[[nodiscard]] Bytes hmac(HashName name, ByteView key, ByteView message);

}  // namespace octroi::crypto
