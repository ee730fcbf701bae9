// octroi/paywall/service_metrics.h: the cells of one service, looked up once so that a request only
// adds. Thread: any.
#pragma once

#include <array>
#include <string>

#include "octroi/base/metrics.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

/// How a request ended, as octroi_requests_total tells it.
enum class Outcome : std::uint8_t {
  paid,         // a proof was accepted and the upstream answered
  replayed,     // a kept answer was given again
  free,         // no payment was needed
  challenged,   // 402 with a challenge
  refused,      // another 4xx of ours
  limited,      // 429
  not_found,    // no service
  upstream,     // the upstream failed
  unavailable,  // we could not answer (store or node)
  discovery,    // /openapi.json, /llms.txt
  preflight,    // CORS
};
inline constexpr std::size_t kOutcomes = 11;
[[nodiscard]] std::string_view to_string(Outcome o);

struct ServiceMetrics {
  ServiceMetrics(MetricRegistry& registry, const std::string& service);

  [[nodiscard]] Counter& requests(Outcome o) { return *requests_[static_cast<std::size_t>(o)]; }
  Counter& challenges_l402;
  Counter& challenges_lsat;
  Counter& challenges_payment;
  Counter& payments_charge;
  Histogram& latency;

 private:
  std::array<Counter*, kOutcomes> requests_{};
};

}  // namespace octroi::paywall
