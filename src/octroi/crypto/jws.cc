#include "octroi/crypto/jws.h"

#include <array>
#include <cstring>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "octroi/crypto/hash.h"
#include "octroi/crypto/jws_openssl.h"

namespace octroi::crypto {
namespace {

using PkeyCtx = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;

constexpr std::size_t kMinHmacKey = 32;  // RFC 7518 section 3.2: at least the hash's size

// Failures leave entries in a per-thread queue that a later, unrelated TLS call would report as its
// own.
template <class T>
T quietly(T value) {
  ERR_clear_error();
  return value;
}

Number number(ByteView big_endian) {
  return Number(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
}

Pkey build(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyCtx ctx(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !ctx || EVP_PKEY_fromdata_init(ctx.get()) != 1 ||
      EVP_PKEY_fromdata(ctx.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return nullptr;
  return Pkey(made);
}

bool on_curve(EVP_PKEY* key) {
  const PkeyCtx ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return ctx && EVP_PKEY_public_check(ctx.get()) == 1;
}

// RFC 7518 section 3.4 writes r and s as 32 bytes each; OpenSSL wants them in DER.
Bytes ecdsa_der(ByteView signature) {
  Number r = number(signature.first(32));
  Number s = number(signature.last(32));
  const EcdsaSig sig(ECDSA_SIG_new());
  if (!r || !s || !sig || ECDSA_SIG_set0(sig.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();  // now owned by sig
  (void)s.release();
  std::uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(sig.get(), &der);
  if (size <= 0) return {};
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

bool evp_verify(EVP_PKEY* key, const EVP_MD* digest, std::string_view input, ByteView signature) {
  const DigestCtx ctx(EVP_MD_CTX_new());
  const ByteView text = as_bytes(input);
  return ctx && EVP_DigestVerifyInit(ctx.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), text.data(),
                          text.size()) == 1;
}

}  // namespace

struct JwsKey::Impl {
  JwsAlgorithm algorithm;
  Pkey pkey;                                 // all but hs256
  std::unique_ptr<const HmacSha256Key> mac;  // hs256

  [[nodiscard]] bool fits(std::string_view input, ByteView signature) const {
    switch (algorithm) {
      case JwsAlgorithm::rs256:
        return evp_verify(pkey.get(), EVP_sha256(), input, signature);
      case JwsAlgorithm::es256: {
        if (signature.size() != 64) return false;
        const Bytes der = ecdsa_der(signature);
        return !der.empty() && evp_verify(pkey.get(), EVP_sha256(), input, der);
      }
      case JwsAlgorithm::eddsa:
        return signature.size() == 64 && evp_verify(pkey.get(), nullptr, input, signature);
      case JwsAlgorithm::hs256:
        return mac->verify(as_bytes(input), signature);
    }
    return false;
  }
};

JwsKey::JwsKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JwsKey::JwsKey(JwsKey&&) noexcept = default;
JwsKey& JwsKey::operator=(JwsKey&&) noexcept = default;
JwsKey::~JwsKey() = default;

std::string_view to_string(JwsAlgorithm a) {
  switch (a) {
    case JwsAlgorithm::rs256:
      return "RS256";
    case JwsAlgorithm::es256:
      return "ES256";
    case JwsAlgorithm::eddsa:
      return "EdDSA";
    case JwsAlgorithm::hs256:
      return "HS256";
  }
  return "unknown";
}

Result<JwsKey> JwsKey::rsa(ByteView modulus, ByteView exponent) {
  if (modulus.size() > kMaxRsaBits / 8 + 1 || exponent.empty() || exponent.size() > 8)
    return fail(Errc::bad_key,
                "RSA key must have at most 8192 bits and an exponent of 1 to 8 bytes");
  const Number n = number(modulus);
  const Number e = number(exponent);
  if (!n || !e || BN_num_bits(n.get()) > kMaxRsaBits || BN_is_odd(n.get()) == 0 ||
      BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1)
    return quietly(
        fail(Errc::bad_key, "RSA modulus and exponent must be odd and the exponent over 1"));
  if (BN_num_bits(n.get()) < kMinRsaBits)
    return fail(Errc::weak_key, "RSA key must have at least 2048 bits");
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return quietly(fail(Errc::unavailable));
  Pkey key = build("RSA", builder.get());
  if (!key) return quietly(fail(Errc::bad_key, "not an RSA public key"));
  return JwsKey(std::make_unique<Impl>(Impl{JwsAlgorithm::rs256, std::move(key), nullptr}));
}

Result<JwsKey> JwsKey::p256(ByteView x, ByteView y) {
  if (x.size() != 32 || y.size() != 32)
    return fail(Errc::bad_key, "P-256 coordinates must be 32 bytes each");
  std::array<std::uint8_t, 65> point;
  point[0] = 4;  // SEC 1: uncompressed
  std::memcpy(point.data() + 1, x.data(), 32);
  std::memcpy(point.data() + 33, y.data(), 32);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    return quietly(fail(Errc::unavailable));
  Pkey key = build("EC", builder.get());
  if (!key || !on_curve(key.get())) return quietly(fail(Errc::bad_key, "not a point of P-256"));
  return JwsKey(std::make_unique<Impl>(Impl{JwsAlgorithm::es256, std::move(key), nullptr}));
}

Result<JwsKey> JwsKey::ed25519(ByteView key) {
  if (key.size() != 32) return fail(Errc::bad_key, "Ed25519 key must be 32 bytes");
  Pkey pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  if (!pkey) return quietly(fail(Errc::bad_key, "not an Ed25519 public key"));
  return JwsKey(std::make_unique<Impl>(Impl{JwsAlgorithm::eddsa, std::move(pkey), nullptr}));
}

Result<JwsKey> JwsKey::hmac(Secret key) {
  if (key.size() < kMinHmacKey) return fail(Errc::weak_key, "HS256 key must be 32 bytes or more");
  return JwsKey(std::make_unique<Impl>(
      Impl{JwsAlgorithm::hs256, nullptr, std::make_unique<const HmacSha256Key>(key)}));
}

JwsAlgorithm JwsKey::algorithm() const { return impl_->algorithm; }

Result<> JwsKey::verify(JwsAlgorithm expected, std::string_view signing_input,
                        ByteView signature) const {
  if (expected != impl_->algorithm)
    return fail(Errc::wrong_algorithm, "key is for " + std::string(to_string(impl_->algorithm)) +
                                           ", not for " + std::string(to_string(expected)));
  if (!quietly(impl_->fits(signing_input, signature)))
    return fail(Errc::bad_signature, "signature does not fit the token and the key");
  return {};
}

Result<JwsParts> split_jws(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return fail(Errc::malformed, "token must have three parts separated by dots");
  if (token.find('=') != std::string_view::npos)
    return fail(Errc::malformed, "token parts must be base64url without padding");
  const auto part = [&](std::size_t from, std::size_t to) -> Result<Bytes> {
    auto bytes = from_base64url(token.substr(from, to - from));
    if (!bytes) return fail(Errc::malformed, "token parts must be base64url without padding");
    return bytes;
  };
  JwsParts out;
  OCTROI_TRY(out.header, part(0, first));
  OCTROI_TRY(out.payload, part(first + 1, last));
  OCTROI_TRY(out.signature, part(last + 1, token.size()));
  if (out.header.empty() || out.signature.empty())
    return fail(Errc::malformed, "token's header and signature must not be empty");
  out.signing_input = token.substr(0, last);
  return out;
}

}  // namespace octroi::crypto
