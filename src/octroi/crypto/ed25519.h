// octroi/crypto/ed25519.h: Ed25519 signatures (RFC 8032), the pure form, over whole messages.
//
// Signing is deterministic: a key and a message have one signature. Verifying refuses encodings
// that are not canonical and keys of small order.
//
// Errors   Errc::bad_key when a seed has not 32 bytes; Errc::unavailable when the library cannot
//          start.
// Secrets  the seed is the key; what is expanded from it is wiped.
// Thread   any.
#pragma once

#include <array>
#include <cstdint>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"

namespace octroi::crypto {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

[[nodiscard]] Result<Ed25519PublicKey> ed25519_public_key(const Secret& seed);
[[nodiscard]] Result<Ed25519Signature> ed25519_sign(const Secret& seed, ByteView message);
[[nodiscard]] bool ed25519_verify(const Ed25519PublicKey& key, ByteView message,
                                  const Ed25519Signature& signature);

}  // namespace octroi::crypto
