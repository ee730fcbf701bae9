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

std::string_view to_string(Judged j) {
  switch (j) {
    case Judged::accepted:
      return "accepted";
    case Judged::refused:
      return "refused";
    case Judged::malformed:
      return "malformed";
    case Judged::several:
      return "several";
    case Judged::method:
      return "method";
    case Judged::intent:
      return "intent";
    case Judged::field:
      return "field";
    case Judged::unknown_challenge:
      return "unknown_challenge";
    case Judged::expired:
      return "expired";
    case Judged::invalid:
      return "invalid";
    case Judged::invalid_preimage:
      return "invalid_preimage";
    case Judged::caveat_denied:
      return "caveat_denied";
    case Judged::used_up:
      return "used_up";
    case Judged::revoked:
      return "revoked";
    case Judged::not_settled:
      return "not_settled";
    case Judged::spent:
      return "spent";
    case Judged::unknown_hash:
      return "unknown_hash";
    case Judged::pending:
      return "pending";
    case Judged::unavailable:
      return "unavailable";
    case Judged::session_not_found:
      return "session_not_found";
    case Judged::session_closed:
      return "session_closed";
    case Judged::insufficient_balance:
      return "insufficient_balance";
    case Judged::price_changed:
      return "price_changed";
    case Judged::return_invoice:
      return "return_invoice";
  }
  return "unknown";
}

std::string_view to_string(SessionEvent e) {
  switch (e) {
    case SessionEvent::opened:
      return "opened";
    case SessionEvent::topped_up:
      return "topped_up";
    case SessionEvent::closed:
      return "closed";
  }
  return "unknown";
}

namespace {

Counter& challenge_counter(MetricRegistry& registry, const std::string& service,
                           const char* scheme) {
  return registry.counter("octroi_challenges_total", "Challenges handed out",
                          {{"service", service}, {"scheme", scheme}});
}

Counter& payment_counter(MetricRegistry& registry, const std::string& service,
                         ledger::Scheme scheme) {
  return registry.counter("octroi_payments_total", "Payments proven for the first time",
                          {{"service", service}, {"scheme", std::string(to_string(scheme))}});
}

constexpr std::size_t index_of(OfferScheme scheme) { return static_cast<std::size_t>(scheme); }

}  // namespace

ServiceMetrics::ServiceMetrics(MetricRegistry& registry, const std::string& service,
                               std::shared_ptr<const KeyLabels> keys)
    : challenges_l402(challenge_counter(registry, service, "l402")),
      challenges_lsat(challenge_counter(registry, service, "lsat")),
      challenges_payment(challenge_counter(registry, service, "payment")),
      latency(registry.histogram("octroi_request_duration_seconds",
                                 "From the end of the request head to the end of the answer",
                                 {{"service", service}})),
      registry_(registry),
      service_(service),
      keys_(std::move(keys)),
      payments_l402_(payment_counter(registry, service, ledger::Scheme::l402)),
      payments_charge_(payment_counter(registry, service, ledger::Scheme::mpp_charge)),
      payments_session_(payment_counter(registry, service, ledger::Scheme::mpp_session)),
      paid_msat_(registry.counter("octroi_paid_msat_total", "Millisatoshi paid and proven")),
      verifications_{std::vector<Cells>(keys_->l402.size() + 1),
                     std::vector<Cells>(keys_->payment.size() + 1)} {
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    requests_[i] = &registry.counter(
        "octroi_requests_total", "Requests by how they ended",
        {{"service", service}, {"outcome", std::string(to_string(static_cast<Outcome>(i)))}});
  }
}

void ServiceMetrics::judged(OfferScheme scheme, Judged result, std::optional<std::size_t> key) {
  auto& rows = verifications_[index_of(scheme)];
  const std::size_t row = key && *key + 1 < rows.size() ? *key + 1 : 0;
  std::atomic<Counter*>& cell = rows[row][static_cast<std::size_t>(result)];
  Counter* counter = cell.load(std::memory_order_acquire);
  if (counter == nullptr) {
    const auto& labels = scheme == OfferScheme::l402 ? keys_->l402 : keys_->payment;
    counter = &registry_.counter("octroi_verifications_total", "Credentials judged",
                                 {{"service", service_},
                                  {"scheme", scheme == OfferScheme::l402 ? "l402" : "payment"},
                                  {"result", std::string(to_string(result))},
                                  {"key_version", row == 0 ? std::string() : labels[row - 1]}});
    cell.store(counter, std::memory_order_release);  // whoever else looked it up found the same
  }
  counter->add();
}

void ServiceMetrics::first_payment(ledger::Scheme scheme, Msat amount) {
  switch (scheme) {
    case ledger::Scheme::l402:
      payments_l402_.add();
      break;
    case ledger::Scheme::mpp_charge:
      payments_charge_.add();
      break;
    case ledger::Scheme::mpp_session:
      payments_session_.add();
      break;
  }
  paid_msat_.add(amount.count() /* raw: a counter's increment */);
}

void ServiceMetrics::session_event(SessionEvent event) {
  registry_
      .counter("octroi_session_events_total", "What happened to prepaid sessions",
               {{"service", service_}, {"event", std::string(to_string(event))}})
      .add();
}

}  // namespace octroi::paywall
