// octroi/crypto/aead.h: AES-256-GCM (NIST SP 800-38D): bytes nobody can read or change unseen.
//
// Shape    sealed = 12-byte random nonce, ciphertext, 16-byte tag. 28 bytes longer than the plain
// text. Limits   random nonces: replace a key before it has sealed 2^32 messages; 64 MiB a message.
// Errors   bad_key (not 32 bytes), bad_ciphertext (any change of nonce, text, tag or associated
//          data), bad_parameters (too long).
// Thread   const operations, any thread.
#pragma once

#include <cstddef>

#include "octroi/base/bytes.h"
#include "octroi/base/random.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/errors.h"

namespace octroi::crypto {

inline constexpr std::size_t kAeadKeySize = 32;
inline constexpr std::size_t kAeadNonceSize = 12;
inline constexpr std::size_t kAeadTagSize = 16;
inline constexpr std::size_t kAeadOverhead = kAeadNonceSize + kAeadTagSize;
inline constexpr std::size_t kAeadMaxPlain = std::size_t{64} << 20;

class AeadKey {
 public:
  [[nodiscard]] static Result<AeadKey> from_secret(Secret key);

  /// `associated` is authenticated but not stored: give the same bytes to open(), such as the name
  /// of the row, so that a sealed value cannot be moved to another row.
  [[nodiscard]] Result<Bytes> seal(ByteView plain, ByteView associated, Random& random) const;
  [[nodiscard]] Result<Bytes> seal(const Secret& plain, ByteView associated, Random& random) const {
    return seal(plain.reveal(), associated, random);
  }
  [[nodiscard]] Result<Secret> open(ByteView sealed, ByteView associated) const;

 private:
  explicit AeadKey(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

}  // namespace octroi::crypto
