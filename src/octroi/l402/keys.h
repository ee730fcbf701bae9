// octroi/l402/keys.h: the root keys of our tokens, derived instead of stored.
//
// A ring key makes the root key of each token: root = HMAC(ring key, "octroi/l402/root/1" | token
// id). The token id names its ring key: its first 8 bytes are the truncated HMAC(ring key,
// "octroi/l402/key-id/1"), the other 24 are random. So verifying a valid token reads no database
// and tries one key, and a token of a key that left the ring is told apart from a forged one. The
// newest key (index 0) issues; all verify. Keep an old key for as long as the longest validity
// sold.
//
// Errors   Errc::bad_key.
// Thread   immutable once made; share by reference or shared_ptr<const RootKeys>.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "octroi/base/ids.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/hash.h"
#include "octroi/l402/error.h"

namespace octroi::l402 {

inline constexpr std::size_t kMinRingKeySize = 32;
inline constexpr std::size_t kKeyIdSize = 8;

class RootKeys {
 public:
  /// Newest first. Each at least 32 bytes.
  [[nodiscard]] static Result<RootKeys> make(
      std::span<const std::shared_ptr<const Secret>> newest_first);
  [[nodiscard]] static Result<RootKeys> make(const Secret& only);

  [[nodiscard]] std::size_t size() const { return ring_.size(); }
  /// A fresh id under the newest key.
  [[nodiscard]] TokenId new_token_id(Random& random) const;
  /// Which key made this token: its index in the ring, 0 the newest.
  [[nodiscard]] std::optional<std::size_t> find(const TokenId& id) const;
  /// The root key of a token; the caller wipes it.
  [[nodiscard]] crypto::Sha256Digest root_of(std::size_t index, const TokenId& id) const;

 private:
  struct Entry {
    crypto::HmacSha256Key key;
    std::array<std::uint8_t, kKeyIdSize> id;
  };
  RootKeys() = default;
  [[nodiscard]] Result<> add(const Secret& key);
  std::vector<Entry> ring_;
};

}  // namespace octroi::l402
