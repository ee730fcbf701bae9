// octroi/crypto/kdf.h: keys from passwords, made slow and memory-hungry on purpose: Argon2id (RFC
// 9106) for what octroi writes, scrypt (RFC 7914) for reading what others wrote.
//
// Errors   bad_parameters when a cost is outside the ranges below (files from outside carry their
//          own costs: an absurd one must not take the machine down), unavailable when memory runs
//          out.
// Thread   pure, but takes up to seconds: never on a loop thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "octroi/base/bytes.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/errors.h"

namespace octroi::crypto {

inline constexpr std::size_t kArgon2SaltSize = 16;

struct Argon2Cost {
  std::uint32_t passes = 3;               // 1 to 64
  std::uint32_t memory_kib = 256 * 1024;  // 8 KiB to 1 GiB; parallelism is always 1
};
/// `salt` is 16 random bytes; `length` is 16 to 64.
[[nodiscard]] Result<Secret> argon2id(const Secret& password, ByteView salt, Argon2Cost cost = {},
                                      std::size_t length = 32);

struct ScryptCost {
  std::uint64_t n = 1 << 17;  // a power of two over 1
  std::uint32_t r = 8;
  std::uint32_t p = 1;  // 128 * n * r bytes at most 1 GiB, r * p under 2^30, p at most 64
};
/// `length` is 16 to 64.
[[nodiscard]] Result<Secret> scrypt(const Secret& password, ByteView salt, ScryptCost cost = {},
                                    std::size_t length = 32);

}  // namespace octroi::crypto
