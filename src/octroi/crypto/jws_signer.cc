#include "octroi/crypto/jws_signer.h"

#include <array>
#include <utility>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "octroi/crypto/jws_openssl.h"

namespace octroi::crypto {

namespace {

using Reader = std::unique_ptr<BIO, Deleter<BIO_free>>;

/// A key that needs a password is refused: nobody is there to be asked.
int no_password(char* /*out*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

bool on_p256(const EVP_PKEY* key) {
  std::array<char, 64> name{};
  std::size_t size = 0;
  return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(),
                                        &size) == 1 &&
         std::string_view(name.data(), size) == "prime256v1";
}

/// RFC 7518 section 3.4: r and s, 32 bytes each.
Bytes raw_of(ByteView der) {
  const unsigned char* at = der.data();
  const EcdsaSig sig(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  Bytes out(64);
  if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig.get()), out.data(), 32) != 32 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(sig.get()), out.data() + 32, 32) != 32)
    return {};
  return out;
}

Bytes signature_of(EVP_PKEY* key, std::string_view input) {
  const DigestCtx ctx(EVP_MD_CTX_new());
  const ByteView text = as_bytes(input);
  std::size_t size = 0;
  if (!ctx || EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(ctx.get(), nullptr, &size, text.data(), text.size()) != 1)
    return {};
  Bytes out(size);
  if (EVP_DigestSign(ctx.get(), out.data(), &size, text.data(), text.size()) != 1) return {};
  out.resize(size);
  return out;
}

}  // namespace

struct JwsSigner::Impl {
  JwsAlgorithm algorithm;
  Pkey key;
};

JwsSigner::JwsSigner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JwsSigner::JwsSigner(JwsSigner&&) noexcept = default;
JwsSigner& JwsSigner::operator=(JwsSigner&&) noexcept = default;
JwsSigner::~JwsSigner() = default;
JwsAlgorithm JwsSigner::algorithm() const { return impl_->algorithm; }

Result<JwsSigner> JwsSigner::from_pem(JwsAlgorithm algorithm, const Secret& pem) {
  if (algorithm != JwsAlgorithm::rs256 && algorithm != JwsAlgorithm::es256)
    return fail(Errc::wrong_algorithm, "signs with RS256 or ES256 only");
  const ByteView text = pem.reveal();
  const Reader reader(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Pkey key(reader ? PEM_read_bio_PrivateKey(reader.get(), nullptr, no_password, nullptr) : nullptr);
  ERR_clear_error();
  if (!key) return fail(Errc::bad_key, "not a private key as PEM without a password");
  const bool rsa = EVP_PKEY_is_a(key.get(), "RSA") == 1;
  if (rsa != (algorithm == JwsAlgorithm::rs256))
    return fail(Errc::wrong_algorithm,
                "the private key is not one for " + std::string(to_string(algorithm)));
  if (rsa) {
    const int bits = EVP_PKEY_get_bits(key.get());
    if (bits < kMinRsaBits) return fail(Errc::weak_key, "RSA key must have at least 2048 bits");
    if (bits > kMaxRsaBits) return fail(Errc::bad_key, "RSA key must have at most 8192 bits");
  } else if (EVP_PKEY_is_a(key.get(), "EC") != 1 || !on_p256(key.get())) {
    ERR_clear_error();
    return fail(Errc::wrong_algorithm, "ES256 needs a private key on P-256");
  }
  return JwsSigner(std::make_unique<Impl>(Impl{algorithm, std::move(key)}));
}

Result<std::string> JwsSigner::sign(std::string_view header, std::string_view payload) const {
  std::string out = to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(payload));
  Bytes signature = signature_of(impl_->key.get(), out);
  if (impl_->algorithm == JwsAlgorithm::es256 && !signature.empty()) signature = raw_of(signature);
  ERR_clear_error();
  if (signature.empty()) return fail(Errc::unavailable, "could not sign");
  return out + "." + to_base64url(signature);
}

}  // namespace octroi::crypto
