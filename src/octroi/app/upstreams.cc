#include "octroi/app/upstreams.h"

#include "octroi/base/log.h"

namespace octroi::app {

namespace {
std::unique_ptr<http::Client> make(net::Loop& loop,
                                   std::shared_ptr<const net::TlsClientContext> tls) {
  http::ClientConfig config;
  config.tls = std::move(tls);
  return http::make_client(loop, std::move(config));
}
}  // namespace

Upstreams::Upstreams(net::Loop& loop) : loop_(loop), system_(make(loop, nullptr)) {}
Upstreams::~Upstreams() = default;

void Upstreams::publish(const paywall::Snapshot& snapshot) {
  for (const auto& service : snapshot.settings.services) {
    const std::string& ca = service.upstream.ca_pem;
    if (ca.empty() || by_ca_.contains(ca)) continue;
    net::TlsClientOptions options;
    options.ca_pem = ca;
    auto context = net::make_tls_client(std::move(options));
    if (!context) {
      // The configuration check parsed it before; without a context the upstream stays unreachable
      // rather than being trusted without its CA.
      OCTROI_LOG(error, "app", "upstream CA unusable",
                 {{"service", service.name.str()}, {"error", context.error().message()}});
      continue;
    }
    by_ca_.emplace(ca, make(loop_, std::move(*context)));
  }
}

http::Client& Upstreams::client_for(const paywall::ServiceSettings& service) {
  if (service.upstream.ca_pem.empty()) return *system_;
  auto found = by_ca_.find(service.upstream.ca_pem);
  return found == by_ca_.end() ? *system_ : *found->second;
}

}  // namespace octroi::app
