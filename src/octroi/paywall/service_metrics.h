// octroi/paywall/service_metrics.h: the cells of one service, looked up once so that a request only
// adds.
//
// Every label is one of a bounded set: outcomes, judgements, and the labels of the ring's keys,
// which are stable over a rotation and tell nothing about a key. Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/metrics.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"
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

/// What became of a credential, as octroi_verifications_total tells it.
enum class Judged : std::uint8_t {
  accepted,
  refused,            // for a reason that has no label of its own
  malformed,          // it cannot be read
  several,            // more than one where one is wanted
  method,             // another payment method
  intent,             // another intent
  field,              // in the field that its challenge did not name
  unknown_challenge,  // not issued for this place, or not by us
  expired,
  invalid,           // signature or preimage of a token
  invalid_preimage,  // of a charge
  caveat_denied,     // the token does not cover this request
  used_up,           // the token's number of requests is reached
  revoked,
  not_settled,   // strict
  spent,         // used before
  unknown_hash,  // no invoice of ours
  pending,       // being delivered now
  unavailable,  // it could not be judged
  session_not_found,
  session_closed,
  insufficient_balance,
  price_changed,   // a bearer's challenge showed another price than the route has
  return_invoice,  // not one that a refund could be sent to
};
inline constexpr std::size_t kJudged = 24;
[[nodiscard]] std::string_view to_string(Judged j);

/// What happened to a session, as octroi_session_events_total tells it.
enum class SessionEvent : std::uint8_t { opened, topped_up, closed };
[[nodiscard]] std::string_view to_string(SessionEvent e);

/// Names for the keys of the two rings, newest first: secrets::key_label of each.
struct KeyLabels {
  std::vector<std::string> l402;
  std::vector<std::string> payment;
};

class ServiceMetrics {
 public:
  ServiceMetrics(MetricRegistry& registry, const std::string& service,
                 std::shared_ptr<const KeyLabels> keys);

  [[nodiscard]] Counter& requests(Outcome o) { return *requests_[static_cast<std::size_t>(o)]; }
  /// `key` is the position in the scheme's ring; empty: no key was found to fit.
  void judged(OfferScheme scheme, Judged result, std::optional<std::size_t> key);
  /// A proof was accepted for the first time: the one place that counts it.
  void first_payment(ledger::Scheme scheme, Msat amount);
  /// By its client; what the reaper and the operator close is counted where they do it.
  void session_event(SessionEvent event);

  Counter& challenges_l402;
  Counter& challenges_lsat;
  Counter& challenges_payment;
  Histogram& latency;

 private:
  MetricRegistry& registry_;
  std::string service_;
  std::shared_ptr<const KeyLabels> keys_;
  std::array<Counter*, kOutcomes> requests_{};
  Counter& payments_l402_;
  Counter& payments_charge_;
  Counter& payments_session_;
  Counter& paid_msat_;
  /// By scheme, key (the first is "none") and result; a cell is made when it is first needed,
  /// because most never are.
  using Cells = std::array<std::atomic<Counter*>, kJudged>;
  std::array<std::vector<Cells>, 2> verifications_;
};

}  // namespace octroi::paywall
