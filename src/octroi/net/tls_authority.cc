#include "octroi/net/tls_authority.h"

#include <array>
#include <ctime>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "octroi/net/address.h"
#include "octroi/net/tls_pem.h"
#include "octroi/net/tls_server_context.h"

namespace octroi::net {

namespace {

constexpr Millis kClocksDiffer = std::chrono::hours(1);

std::time_t seconds(UnixMillis t) { return static_cast<std::time_t>(t.seconds()); }

/// Sixteen random bytes of a positive number (RFC 5280 section 4.1.2.2).
bool number(X509* cert) {
  std::array<unsigned char, 16> raw{};
  if (RAND_bytes(raw.data(), static_cast<int>(raw.size())) != 1) return false;
  raw[0] = static_cast<unsigned char>((raw[0] & 0x7f) | 0x40);
  BIGNUM* const n = BN_bin2bn(raw.data(), static_cast<int>(raw.size()), nullptr);
  const bool put = n != nullptr && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != nullptr;
  BN_free(n);
  return put;
}

bool lasts(X509* cert, UnixMillis from, UnixMillis to) {
  return ASN1_TIME_set(X509_getm_notBefore(cert), seconds(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(cert), seconds(to)) != nullptr;
}

bool called(X509* cert, std::string_view name) {
  // A common name has at most 64 characters (RFC 5280, upper bounds); what counts is elsewhere.
  const std::string_view cut = name.substr(0, 64);
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(cut.data()),
                                    static_cast<int>(cut.size()), -1, 0) == 1;
}

/// The subject alternative name, built rather than parsed: a host is nobody's configuration syntax.
bool speaks_for(X509* cert, std::string_view host) {
  GENERAL_NAMES* const names = sk_GENERAL_NAME_new_null();
  GENERAL_NAME* const name = GENERAL_NAME_new();
  bool good = names != nullptr && name != nullptr;
  if (good) {
    const std::string text(host);
    ASN1_OCTET_STRING* const address = a2i_IPADDRESS(text.c_str());
    ERR_clear_error();
    if (address != nullptr) {
      GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    } else {
      ASN1_IA5STRING* const dns = ASN1_IA5STRING_new();
      good =
          dns != nullptr && ASN1_STRING_set(dns, text.data(), static_cast<int>(text.size())) == 1;
      GENERAL_NAME_set0_value(name, GEN_DNS, dns);
    }
    good = sk_GENERAL_NAME_push(names, name) > 0 && good &&
           X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
  } else {
    GENERAL_NAME_free(name);
  }
  GENERAL_NAMES_free(names);
  return good;
}

class AuthorityImpl final : public TlsAuthority {
 public:
  AuthorityImpl(CertPtr cert, KeyPtr key, std::string pem, UnixMillis until)
      : cert_(std::move(cert)), key_(std::move(key)), pem_(std::move(pem)), until_(until) {}

