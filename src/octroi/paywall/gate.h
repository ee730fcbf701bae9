// octroi/paywall/gate.h: the paywall door: one request from its head to its last byte.
//
// The order of the story is a promise (architecture 3.7): route → ordinary authentication →
// credential → proof → binding → consume → relay → receipt → account. A request that did not pay
// never reaches the upstream, and nothing is written for it but the challenge.
//
// Thread  one Gate per worker, used on its loop; Snapshot is immutable and shared.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/http/relay.h"
#include "octroi/http/server.h"
#include "octroi/l402/keys.h"
#include "octroi/l402/verify.h"
#include "octroi/ledger/usage_reports.h"
#include "octroi/mpp/ids.h"
#include "octroi/paywall/answers.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/discovery.h"
#include "octroi/paywall/request_id.h"
#include "octroi/paywall/route.h"
#include "octroi/paywall/service_metrics.h"
#include "octroi/paywall/session_meter.h"
#include "octroi/paywall/settings.h"
#include "octroi/paywall/shared.h"
#include "octroi/upstream/attempt.h"
#include "octroi/upstream/balancer.h"

namespace octroi::paywall {

/// The configuration, compiled; swapped whole on reload.
struct Snapshot {
  PaywallSettings settings;
  RouteTable routes;
  std::shared_ptr<const mpp::KeyRing> payment_keys;
  std::shared_ptr<const l402::RootKeys> l402_keys;
  std::vector<std::unique_ptr<ServiceMetrics>> metrics;  // by service index
  std::unique_ptr<ServiceMetrics> no_service;
  std::vector<std::shared_ptr<const upstream::Group>> upstreams;  // by service index
  Discovery discovery;

  /// `settings.secret` and `settings.l402_keys` must be filled. The directory remembers how the
  /// addresses of upstreams were; null: nothing is known of them.
  [[nodiscard]] static Result<std::shared_ptr<const Snapshot>> build(
      PaywallSettings settings, MetricRegistry& metrics, upstream::Directory* directory = nullptr);
};

enum class RequestKind : std::uint8_t { ordinary, grpc, upgrade };
/// The HTTP in which such a request goes to the upstream.
[[nodiscard]] http::Protocol protocol_of(const UpstreamSettings& upstream, RequestKind kind);

/// Which pool of upstream connections a service uses, and which of its addresses is next.
class UpstreamClients {
 public:
  virtual ~UpstreamClients() = default;
  /// Asked once for each service of a snapshot.
  [[nodiscard]] virtual std::shared_ptr<upstream::Balancer> balancer_for(
      std::shared_ptr<const upstream::Group> group) {
    return std::make_shared<upstream::Balancer>(std::move(group), 0);
  }
  [[nodiscard]] virtual http::Client& client_for(const ServiceSettings& service) = 0;
};

class Gate {
 public:
  /// `prices` null: there are no dynamic prices, and a service that wants one sells nothing.
  Gate(Shared& shared, UpstreamClients& upstreams, std::shared_ptr<const Snapshot> snapshot,
       std::shared_ptr<const l402::RevocationSet> revoked, PriceSources* prices = nullptr);
  ~Gate();

  Task<void> handle(http::Exchange& exchange);

  /// The next request sees it; requests in flight end under the snapshot they began with.
  void publish(std::shared_ptr<const Snapshot> snapshot);
  void publish(std::shared_ptr<const l402::RevocationSet> revoked);

 private:
  struct Visit;  // everything about one request
  struct Door;   // a snapshot with this worker's authenticators
  struct OffersMade;
  struct Passage;  // its way to the upstream and back

  Task<void> serve(Visit& visit);
  Task<void> serve_route(Visit& visit);
  Task<void> serve_priced(Visit& visit);
  Task<bool> read_bound_body(Visit& visit);
  Task<bool> read_told_body(Visit& visit);
  Task<bool> set_aside(Visit& visit, Grant& grant);
  Task<bool> set_aside_tokens(Visit& visit, Grant& grant, pricing::UnitPrice price);
  Task<bool> admit_free(Visit& visit);
  Task<bool> within_rates(Visit& visit, const Grant* grant);
  Task<bool> take_of_rates(Visit& visit, const Grant* grant);
  Task<bool> take_of_shared_rates(Visit& visit, const Grant* grant);
  [[nodiscard]] Result<pricing::Quote> written_price(const Visit& visit) const;
  [[nodiscard]] static pricing::PriceRequest price_request(const Visit& visit);
  Task<Result<pricing::Quote>> quoted_price(const Visit& visit);
  [[nodiscard]] pricing::Pricer* pricer_of(const Visit& visit) const;
  Task<Result<>> book_bundle(Visit& visit, TokenId token, Msat price);
  Task<Result<pricing::SessionQuote>> quoted_session(Visit& visit, std::string session);
  Task<Admission> admit(Visit& visit, Authenticator& authenticator, const Grant& grant);
  Task<std::optional<Refusal>> authorize(Visit& visit, const Grant& grant);
  Task<Result<>> open_report(Visit& visit, ledger::UsageReport report);
  Task<void> finish_report(Visit& visit, ledger::ReportedAnswer answer);
  Task<bool> reach_upstream(Visit& visit, const Grant& grant);
  static void rewrite(Visit& visit, const Grant* grant);
  [[nodiscard]] http::RelayOptions relay_options(Passage& passage);
  Task<void> deliver(Visit& visit, Authenticator* authenticator, const Grant* grant);
  Task<void> bill(Passage& passage, const http::RelayResult& result);
  Task<void> refuse_unanswered(Passage& passage, const http::RelayResult& result);
  Task<void> challenge(Visit& visit, std::optional<Refusal> refusal,
                       const Authenticator* refused_by);
  Task<std::optional<UnpaidBound::Place>> hold_place(Visit& visit, OfferScheme scheme,
                                                     OffersMade& made);
  Task<bool> tell_price(Visit& visit, OfferScheme scheme, OffersMade& made);
  Task<void> make_offers(Visit& visit, Authenticator& authenticator, OffersMade& made);
  Task<void> make_offer(Visit& visit, Authenticator& authenticator, Intent intent,
                        OffersMade& made);
  Task<void> no_offer(Visit& visit, const OffersMade& made);
  Task<void> refuse_answer(Visit& visit, Refusal refusal, const Authenticator* by);
  Task<void> replay(Visit& visit, const Authenticator& authenticator, const Grant& grant,
                    ledger::StoredResponse stored);

  Task<void> refuse(Visit& visit, Complaint complaint, std::optional<Millis> retry_after);
  Task<void> answer(Visit& visit, http::ResponseHead head, std::string body, std::string grpc_text,
                    const http::Headers* trailers = nullptr);
  [[nodiscard]] static Millis exchange_time(const Visit& visit);
  [[nodiscard]] static bool past_deadline(const Visit& visit);
  [[nodiscard]] static Fate fate_of(const Visit& visit, const http::RelayResult& result);
  static void tell(Visit& visit, const Grant& grant);
  [[nodiscard]] std::unique_ptr<SessionMeter> meter_for(const Visit& visit, const Grant& grant);
  [[nodiscard]] SessionMeter::Terms terms_of(const Visit& visit, Msat reserved,
                                             pricing::UnitPrice price) const;
  void finish(Visit& visit);

  [[nodiscard]] upstream::Attempt& attempt_of(Visit& visit);

  Shared& shared_;
  RequestIds request_ids_;
  UpstreamClients& upstreams_;
  PriceSources* prices_;
  std::shared_ptr<const l402::RevocationSet> revoked_;
  std::shared_ptr<Door> door_;
};

}  // namespace octroi::paywall
