#include <utility>

#include "octroi/paywall/gate.h"
#include "octroi/secrets/key_ring.h"

namespace octroi::paywall {

namespace {

std::vector<std::string> labels_of(const std::vector<std::shared_ptr<const Secret>>& ring) {
  std::vector<std::string> out;
  for (const auto& key : ring) out.push_back(secrets::key_label(*key));
  return out;
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> Snapshot::build(PaywallSettings settings,
                                                        MetricRegistry& registry,
                                                        upstream::Directory* directory) {
  auto snapshot = std::make_shared<Snapshot>();
  OCTROI_TRY(snapshot->routes, RouteTable::build(settings.services));
  std::vector<const Secret*> secrets;
  for (const auto& s : settings.secret) secrets.push_back(s.get());
  OCTROI_TRY(auto payment_keys, mpp::KeyRing::from_secrets(secrets));
  snapshot->payment_keys = std::make_shared<mpp::KeyRing>(std::move(payment_keys));
  OCTROI_TRY(auto l402_keys, l402::RootKeys::make(settings.l402_keys));
  snapshot->l402_keys = std::make_shared<l402::RootKeys>(std::move(l402_keys));
  upstream::Directory nothing_known(registry);
  if (directory == nullptr) directory = &nothing_known;
  const auto labels = std::make_shared<const KeyLabels>(
      KeyLabels{labels_of(settings.l402_keys), labels_of(settings.secret)});
  for (const auto& s : settings.services) {
    snapshot->metrics.push_back(std::make_unique<ServiceMetrics>(registry, s.name.str(), labels));
    snapshot->upstreams.push_back(
        directory->group(s.name.str(), s.upstream.scheme, s.upstream.addresses, s.upstream.policy));
  }
  snapshot->no_service = std::make_unique<ServiceMetrics>(registry, "", labels);
  snapshot->discovery = Discovery(settings);
  snapshot->settings = std::move(settings);
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

http::Protocol protocol_of(const UpstreamSettings& upstream, RequestKind kind) {
  switch (upstream.protocol) {
    case UpstreamProtocol::http1:
      return http::Protocol::http1;
    case UpstreamProtocol::h2:
      return http::Protocol::h2;
    case UpstreamProtocol::automatic:
      break;
  }
  if (kind == RequestKind::upgrade) return http::Protocol::http1;  // has no place in HTTP/2
  if (upstream.scheme == "https") return http::Protocol::automatic;
  // Over cleartext nothing can be agreed on, and gRPC has no other HTTP.
  return kind == RequestKind::grpc ? http::Protocol::h2 : http::Protocol::http1;
}

}  // namespace octroi::paywall
