// octroi/crypto/hkdf.h: HKDF with SHA-256 (RFC 5869): many independent keys from one secret.
//
// `info` names what the key is for ("octroi l402 root v1"): two names never give related keys.
// Errors   bad_parameters when `length` is 0 or over 8160 (255 blocks, RFC 5869 section 2.3).
// Thread   pure, any thread.
#pragma once

#include <cstddef>

#include "octroi/base/bytes.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/errors.h"

namespace octroi::crypto {

inline constexpr std::size_t kHkdfMaxLength = 255 * 32;

[[nodiscard]] Result<Secret> hkdf_sha256(const Secret& input_key, ByteView salt, ByteView info,
                                         std::size_t length = 32);

/// The two halves of HKDF, for protocols that keep the extracted key (NIP-44).
[[nodiscard]] Secret hkdf_extract(ByteView salt, const Secret& input_key);
[[nodiscard]] Result<Secret> hkdf_expand(const Secret& extracted, ByteView info,
                                         std::size_t length = 32);

}  // namespace octroi::crypto
