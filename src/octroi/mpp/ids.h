// octroi/mpp/ids.h: challenge ids: a MAC over what the challenge says, so that nothing need be
// stored.
//
// Slots    realm|method|intent|request|expires|digest|opaque, absent ones empty; when the challenge
//          has `header`, it stands before opaque, which makes eight.
// Ring     the first key issues, all verify, so that a secret can be exchanged without a gap.
// Time     the comparison takes the same time whatever the id; which key of the ring fits is no
// secret. Errors   bad_identifier, bad_key_ring.   Thread: const functions from any thread. Source
// Payment core, "Challenge Binding"; the position of `header` from its correction after -01.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/crypto/hash.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

/// What the id covers. Optional parameters that are absent are empty; `request` and `opaque` are
/// the base64url texts of the wire.
struct IdSlots {
  std::string_view realm;
  std::string_view method;
  std::string_view intent;
  std::string_view request;
  std::string_view expires;
  std::string_view digest;
  std::string_view opaque;
  std::string_view header;  // "Payment-Authorization", or empty: no eighth slot
};
/// The slots of a challenge; views into it.
[[nodiscard]] IdSlots id_slots(const Challenge& challenge);

/// base64url, 43 characters.
[[nodiscard]] std::string challenge_id(const crypto::HmacSha256Key& key, const IdSlots& slots);
/// Whether `id` is that of the slots under this key.
[[nodiscard]] bool is_challenge_id(const crypto::HmacSha256Key& key, const IdSlots& slots,
                                   std::string_view id);

/// Keys for ids: [current, previous…].
class KeyRing {
 public:
  static constexpr std::size_t kMinSecretBytes = 32;

  /// Refuses an empty ring. Key lengths are the configuration's business (check_secret).
  [[nodiscard]] static Result<KeyRing> create(std::vector<crypto::HmacSha256Key> keys);
  [[nodiscard]] static Result<KeyRing> from_secrets(const std::vector<const Secret*>& secrets);

  [[nodiscard]] const crypto::HmacSha256Key& current() const { return keys_.front(); }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  [[nodiscard]] const crypto::HmacSha256Key& at(std::size_t version) const {
    return keys_[version];
  }

  /// The version whose key made the id: 0 is the current one.
  [[nodiscard]] std::optional<std::size_t> verify_id(const IdSlots& slots,
                                                     std::string_view id) const;

 private:
  explicit KeyRing(std::vector<crypto::HmacSha256Key> keys) : keys_(std::move(keys)) {}
  std::vector<crypto::HmacSha256Key> keys_;
};

/// For the configuration: a secret for ids has at least 32 bytes.
[[nodiscard]] Result<> check_secret(const Secret& secret);
/// For the configuration: "|" separates the slots and is not escaped, so "a|b" and "lightning"
/// would share an id with "a" and "b|lightning".
[[nodiscard]] Result<> check_realm(std::string_view realm);
[[nodiscard]] Result<> check_method(std::string_view method);
[[nodiscard]] Result<> check_intent(std::string_view intent);

}  // namespace octroi::mpp
