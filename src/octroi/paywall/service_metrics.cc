#include "octroi/paywall/service_metrics.h"

namespace octroi::paywall {

std::string_view to_string(Outcome o) {
  switch (o) {
    case Outcome::paid:
      return "paid";
    case Outcome::replayed:
      return "replayed";
    case Outcome::free:
      return "free";
    case Outcome::challenged:
      return "challenged";
    case Outcome::refused:
      return "refused";
    case Outcome::limited:
      return "limited";
    case Outcome::not_found:
      return "not_found";
    case Outcome::upstream:
      return "upstream_failed";
    case Outcome::unavailable:
      return "unavailable";
    case Outcome::discovery:
      return "discovery";
    case Outcome::preflight:
      return "preflight";
  }
  return "unknown";
}

namespace {
Counter& challenge_counter(MetricRegistry& registry, const std::string& service,
                           const char* scheme) {
  return registry.counter("octroi_challenges_total", "Challenges handed out",
                          {{"service", service}, {"scheme", scheme}});
}
}  // namespace

ServiceMetrics::ServiceMetrics(MetricRegistry& registry, const std::string& service)
    : challenges_l402(challenge_counter(registry, service, "l402")),
      challenges_lsat(challenge_counter(registry, service, "lsat")),
      challenges_payment(challenge_counter(registry, service, "payment")),
      payments_charge(registry.counter("octroi_payments_total",
                                       "Payments proven for the first time",
                                       {{"service", service}, {"scheme", "mpp_charge"}})),
      latency(registry.histogram("octroi_request_duration_seconds",
                                 "From the end of the request head to the end of the answer",
                                 {{"service", service}})) {
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    requests_[i] = &registry.counter(
        "octroi_requests_total", "Requests by how they ended",
        {{"service", service}, {"outcome", std::string(to_string(static_cast<Outcome>(i)))}});
  }
}

}  // namespace octroi::paywall
