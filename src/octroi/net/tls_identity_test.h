// octroi/net/tls_identity_test.h: certificates with their keys, made on the spot. Tests only.
#pragma once

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "octroi/base/secret.h"

namespace octroi::net {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// A certificate with its key, made on the spot.
struct Identity {
  Key key{EVP_EC_gen("P-256")};
  Cert cert{X509_new()};

  [[nodiscard]] std::string cert_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), cert.get());
    return text_of(bio.get());
  }
  [[nodiscard]] Secret key_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return Secret::take(text_of(bio.get()));
  }
};

inline Identity make_identity(const char* common_name, const char* alt_names, int days,
                              const Identity* issuer, bool authority) {
  Identity id;
  static int serial = 1;
  X509* cert = id.cert.get();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(cert), -864'000);
  X509_gmtime_adj(X509_getm_notAfter(cert), days * 86'400L);
  X509_set_pubkey(cert, id.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  const X509* signer = issuer != nullptr ? issuer->cert.get() : cert;
  X509_set_issuer_name(cert, X509_get_subject_name(signer));
  X509V3_CTX context;
  X509V3_set_ctx(&context, const_cast<X509*>(signer), cert, nullptr, nullptr, 0);
  auto extend = [&](int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (alt_names != nullptr) extend(NID_subject_alt_name, alt_names);
  X509_sign(cert, issuer != nullptr ? issuer->key.get() : id.key.get(), EVP_sha256());
  return id;
}

}  // namespace octroi::net
