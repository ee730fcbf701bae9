// octroi/net/tls.h: TLS 1.2 and 1.3 over a Stream's socket (OpenSSL, SSL_set_fd), both roles.
//
// Contexts are immutable and shared by every worker; reloading a certificate makes a new one.
// Verification of upstream certificates cannot be switched off; a private CA can be given.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/net/stream.h"

namespace octroi::net {

class TlsServerContext {
 public:
  virtual ~TlsServerContext() = default;
};
class TlsClientContext {
 public:
  virtual ~TlsClientContext() = default;
};

/// PEM texts; the key must belong to the first certificate. `alpn` in order of preference.
[[nodiscard]] Result<std::shared_ptr<const TlsServerContext>> make_tls_server(
    std::string_view certificate_chain_pem, const Secret& key_pem, std::vector<std::string> alpn);
struct TlsClientOptions {
  std::string ca_pem;                  // these instead of the system's store, when not empty
  std::string pinned_certificate_pem;  // exactly this leaf, whatever its name (lnd's own tls.cert)
  std::vector<std::string> alpn = {"http/1.1"};
};
[[nodiscard]] Result<std::shared_ptr<const TlsClientContext>> make_tls_client(
    TlsClientOptions options);

Task<Result<std::unique_ptr<Stream>>> tls_accept(std::unique_ptr<Stream> tcp,
                                                 std::shared_ptr<const TlsServerContext> context,
                                                 Millis timeout);
/// `name` is sent as SNI (unless it is an address) and must match the certificate. `alpn`, in order
/// of preference, stands in for the context's own list when it is not empty.
Task<Result<std::unique_ptr<Stream>>> tls_connect(std::unique_ptr<Stream> tcp,
                                                  std::shared_ptr<const TlsClientContext> context,
                                                  std::string name, Millis timeout,
                                                  std::vector<std::string> alpn = {});

}  // namespace octroi::net
