#include "octroi/crypto/ed25519.h"

#include <sodium.h>

#include "octroi/crypto/errors.h"

namespace octroi::crypto {
namespace {

static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_PUBLICKEYBYTES == 32 &&
              crypto_sign_BYTES == 64);

bool library_ready() {
  static const bool ready = sodium_init() >= 0;
  return ready;
}

/// The seed and the public key, as the library wants them; wiped at the end.
struct Expanded {
  Expanded() = default;
  Expanded(const Expanded&) = delete;
  Expanded& operator=(const Expanded&) = delete;
  ~Expanded() { secure_wipe(secret.data(), secret.size()); }
  Ed25519PublicKey public_key{};
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret{};
};

Result<> expand(const Secret& seed, Expanded& out) {
  if (seed.size() != crypto_sign_SEEDBYTES) {
    return fail(Errc::bad_key, "an Ed25519 key has 32 bytes");
  }
  if (!library_ready() || crypto_sign_seed_keypair(out.public_key.data(), out.secret.data(),
                                                   seed.reveal().data()) != 0) {
    return fail(Errc::unavailable, "libsodium could not start");
  }
  return {};
}

}  // namespace

Result<Ed25519PublicKey> ed25519_public_key(const Secret& seed) {
  Expanded key;
  OCTROI_CHECK(expand(seed, key));
  return key.public_key;
}

Result<Ed25519Signature> ed25519_sign(const Secret& seed, ByteView message) {
  Expanded key;
  OCTROI_CHECK(expand(seed, key));
  Ed25519Signature out{};
  if (crypto_sign_detached(out.data(), nullptr, message.data(), message.size(),
                           key.secret.data()) != 0) {
    return fail(Errc::unavailable, "libsodium could not sign");
  }
  return out;
}

bool ed25519_verify(const Ed25519PublicKey& key, ByteView message,
                    const Ed25519Signature& signature) {
  return library_ready() && crypto_sign_verify_detached(signature.data(), message.data(),
                                                        message.size(), key.data()) == 0;
}

}  // namespace octroi::crypto
