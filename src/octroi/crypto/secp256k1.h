// octroi/crypto/secp256k1.h: the curve of Bitcoin, Lightning and Nostr: ECDSA with recovery (BOLT
// 11), Schnorr (BIP 340) and the bare shared x coordinate (NIP-44).
//
// Shapes   private key 32 bytes, public key 33 bytes compressed, x-only key 32 bytes, signatures 64
//          bytes (r, s or R.x, s; big-endian). Messages of ECDSA are 32-byte hashes made by the
//          caller.
// Nonces   ECDSA is deterministic (RFC 6979); Schnorr mixes in the caller's 32 random bytes when
// given. Errors   bad_key, bad_signature. Thread   pure, any thread: the library's context is made
// once and only read afterwards.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/random.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/errors.h"
#include "octroi/crypto/hash.h"

namespace octroi::crypto {

using CompactSignature = std::array<std::uint8_t, 64>;
using XOnlyKey = std::array<std::uint8_t, 32>;

/// A point on the curve, always valid but for the default-constructed one, which is all zeros and
/// verifies nothing.
class PublicKey {
 public:
  PublicKey() = default;
  /// 33 bytes starting with 2 or 3.
  [[nodiscard]] static Result<PublicKey> from_bytes(ByteView bytes);
  [[nodiscard]] static Result<PublicKey> from_hex(std::string_view text);

  [[nodiscard]] ByteView bytes() const { return bytes_; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes_); }
  [[nodiscard]] XOnlyKey x_only() const;
  [[nodiscard]] bool empty() const { return bytes_[0] == 0; }
  auto operator<=>(const PublicKey&) const = default;

 private:
  friend class PrivateKey;
  friend struct PublicKeyAccess;
  std::array<std::uint8_t, 33> bytes_{};
};

struct RecoverableSignature {
  CompactSignature compact{};
  std::uint8_t recovery_id = 0;  // 0 to 3
  auto operator<=>(const RecoverableSignature&) const = default;
};

class PrivateKey {
 public:
  /// 32 bytes, not zero and below the group order.
  [[nodiscard]] static Result<PrivateKey> from_bytes(ByteView bytes);
  [[nodiscard]] static Result<PrivateKey> from_secret(const Secret& secret) {
    return from_bytes(secret.reveal());
  }
  [[nodiscard]] static Result<PrivateKey> from_hex(std::string_view text);
  [[nodiscard]] static PrivateKey generate(Random& random);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  /// For storing the key sealed.
  [[nodiscard]] const Secret& secret() const { return secret_; }

  [[nodiscard]] CompactSignature sign(const Sha256Digest& hash) const;
  [[nodiscard]] RecoverableSignature sign_recoverable(const Sha256Digest& hash) const;
  /// BIP 340. Without `aux` the signature is a function of key and message alone.
  [[nodiscard]] CompactSignature sign_schnorr(
      ByteView message, const std::optional<std::array<std::uint8_t, 32>>& aux = {}) const;
  /// The x coordinate of the shared point, not hashed: feed it to a key derivation.
  [[nodiscard]] Result<Secret> shared_x(const PublicKey& peer) const;

 private:
  PrivateKey(Secret secret, const PublicKey& public_key)
      : secret_(std::move(secret)), public_key_(public_key) {}
  Secret secret_;
  PublicKey public_key_;
};

/// Low-S signatures only: the other of the two forms of a signature is refused.
[[nodiscard]] bool verify_ecdsa(const PublicKey& key, const Sha256Digest& hash,
                                const CompactSignature& signature);
/// Whether s is in the lower half of the group, the form that cannot be flipped unseen.
[[nodiscard]] bool is_low_s(const CompactSignature& signature);
/// The key that made the signature; accepts high and low S.
[[nodiscard]] Result<PublicKey> recover(const Sha256Digest& hash,
                                        const RecoverableSignature& signature);

[[nodiscard]] bool verify_schnorr(const XOnlyKey& key, ByteView message,
                                  const CompactSignature& signature);
/// The point with this x and an even y (BIP 340), as Nostr names keys.
[[nodiscard]] Result<PublicKey> lift_x(const XOnlyKey& key);

}  // namespace octroi::crypto
