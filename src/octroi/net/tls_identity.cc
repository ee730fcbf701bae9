#include "octroi/net/tls_identity.h"

#include <memory>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "octroi/net/tls_pem.h"

namespace octroi::net {

namespace {

bool fill_in(X509* cert, X509* issuer, EVP_PKEY* key, const IdentityRequest& request) {
  constexpr long kDay = 86'400;
  std::uint32_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), static_cast<long>(serial) + 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -10 * kDay);
  X509_gmtime_adj(X509_getm_notAfter(cert), request.valid_days * kDay);
  X509_set_pubkey(cert, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()),
                             -1, -1, 0);
  X509_set_issuer_name(cert, X509_get_subject_name(issuer));
  return extend(cert, issuer, NID_basic_constraints,
                request.authority ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
         (request.alt_names.empty() ||
          extend(cert, issuer, NID_subject_alt_name, request.alt_names.c_str()));
}

}  // namespace

Result<Identity> make_identity(const IdentityRequest& request) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertPtr cert(X509_new());
  KeyPtr issuer_key;
  CertPtr issuer;
  if (request.issuer != nullptr) {
    issuer.reset(
        PEM_read_bio_X509(reader(request.issuer->certificate).get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_bio_PrivateKey(reader(request.issuer->key.reveal_text()).get(),
                                             nullptr, nullptr, nullptr));
    if (!issuer || !issuer_key) return fail(Errc::tls_certificate, "the issuer cannot be read");
  }
  X509* const signer = issuer ? issuer.get() : cert.get();
  EVP_PKEY* const signing_key = issuer_key ? issuer_key.get() : key.get();
  if (!key || !cert || !fill_in(cert.get(), signer, key.get(), request) ||
      X509_sign(cert.get(), signing_key, EVP_sha256()) == 0) {
    return fail(Errc::tls_certificate, "the certificate cannot be made");
  }
  const BioPtr cert_text(BIO_new(BIO_s_mem()));
  const BioPtr key_text(BIO_new(BIO_s_secmem()));
  PEM_write_bio_X509(cert_text.get(), cert.get());
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return Identity{text_of(cert_text.get()), Secret::take(text_of(key_text.get()))};
}

}  // namespace octroi::net
