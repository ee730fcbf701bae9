// octroi/net/tls_server_context.h: a server's context out of a certificate and key that are in
// memory already. Internal to net. Thread: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "octroi/base/result.h"
#include "octroi/net/tls.h"

namespace octroi::net {

/// Takes references of its own. The key must belong to the certificate.
[[nodiscard]] Result<std::shared_ptr<const TlsServerContext>> make_tls_server_of(
    X509* certificate, EVP_PKEY* key, std::vector<std::string> alpn);

}  // namespace octroi::net
