// octroi/vault/packs/generic/signing.h: requests that a vendor wants signed with HMAC, in whatever
// way its documentation says: what is signed, with which hash, how the key and the signature are
// written, and where signature, time and key id go.
//
// What is signed is what is sent: method, path and query as they stand in the request line, and the
// body after everything that octroi writes into it. What an agent signed itself is dropped.
//
// The stored secret is the key, or ID:KEY when a template names {key_id} and the configuration does
// not.
// Source   RFC 2104; vendors differ in everything else.
// Thread   const and pure.
#pragma once

#include "octroi/crypto/mac.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/sign_template.h"

namespace octroi::vault::generic {

class HmacSigning {
 public:
  /// A template that cannot be read signs nothing: config refuses it before.
  explicit HmacSigning(const HmacSettings& settings);

  [[nodiscard]] Result<> check_credential(const Secret& real) const;
  /// Where an agent may show its key: where the key id goes.
  [[nodiscard]] std::vector<Place> places() const;
  /// Parts of the real key that must not be seen.
  [[nodiscard]] std::vector<VendorPack::Hidden> hidden(const Secret& real) const;
  /// Takes out of the query what an agent's own signing put there.
  void drop(Input& input) const;
  void sign(const VendorPack::Sending& sending, std::string_view authority, UnixMillis now) const;

 private:
  struct Field {
    std::string name;
    SignTemplate value;
  };
  struct Key {
    std::string_view id;
    Secret bytes;
  };
  [[nodiscard]] static std::vector<Field> compile(
      const std::vector<std::pair<std::string, std::string>>& fields);
  [[nodiscard]] bool splits() const { return names_id_ && settings_.key_id.empty(); }
  [[nodiscard]] Result<Key> key_of(const Secret& real) const;
  [[nodiscard]] std::string written(ByteView signature) const;
  [[nodiscard]] std::string timestamp(UnixMillis now) const;

  HmacSettings settings_;
  crypto::HashName hash_;
  SignTemplate message_;
  std::vector<Field> headers_;
  std::vector<Field> query_;
  bool names_id_ = false;
};

}  // namespace octroi::vault::generic
