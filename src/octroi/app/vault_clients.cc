#include "octroi/app/vault_clients.h"

#include <utility>

#include "octroi/base/log.h"

namespace octroi::app {

http::Client& VaultClients::client_for(const vault::Vendor& vendor) {
  auto& client = by_ca_[vendor.settings.ca_pem];
  if (client == nullptr) client = make(vendor);
  return *client;
}

std::unique_ptr<http::Client> VaultClients::make(const vault::Vendor& vendor) {
  http::ClientConfig config;
  if (!vendor.settings.ca_pem.empty()) {
    net::TlsClientOptions options;
    options.ca_pem = vendor.settings.ca_pem;
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