  [[nodiscard]] Result<std::shared_ptr<const TlsServerContext>> issue(
      std::string_view host, UnixMillis now, Millis valid_for,
      std::vector<std::string> alpn) const override {
    const KeyPtr key(EVP_EC_gen("P-256"));
    const CertPtr leaf(X509_new());
    const bool made =
        key && leaf && X509_set_version(leaf.get(), X509_VERSION_3) == 1 && number(leaf.get()) &&
        lasts(leaf.get(), now - kClocksDiffer, std::min(now + valid_for, until_)) &&
        X509_set_pubkey(leaf.get(), key.get()) == 1 && called(leaf.get(), host) &&
        X509_set_issuer_name(leaf.get(), X509_get_subject_name(cert_.get())) == 1 &&
        extend(leaf.get(), cert_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
        extend(leaf.get(), cert_.get(), NID_key_usage, "critical,digitalSignature") &&
        extend(leaf.get(), cert_.get(), NID_ext_key_usage, "serverAuth") &&
        extend(leaf.get(), cert_.get(), NID_subject_key_identifier, "hash") &&
        extend(leaf.get(), cert_.get(), NID_authority_key_identifier, "keyid") &&
        speaks_for(leaf.get(), host) && X509_sign(leaf.get(), key_.get(), EVP_sha256()) != 0;
    if (!made) {
      ERR_clear_error();
      return fail(Errc::tls_certificate, "no certificate can be made for " + std::string(host));
    }
    return make_tls_server_of(leaf.get(), key.get(), std::move(alpn));
  }

  [[nodiscard]] const std::string& certificate_pem() const override { return pem_; }
  [[nodiscard]] UnixMillis valid_until() const override { return until_; }

 private:
  CertPtr cert_;
  KeyPtr key_;
  std::string pem_;
  UnixMillis until_;
};

}  // namespace

Result<TlsAuthority::Made> TlsAuthority::make(std::string_view name, UnixMillis now,
                                              Millis valid_for) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertPtr cert(X509_new());
  const bool made =
      key && cert && X509_set_version(cert.get(), X509_VERSION_3) == 1 && number(cert.get()) &&
      lasts(cert.get(), now - kClocksDiffer, now + valid_for) &&
      X509_set_pubkey(cert.get(), key.get()) == 1 && called(cert.get(), name) &&
      X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get())) == 1 &&
      extend(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      extend(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      extend(cert.get(), cert.get(), NID_subject_key_identifier, "hash") &&
      extend(cert.get(), cert.get(), NID_authority_key_identifier, "keyid") &&
      X509_sign(cert.get(), key.get(), EVP_sha256()) != 0;
  const BioPtr cert_text(BIO_new(BIO_s_mem()));
  const BioPtr key_text(BIO_new(BIO_s_secmem()));
  if (!made || PEM_write_bio_X509(cert_text.get(), cert.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    ERR_clear_error();
    return fail(Errc::tls_certificate, "no certificate authority can be made");
  }
  return Made{text_of(cert_text.get()), Secret::take(text_of(key_text.get()))};
}

Result<std::shared_ptr<const TlsAuthority>> TlsAuthority::open(std::string_view certificate_pem,
                                                               const Secret& key_pem) {
  CertPtr cert(PEM_read_bio_X509(reader(certificate_pem).get(), nullptr, no_passphrase, nullptr));
  KeyPtr key(PEM_read_bio_PrivateKey(reader(key_pem.reveal_text()).get(), nullptr, no_passphrase,
                                     nullptr));
  ERR_clear_error();
  if (!cert || !key || X509_check_private_key(cert.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::tls_certificate, "certificate and key of the authority are not a pair");
  }
  if (X509_check_ca(cert.get()) != 1)
    return fail(Errc::tls_certificate, "the certificate may not sign others");
  std::tm until{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(cert.get()), &until) != 1)
    return fail(Errc::tls_certificate, "the authority's certificate has no end");
  const UnixMillis end = from_unix_seconds(::timegm(&until));
  const BioPtr text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(text.get(), cert.get());
  return std::make_shared<const AuthorityImpl>(std::move(cert), std::move(key), text_of(text.get()),
                                               end);
}

Result<std::shared_ptr<const TlsServerContext>> LeafCache::context_for(std::string_view host,
                                                                       UnixMillis now) {
  const auto known = by_host_.find(host);
  if (known != by_host_.end()) {
    const auto leaf = known->second;
    const Millis age = now - leaf->made;
    if (age >= Millis(0) && age < life_ / 2) {
      leaves_.splice(leaves_.begin(), leaves_, leaf);
      return leaf->context;
    }
    by_host_.erase(known);
    leaves_.erase(leaf);
  }
  OCTROI_TRY(auto context, authority_->issue(host, now, life_, alpn_));
  ++minted_;
  leaves_.push_front({std::string(host), std::move(context), now});
  by_host_.emplace(leaves_.front().host, leaves_.begin());
  if (leaves_.size() > most_) {
    by_host_.erase(leaves_.back().host);
    leaves_.pop_back();
  }
  return leaves_.front().context;
}

}  // namespace octroi::net
