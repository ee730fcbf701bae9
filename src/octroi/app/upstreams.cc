#include "octroi/app/upstreams.h"

#include <algorithm>
#include <set>
#include <vector>

#include "octroi/base/log.h"

namespace octroi::app {

Upstreams::Upstreams(net::Loop& loop, std::size_t turn)
    : loop_(loop), turn_(turn), system_(http::make_client(loop, {})) {}
Upstreams::~Upstreams() = default;

Upstreams::TrustView Upstreams::trust_of(const paywall::ServiceSettings& service) {
  return {service.upstream.ca_pem, service.upstream.server_name};
}

void Upstreams::add(const paywall::ServiceSettings& service) {
  const Trust trust(trust_of(service));
  http::ClientConfig config;
  config.server_name = trust.second;
  if (!trust.first.empty()) {
    net::TlsClientOptions options;
    options.ca_pem = trust.first;
    auto context = net::make_tls_client(std::move(options));
    if (!context) {
      // The configuration check parsed it before; without a context the upstream stays unreachable
      // rather than being trusted without its CA.
      OCTROI_LOG(error, "app", "upstream CA unusable",
                 {{"service", service.name.str()}, {"error", context.error().message()}});
      return;
    }
    config.tls = std::move(*context);
  }
  by_trust_.emplace(trust, http::make_client(loop_, std::move(config)));
}

void Upstreams::publish(const paywall::Snapshot& snapshot) {
  std::map<const http::Client*, std::vector<http::Origin>> used;
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < snapshot.settings.services.size(); ++i) {
    const auto& service = snapshot.settings.services[i];
    const TrustView trust = trust_of(service);
    if (trust != TrustView{} && !by_trust_.contains(trust)) add(service);
    auto& origins = used[&client_for(service)];
    for (const auto& address : snapshot.upstreams[i]->addresses)
      origins.push_back(address->origin());
    names.insert(service.name.str());
  }
  const auto keep_used = [&used](http::Client& client) {
    auto& origins = used[&client];
    std::ranges::sort(origins);
    client.keep_only(origins);
  };
  keep_used(*system_);
  for (auto& [trust, client] : by_trust_) keep_used(*client);
  // Requests in flight hold the balancers that they need.
  std::erase_if(balancers_, [&names](const auto& entry) { return !names.contains(entry.first); });
}

http::Client& Upstreams::client_for(const paywall::ServiceSettings& service) {
  const TrustView trust = trust_of(service);
  if (trust == TrustView{}) return *system_;
  auto found = by_trust_.find(trust);
  return found == by_trust_.end() ? *system_ : *found->second;
}

std::shared_ptr<upstream::Balancer> Upstreams::balancer_for(
    std::shared_ptr<const upstream::Group> group) {
  std::shared_ptr<upstream::Balancer>& kept = balancers_[group->service];
  kept = std::make_shared<upstream::Balancer>(std::move(group), turn_, kept.get());
  return kept;
}

}  // namespace octroi::app
