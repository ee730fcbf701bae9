#include "octroi/app/vault_clients.h"

#include <utility>

#include "octroi/base/log.h"

namespace octroi::app {

http::Client& VaultClients::client_for(const vault::Vendor& vendor) {
  return trusting(vendor.settings.ca_pem, vendor);
}

http::Client& VaultClients::token_client(const vault::Vendor& vendor) {
  const auto& oauth = vendor.settings.oauth;
  return trusting(oauth && !oauth->ca_pem.empty() ? oauth->ca_pem : vendor.settings.ca_pem, vendor);
}

http::Client& VaultClients::trusting(const std::string& ca_pem, const vault::Vendor& vendor) {
  auto& client = by_ca_[ca_pem];
  if (client == nullptr) client = make(ca_pem, vendor);
  return *client;
}

std::unique_ptr<http::Client> VaultClients::make(const std::string& ca_pem,
                                                 const vault::Vendor& vendor) {
  http::ClientConfig config;
  if (!ca_pem.empty()) {
    net::TlsClientOptions options;
    options.ca_pem = ca_pem;
    auto context = net::make_tls_client(std::move(options));
    if (context) {
      config.tls = std::move(*context);
    } else {
      // The system's store is used then, which does not trust it: unreachable, never untrusted.
      OCTROI_LOG(error, "vault", "vendor CA unusable",
                 {{"vendor", vendor.settings.name}, {"error", context.error().message()}});
    }
  }
  return http::make_client(loop_, std::move(config));
}

}  // namespace octroi::app
