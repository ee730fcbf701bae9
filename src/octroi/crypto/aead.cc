#include "octroi/crypto/aead.h"

#include <memory>

#include <openssl/evp.h>

namespace octroi::crypto {
namespace {

struct CipherFree {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, CipherFree>;

// EVP takes lengths as int; callers have bounded them to 64 MiB before.
int len(ByteView b) { return static_cast<int>(b.size()); }

tl::unexpected<Error> unavailable() {
  return fail(Errc::unavailable, "AES-256-GCM is not available in the OpenSSL library");
}
tl::unexpected<Error> refused() {
  return fail(Errc::bad_ciphertext,
              "sealed value was altered, or sealed with another key or for another place");
}

// GCM refuses a null buffer even for nothing; an empty view may carry one.
bool feed_associated(EVP_CIPHER_CTX* c, ByteView associated, bool sealing) {
  if (associated.empty()) return true;
  int n = 0;
  return (sealing ? EVP_EncryptUpdate(c, nullptr, &n, associated.data(), len(associated))
                  : EVP_DecryptUpdate(c, nullptr, &n, associated.data(), len(associated))) == 1;
}

}  // namespace

Result<AeadKey> AeadKey::from_secret(Secret key) {
  if (key.size() != kAeadKeySize) return fail(Errc::bad_key, "AES-256-GCM key must be 32 bytes");
  return AeadKey(std::move(key));
}

Result<Bytes> AeadKey::seal(ByteView plain, ByteView associated, Random& random) const {
  if (plain.size() > kAeadMaxPlain || associated.size() > kAeadMaxPlain)
    return fail(Errc::bad_parameters, "value to seal is over 64 MiB");
  Bytes out(plain.size() + kAeadOverhead);
  const std::span<std::uint8_t> nonce = std::span(out).first(kAeadNonceSize);
  std::uint8_t* const text = out.data() + kAeadNonceSize;
  std::uint8_t* const tag = text + plain.size();
  random.fill(nonce);

  const Cipher c(EVP_CIPHER_CTX_new());
  int n = 0;
  if (!c ||
      EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, key_.reveal().data(), nonce.data()) !=
          1 ||
      !feed_associated(c.get(), associated, true))
    return unavailable();
  if (!plain.empty() && EVP_EncryptUpdate(c.get(), text, &n, plain.data(), len(plain)) != 1)
    return unavailable();
  if (EVP_EncryptFinal_ex(c.get(), tag, &n) != 1 ||
      EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kAeadTagSize, tag) != 1)
    return unavailable();
  return out;
}

Result<Secret> AeadKey::open(ByteView sealed, ByteView associated) const {
  if (sealed.size() < kAeadOverhead || sealed.size() - kAeadOverhead > kAeadMaxPlain ||
      associated.size() > kAeadMaxPlain)
    return refused();
  const ByteView nonce = sealed.first(kAeadNonceSize);
  const ByteView text = sealed.subspan(kAeadNonceSize, sealed.size() - kAeadOverhead);
  std::array<std::uint8_t, kAeadTagSize> tag;
  std::copy_n(sealed.last(kAeadTagSize).begin(), kAeadTagSize, tag.begin());

  const Cipher c(EVP_CIPHER_CTX_new());
  if (!c || EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, key_.reveal().data(),
                               nonce.data()) != 1)
    return unavailable();
  // Decrypted bytes exist before the tag is checked; they are wiped with `plain` when it does not
  // fit.
  Bytes plain(text.size());
  int n = 0;
  std::uint8_t unused = 0;
  const bool good =
      feed_associated(c.get(), associated, false) &&
      (text.empty() || EVP_DecryptUpdate(c.get(), plain.data(), &n, text.data(), len(text)) == 1) &&
      EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kAeadTagSize, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(c.get(), &unused, &n) == 1;
  Secret out = Secret::take(std::move(plain));
  if (!good) return refused();
  return out;
}

}  // namespace octroi::crypto
