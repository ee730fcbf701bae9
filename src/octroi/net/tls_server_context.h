// octroi/net/tls_server_context.h: a server's context out of a certificate and key that are in
// memory already. Internal to net. Thread: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/net/tls.h"

// OpenSSL's X509 and EVP_PKEY, whose headers are for .cc files.
struct x509_st;
struct evp_pkey_st;

namespace octroi::net {

/// Takes references of its own. The key must belong to the certificate.
[[nodiscard]] Result<std::shared_ptr<const TlsServerContext>> make_tls_server_of(
    x509_st* certificate, evp_pkey_st* key, std::vector<std::string> alpn);

}  // namespace octroi::net
