// octroi/paywall/gate_visit.h: what the parts of the gate share: a snapshot with one worker's
// authenticators, and everything about one request. For gate*.cc only.
//
// The parts, in the order of a request: gate.cc (the story), gate_body.cc (bodies that are read
// ahead), gate_rates.cc (what is counted before anything is paid), gate_prices.cc (sources of
// prices and their accounts), gate_deliver.cc (the way to the upstream and back), gate_offers.cc
// (the 402), gate_trace.cc (what of it is traced).
//
// Thread  as gate.h.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "octroi/base/trace.h"
#include "octroi/paywall/gate.h"
#include "octroi/paywall/l402_auth.h"
#include "octroi/paywall/open_report.h"
#include "octroi/paywall/payment_auth.h"

namespace octroi::paywall {

inline constexpr std::string_view kModule = "paywall";
/// When to ask again where a price, an invoice or an account cannot be had.
inline constexpr Millis kUnavailableRetry{5'000};
/// The same where something cannot be counted over all replicas.
inline constexpr Millis kUncountedRetry{1'000};

/// Methods whose bodies are bound into Payment challenges and told to sources of prices.
[[nodiscard]] inline bool has_body_to_bind(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

/// How the answer to a request is billed by what it holds; empty: it is not.
[[nodiscard]] std::optional<pricing::UnitPrice> metered_price_of(const Service& service,
                                                                 const Grant& grant);

struct Gate::Door {
  Door(std::shared_ptr<const Snapshot> s, Shared& shared, UpstreamClients& upstreams,
       std::shared_ptr<const l402::RevocationSet> revoked)
      : snapshot(std::move(s)),
        l402(shared, snapshot->l402_keys, std::move(revoked), snapshot->settings.realm + " ",
             snapshot->settings.challenge_ttl, snapshot->settings.rate),
        payment(shared, snapshot->payment_keys,
                {snapshot->settings.realm, snapshot->settings.challenge_ttl,
                 snapshot->settings.verify_within, snapshot->settings.rate}) {
    for (const auto& group : snapshot->upstreams)
      balancers.push_back(upstreams.balancer_for(group));
  }

  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::shared_ptr<upstream::Balancer>> balancers;  // by service index
  L402Authenticator l402;
  PaymentAuthenticator payment;
  /// In the order in which challenges stand on a 402: L402 first, because clients in the field read
  /// the first line they understand (mpp.md 6.1).
  std::array<Authenticator*, 2> authenticators{&l402, &payment};
};

struct Gate::Visit {
  explicit Visit(http::Exchange& e, std::shared_ptr<Door> d) : exchange(e), door(std::move(d)) {}

  http::Exchange& exchange;
  std::shared_ptr<Door> door;  // holds its snapshot for as long as the request lives
  UnixMillis started;
  ClientIdentity client;
  std::string request_id;
  std::string path;  // decoded, normalised
  Credentials credentials;
  const Service* service = nullptr;
  std::optional<std::string> body;                 // read ahead, when it is bound
  std::optional<upstream::Attempt> attempt;        // this request's way to an upstream
  std::unique_ptr<http::ClientExchange> upstream;  // opened before a payment is consumed
  std::optional<RequestContext> context;
  bool grpc = false;
  std::optional<Millis> deadline;      // of a gRPC call, in the loop's time
  std::optional<int> grpc_status;      // what an upstream that reset the call meant by it
  std::unique_ptr<OpenReport> report;  // to a source of prices
  Msat next_price;                     // of a bundle, as the refusal of the last one said
  std::uint64_t input_tokens = 0;      // of the request, where its session pays by the token
  bool used_payment_authorization = false;

  // for the access log and metrics
  Outcome outcome = Outcome::refused;
  int status = 0;
  std::string scheme;
  std::string intent;
  std::string challenge_id;
  std::unique_ptr<RequestTrace> trace;  // null: it is not recorded

  // gate_trace.cc, of requests that are recorded
  /// Begins, and is named to the upstream.
  [[nodiscard]] std::unique_ptr<Span> begin_hop() const;
  void end_hop(std::unique_ptr<Span> hop, const http::RelayResult& result);
  void end_trace();

  [[nodiscard]] RequestKind kind() const {
    if (grpc) return RequestKind::grpc;
    const http::RequestHead& head = exchange.request();
    return head.version == http::Version::http11 && head.headers.has("upgrade")
               ? RequestKind::upgrade
               : RequestKind::ordinary;
  }
  [[nodiscard]] const Snapshot& snapshot() const { return *door->snapshot; }
  [[nodiscard]] http::RequestHead& request() const { return exchange.request(); }
  [[nodiscard]] ServiceMetrics& metrics() const {
    return service != nullptr ? *snapshot().metrics[service->index] : *snapshot().no_service;
  }
};

}  // namespace octroi::paywall
