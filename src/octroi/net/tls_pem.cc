#include "octroi/net/tls_pem.h"

#include <algorithm>
#include <climits>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

namespace octroi::net {

void FreePem::operator()(bio_st* bio) const noexcept { BIO_free_all(bio); }
void FreePem::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }
void FreePem::operator()(x509_st* certificate) const noexcept { X509_free(certificate); }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

BioPtr reader(std::string_view text) {
  return BioPtr(
      BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

int no_passphrase(char* /*out*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

bool extend(X509* cert, X509* issuer, int what, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
  const bool added = extension != nullptr && X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

}  // namespace octroi::net
