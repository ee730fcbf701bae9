#include "octroi/app/price_sources.h"

#include <utility>

#include "octroi/adapters/pricer/remote.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {

bool same_secret(const std::shared_ptr<const Secret>& a, const std::shared_ptr<const Secret>& b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->equals(*b);
}

bool same(const paywall::PriceSourceSettings& a, const paywall::PriceSourceSettings& b) {
  return a.protocol == b.protocol && a.url == b.url && a.ca_pem == b.ca_pem &&
         a.server_name == b.server_name && a.timeout == b.timeout && same_secret(a.token, b.token);
}

pricer::RemoteOptions options_of(const paywall::PriceSourceSettings& s) {
  pricer::RemoteOptions out;
  out.name = s.name;
  out.protocol =
      s.protocol == paywall::PriceProtocol::grpc ? pricer::Protocol::grpc : pricer::Protocol::http;
  out.url = s.url;
  out.ca_pem = s.ca_pem;
  out.server_name = s.server_name;
  out.token = s.token;
  out.timeout = s.timeout;
  return out;
}

}  // namespace

void PriceSources::publish(const paywall::PaywallSettings& settings) {
  std::map<std::string, Source, std::less<>> next;
  for (const auto& wanted : settings.price_sources) {
    if (wanted.token) redactor().add(*wanted.token);
    if (auto kept = sources_.find(wanted.name);
        kept != sources_.end() && same(kept->second.settings, wanted)) {
      next.emplace(wanted.name, std::move(kept->second));
      continue;
    }
    auto made = pricer::make_remote_pricer(loop_, options_of(wanted), metrics_);
    if (!made) {
      // The configuration check read its parts before; without it nothing is sold by its prices.
      OCTROI_LOG(error, "app", "price source unusable",
                 {{"source", wanted.name}, {"error", made.error().message()}});
      continue;
    }
    next.emplace(wanted.name, Source{wanted, std::move(*made)});
  }
  sources_ = std::move(next);
}

pricing::PriceSource* PriceSources::find(std::string_view name) {
  const auto found = sources_.find(name);
  return found == sources_.end() ? nullptr : found->second.source.get();
}

}  // namespace octroi::app
