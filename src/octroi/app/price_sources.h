// octroi/app/price_sources.h: the price sources of one loop, by name. Thread: the loop's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "octroi/base/metrics.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/ports.h"
#include "octroi/paywall/settings.h"

namespace octroi::app {

class PriceSources final : public paywall::PriceSources {
 public:
  PriceSources(net::Loop& loop, MetricRegistry& metrics) : loop_(loop), metrics_(metrics) {}

  /// What did not change keeps its connections; calls under way end as they began.
  void publish(const paywall::PaywallSettings& settings);
  [[nodiscard]] pricing::PriceSource* find(std::string_view name) override;

 private:
  struct Source {
    paywall::PriceSourceSettings settings;
    std::unique_ptr<pricing::PriceSource> source;
  };
  net::Loop& loop_;
  MetricRegistry& metrics_;
  std::map<std::string, Source, std::less<>> sources_;
};

}  // namespace octroi::app
