#include "octroi/crypto/secp256k1.h"

#include <cstdlib>
#include <cstring>

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_recovery.h>
#include <secp256k1_schnorrsig.h>

namespace octroi::crypto {

/// Lets the functions of this file build keys from points that the library has checked.
struct PublicKeyAccess {
  static PublicKey make(const secp256k1_pubkey& point);
};

namespace {

// What the library cannot do although every argument was checked is a bug of ours, not an input.
void require(bool ok) {
  if (!ok) [[unlikely]]
    std::abort();
}

// Randomised once, against side channels; read-only afterwards, so threads may share it.
const secp256k1_context* context() {
  static const secp256k1_context* const shared = [] {
    secp256k1_context* made =
        secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    require(made != nullptr);
    auto seed = system_random().bytes<32>();
    require(secp256k1_context_randomize(made, seed.data()) == 1);
    secure_wipe(seed.data(), seed.size());
    return made;
  }();
  return shared;
}

std::optional<secp256k1_pubkey> parse_point(ByteView bytes) {
  secp256k1_pubkey point;
  if (bytes.size() != 33 ||
      secp256k1_ec_pubkey_parse(context(), &point, bytes.data(), bytes.size()) != 1)
    return std::nullopt;
  return point;
}

secp256k1_keypair keypair(const Secret& secret) {
  secp256k1_keypair pair;
  require(secp256k1_keypair_create(context(), &pair, secret.reveal().data()) == 1);
  return pair;
}

int copy_x(unsigned char* out, const unsigned char* x, const unsigned char*, void*) {
  std::memcpy(out, x, 32);
  return 1;
}

}  // namespace

PublicKey PublicKeyAccess::make(const secp256k1_pubkey& point) {
  PublicKey key;
  std::size_t size = key.bytes_.size();
  require(secp256k1_ec_pubkey_serialize(context(), key.bytes_.data(), &size, &point,
                                        SECP256K1_EC_COMPRESSED) == 1);
  return key;
}

Result<PublicKey> PublicKey::from_bytes(ByteView bytes) {
  const auto point = parse_point(bytes);
  if (!point) return fail(Errc::bad_key, "public key must be 33 bytes and a point of secp256k1");
  return PublicKeyAccess::make(*point);
}

Result<PublicKey> PublicKey::from_hex(std::string_view text) {
  OCTROI_TRY(const auto raw, from_hex_exact<33>(text));
  return from_bytes(raw);
}

XOnlyKey PublicKey::x_only() const {
  XOnlyKey x;
  std::memcpy(x.data(), bytes_.data() + 1, x.size());
  return x;
}

Result<PrivateKey> PrivateKey::from_bytes(ByteView bytes) {
  secp256k1_pubkey point;
  if (bytes.size() != 32 || secp256k1_ec_pubkey_create(context(), &point, bytes.data()) != 1)
    return fail(Errc::bad_key, "private key must be 32 bytes between 1 and the group order");
  return PrivateKey(Secret(bytes), PublicKeyAccess::make(point));
}

Result<PrivateKey> PrivateKey::from_hex(std::string_view text) {
  OCTROI_TRY(auto raw, from_hex_exact<32>(text));
  auto key = from_bytes(raw);
  secure_wipe(raw.data(), raw.size());
  return key;
}

PrivateKey PrivateKey::generate(Random& random) {
  // One draw in 2^128 is no key; the loop is for the standard's sake.
  while (true) {
    if (auto key = from_secret(random.secret(32))) return *std::move(key);
  }
}

CompactSignature PrivateKey::sign(const Sha256Digest& hash) const {
  return sign_recoverable(hash).compact;
}

RecoverableSignature PrivateKey::sign_recoverable(const Sha256Digest& hash) const {
  secp256k1_ecdsa_recoverable_signature raw;
  require(secp256k1_ecdsa_sign_recoverable(context(), &raw, hash.data(), secret_.reveal().data(),
                                           secp256k1_nonce_function_rfc6979, nullptr) == 1);
  RecoverableSignature out;
  int id = 0;
  require(secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), out.compact.data(),
                                                                  &id, &raw) == 1);
  out.recovery_id = static_cast<std::uint8_t>(id);
  return out;
}

CompactSignature PrivateKey::sign_schnorr(
    ByteView message, const std::optional<std::array<std::uint8_t, 32>>& aux) const {
  secp256k1_keypair pair = keypair(secret_);
  std::array<std::uint8_t, 32> noise = aux.value_or(std::array<std::uint8_t, 32>{});
  secp256k1_schnorrsig_extraparams params = SECP256K1_SCHNORRSIG_EXTRAPARAMS_INIT;
  params.ndata = noise.data();
  CompactSignature out;
  const int signed_ok = secp256k1_schnorrsig_sign_custom(context(), out.data(), message.data(),
                                                         message.size(), &pair, &params);
  secure_wipe(&pair, sizeof pair);
  secure_wipe(noise.data(), noise.size());
  require(signed_ok == 1);
  return out;
}

Result<Secret> PrivateKey::shared_x(const PublicKey& peer) const {
  const auto point = parse_point(peer.bytes());
  if (!point) return fail(Errc::bad_key, "peer's public key is not a point of secp256k1");
  std::array<std::uint8_t, 32> x;
  require(secp256k1_ecdh(context(), x.data(), &*point, secret_.reveal().data(), copy_x, nullptr) ==
          1);
  Secret out{ByteView(x)};
  secure_wipe(x.data(), x.size());
  return out;
}

bool verify_ecdsa(const PublicKey& key, const Sha256Digest& hash,
                  const CompactSignature& signature) {
  const auto point = parse_point(key.bytes());
  secp256k1_ecdsa_signature raw;
  return point && secp256k1_ecdsa_signature_parse_compact(context(), &raw, signature.data()) == 1 &&
         secp256k1_ecdsa_verify(context(), &raw, hash.data(), &*point) == 1;
}

bool is_low_s(const CompactSignature& signature) {
  secp256k1_ecdsa_signature raw;
  if (secp256k1_ecdsa_signature_parse_compact(context(), &raw, signature.data()) != 1) return false;
  return secp256k1_ecdsa_signature_normalize(context(), nullptr, &raw) == 0;
}

Result<PublicKey> recover(const Sha256Digest& hash, const RecoverableSignature& signature) {
  secp256k1_ecdsa_recoverable_signature raw;
  secp256k1_pubkey point;
  if (signature.recovery_id > 3 ||
      secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &raw, signature.compact.data(),
                                                          signature.recovery_id) != 1 ||
      secp256k1_ecdsa_recover(context(), &point, &raw, hash.data()) != 1)
    return fail(Errc::bad_signature, "no public key can have made this signature");
  return PublicKeyAccess::make(point);
}

bool verify_schnorr(const XOnlyKey& key, ByteView message, const CompactSignature& signature) {
  secp256k1_xonly_pubkey point;
  return secp256k1_xonly_pubkey_parse(context(), &point, key.data()) == 1 &&
         secp256k1_schnorrsig_verify(context(), signature.data(), message.data(), message.size(),
                                     &point) == 1;
}

Result<PublicKey> lift_x(const XOnlyKey& key) {
  std::array<std::uint8_t, 33> bytes{};
  bytes[0] = 2;
  std::memcpy(bytes.data() + 1, key.data(), key.size());
  return PublicKey::from_bytes(bytes);
}

}  // namespace octroi::crypto
