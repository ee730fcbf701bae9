#include "octroi/paywall/gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/mpp/binding.h"
#include "octroi/mpp/digest.h"
#include "octroi/net/deadline.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/cors.h"
#include "octroi/paywall/errors.h"
#include "octroi/paywall/grpc.h"
#include "octroi/paywall/l402_auth.h"
#include "octroi/paywall/open_report.h"
#include "octroi/paywall/payment_auth.h"
#include "octroi/paywall/payment_checks.h"
#include "octroi/paywall/session_account.h"
#include "octroi/pricing/request_text.h"
#include "octroi/secrets/key_ring.h"

namespace octroi::paywall {

namespace {

constexpr std::string_view kModule = "paywall";
constexpr std::size_t kStoredBody = 64 * 1024;  // of an answer, for Idempotency-Key
constexpr Millis kUnavailableRetry{5'000};
constexpr Millis kUncountedRetry{1'000};
constexpr Millis kQuoteDeadline{5'000};  // for a source of prices, as for an invoice
constexpr Millis kReportOpen{120'000};   // unless somebody keeps it open (usage_desk.h)
constexpr std::size_t kReason = 256;     // of a refusal by a source of prices

bool has_body_to_bind(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

/// Before the name of what followed the body.
constexpr std::string_view kTrailer = "octroi-trailer-";

/// No address of the service could be reached, and nothing was sent or consumed.
Complaint unreached() {
  return complaint({mpp::ProblemType::internal_payment_error,
                    "the upstream cannot be reached; nothing was consumed"},
                   503);
}

/// What was wrong with the client's message, when it is that for which nothing was answered.
std::optional<Complaint> complaint_about_body(const http::RelayResult& result) {
  if (!result.error) return std::nullopt;
  if (result.error->is(http::Errc::body_too_large)) {
    return Complaint{413, "the request body is larger than this service takes"};
  }
  if (!result.client_fault) return std::nullopt;
  if (result.error->is(http::Errc::head_too_large)) {
    return Complaint{431, "the trailer section is too large"};
  }
  if (result.error->is(http::Errc::timeout)) {
    return Complaint{408, "the request body did not arrive in time"};
  }
  return complaint({mpp::ProblemType::bad_request, "the request body could not be read"}, 400);
}

bool acceptable_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::vector<std::string> labels_of(const std::vector<std::shared_ptr<const Secret>>& ring) {
  std::vector<std::string> out;
  for (const auto& key : ring) out.push_back(secrets::key_label(*key));
  return out;
}

/// Fields that a source of prices has no business with.
bool is_private_field(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kPrivate = {
      "Authorization", "Payment-Authorization",  "Proxy-Authorization",
      "Macaroon",      "Grpc-Metadata-Macaroon", "Cookie"};
  return std::any_of(kPrivate.begin(), kPrivate.end(),
                     [name](auto p) { return http::equal_ignoring_case(p, name); });
}

}  // namespace

// ------------------------------------------------------------------------------------------------

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
  std::optional<Millis> deadline;  // of a gRPC call, in the loop's time
  std::optional<int> grpc_status;  // what an upstream that reset the call meant by it
  std::unique_ptr<OpenReport> report;  // to a source of prices
  Msat next_price;                     // of a bundle, as the refusal of the last one said
  std::uint64_t input_tokens = 0;  // of the request, where its session pays by the token
  bool used_payment_authorization = false;

  // for the access log and metrics
  Outcome outcome = Outcome::refused;
  int status = 0;
  std::string scheme;
  std::string intent;
  std::string challenge_id;

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

Millis Gate::exchange_time(const Visit& visit) { return visit.exchange.loop().now(); }
bool Gate::past_deadline(const Visit& visit) {
  return visit.deadline && exchange_time(visit) >= *visit.deadline;
}

namespace {
/// A whole answer that ends in trailers.
Task<Result<>> respond_with(http::Exchange& exchange, http::ResponseHead head, std::string body,
                            http::Headers trailers) {
  OCTROI_CO_CHECK(co_await exchange.start(std::move(head), std::nullopt));
  if (!body.empty()) OCTROI_CO_CHECK(co_await exchange.write(as_bytes(body)));
  co_return co_await exchange.finish(trailers);
}
}  // namespace

Gate::Gate(Shared& shared, UpstreamClients& upstreams, std::shared_ptr<const Snapshot> snapshot,
           std::shared_ptr<const l402::RevocationSet> revoked, PriceSources* prices)
    : shared_(shared),
      request_ids_(shared.random),
      upstreams_(upstreams),
      prices_(prices),
      revoked_(std::move(revoked)),
      door_(std::make_shared<Door>(std::move(snapshot), shared, upstreams, revoked_)) {}
Gate::~Gate() = default;

void Gate::publish(std::shared_ptr<const Snapshot> snapshot) {
  door_ = std::make_shared<Door>(std::move(snapshot), shared_, upstreams_, revoked_);
}
void Gate::publish(std::shared_ptr<const l402::RevocationSet> revoked) {
  revoked_ = std::move(revoked);
  door_->l402.publish(revoked_);
}

// ------------------------------------------------------------------------------------------------
// The story of a request.

Task<void> Gate::handle(http::Exchange& exchange) {
  Visit visit(exchange, door_);
  visit.started = shared_.clock.now();
  visit.client = identify(exchange.peer().address, exchange.peer().tls, visit.request().headers,
                          visit.snapshot().settings.trusted_proxies);
  const auto given = visit.request().headers.get("X-Request-Id");
  visit.request_id = visit.client.through_trusted_proxy && given && acceptable_request_id(*given)
                         ? std::string(*given)
                         : request_ids_.next();
  visit.grpc = is_grpc(visit.request().headers);
  if (visit.grpc) {
    if (const auto limit = grpc_timeout(visit.request().headers)) {
      visit.deadline = exchange.loop().now() + *limit;
    }
  }
  visit.used_payment_authorization = visit.request().headers.has("Payment-Authorization");
  co_await serve(visit);
  finish(visit);
}

Task<void> Gate::serve(Visit& visit) {
  const PaywallSettings& settings = visit.snapshot().settings;
  if (contains(settings.block, visit.client.address)) {
    co_await refuse(visit, Complaint{403, "this address is blocked"}, std::nullopt);
    co_return;
  }
  // What is matched, priced and bound is the decoded, normalised path; a path that cannot be read
  // one way only is refused.
  auto path = mpp::normalise_path(visit.request().path());
  if (!path) {
    co_await refuse(
        visit, complaint({mpp::ProblemType::bad_request, std::string(path.error().message())}, 400),
        std::nullopt);
    co_return;
  }
  visit.path = std::move(*path);
  const std::string_view authority =
      visit.client.host.empty() ? visit.request().authority : visit.client.host;
  visit.service = visit.snapshot().routes.find(host_without_port(authority), visit.path);

  const bool reading = visit.request().method == "GET" || visit.request().method == "HEAD";
  if (reading && (visit.path == "/openapi.json" || visit.path == "/llms.txt") &&
      (visit.service == nullptr || visit.service->settings.discovery_shadow)) {
    const Discovery& d = visit.snapshot().discovery;
    const std::string& text = visit.path == "/openapi.json" ? d.openapi() : d.llms();
    if (!text.empty()) {
      visit.outcome = Outcome::discovery;
      http::ResponseHead head;
      head.headers.set("Content-Type", visit.path == "/openapi.json" ? "application/json"
                                                                     : "text/plain; charset=utf-8");
      head.headers.set("Cache-Control", "max-age=300");
      co_await answer(visit, std::move(head), text, {});
      co_return;
    }
  }
  if (visit.service == nullptr) {
    visit.outcome = Outcome::not_found;
    co_await refuse(visit, Complaint{404, "no service answers at this host and path"},
                    std::nullopt);
    co_return;
  }
  co_await serve_route(visit);
}

Task<void> Gate::serve_route(Visit& visit) {
  const Service& service = *visit.service;
  if (contains(service.settings.block, visit.client.address)) {
    co_await refuse(visit, Complaint{403, "this address is blocked"}, std::nullopt);
    co_return;
  }
  if (service.settings.cors.enabled && is_preflight(visit.request())) {
    visit.outcome = Outcome::preflight;
    co_await answer(visit, preflight_answer(service.settings.cors, visit.request()), {}, {});
    co_return;
  }
  if (!service.method_allowed(visit.request().method) && visit.request().method != "OPTIONS") {
    http::ResponseHead head;
    head.status = 405;
    std::string allow;
    for (const auto& m : service.settings.methods) allow += (allow.empty() ? "" : ", ") + m;
    head.headers.set("Allow", allow);
    head.headers.set("Content-Type", "text/plain; charset=utf-8");
    co_await answer(visit, std::move(head), "method not allowed\n", "method not allowed");
    co_return;
  }
  if (visit.request().headers.count("Content-Length") > 0 &&
      visit.exchange.body().length().value_or(0) > service.settings.max_body) {
    co_await refuse(
        visit,
        Complaint{413, fmt::format("the body is larger than this service takes ({} bytes)",
                                   service.settings.max_body)},
        std::nullopt);
    co_return;
  }

  visit.credentials = collect_credentials(visit.request().headers);
  if (visit.credentials.ordinary.size() > 1 || visit.credentials.mixed) {
    co_await refuse(
        visit,
        complaint({mpp::ProblemType::bad_request, "send one Authorization field of one scheme"},
                  400),
        std::nullopt);
    co_return;
  }

  const bool whitelisted = std::any_of(service.free_paths.begin(), service.free_paths.end(),
                                       [&](const Pattern& p) { return p.matches(visit.path); });
  if (!service.settings.auth || whitelisted) {
    if (!co_await within_rates(visit, nullptr)) co_return;
    visit.outcome = Outcome::free;
    co_await deliver(visit, nullptr, nullptr);
    co_return;
  }
  if (visit.request().method == "OPTIONS") {
    http::ResponseHead head;
    head.status = 204;
    head.headers.set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    visit.outcome = Outcome::preflight;
    co_await answer(visit, std::move(head), {}, {});
    co_return;
  }
  co_await serve_priced(visit);
}

Task<void> Gate::serve_priced(Visit& visit) {
  const Service& service = *visit.service;
  const Credentials& credentials = visit.credentials;

  if (credentials.payment.size() + credentials.payment_authorization.size() > 1) {
    co_await refuse(
        visit,
        complaint({mpp::ProblemType::bad_request, "send one Payment credential, not several"}, 400),
        std::nullopt);
    co_return;
  }
  const auto idempotency = visit.request().headers.get("Idempotency-Key");
  visit.context.emplace(RequestContext{service,
                                       service.rule_for(visit.request().method, visit.path),
                                       visit.metrics(),
                                       visit.request().method,
                                       visit.path,
                                       std::string(visit.request().query()),
                                       {},
                                       std::string(idempotency.value_or("")),
                                       visit.request().headers,
                                       visit.client,
                                       visit.started,
                                       visit.request_id});

  if (service.offers(OfferScheme::payment)) visit.context->payment = read_payment(credentials);
  if (!co_await read_bound_body(visit)) co_return;
  if (!co_await read_told_body(visit)) co_return;
  visit.context->body_length = visit.body ? std::optional<std::uint64_t>(visit.body->size())
                                          : visit.exchange.body().length();
  if (service.settings.metered) {
    visit.context->book = [this, v = &visit](TokenId token, Msat price) {
      return book_bundle(*v, token, price);
    };
  }
  if (service.settings.session_quotes) {
    visit.context->quote_session = [this, v = &visit](std::string session) {
      return quoted_session(*v, std::move(session));
    };
  }

  std::optional<Refusal> refusal;
  const Authenticator* refused_by = nullptr;
  for (Authenticator* authenticator : visit.door->authenticators) {
    if (!service.offers(authenticator->scheme()) || !authenticator->presented(credentials))
      continue;
    auto verdict = co_await authenticator->verify(credentials, *visit.context);
    if (auto* grant = std::get_if<Grant>(&verdict)) {
      Grant accepted = std::move(*grant);
      tell(visit, accepted);
      visit.metrics().judged(authenticator->scheme(), Judged::accepted, accepted.key);
      if (!co_await within_rates(visit, &accepted)) co_return;
      if (past_deadline(visit)) {
        co_await refuse(visit,
                        Complaint{504, "the deadline of the call has passed; nothing was consumed"},
                        std::nullopt);
        co_return;
      }
      if (!co_await set_aside(visit, accepted)) co_return;
      if (!co_await reach_upstream(visit, accepted)) co_return;
      auto admission = co_await admit(visit, *authenticator, accepted);
      visit.context->payment.reset();  // the proof is not kept for the length of an answer
      if (std::holds_alternative<Proceed>(admission)) {
        visit.outcome = Outcome::paid;
        co_await deliver(visit, authenticator, &accepted);
        co_return;
      }
      if (auto* stored = std::get_if<ledger::StoredResponse>(&admission)) {
        co_await replay(visit, *authenticator, accepted, std::move(*stored));
        co_return;
      }
      if (auto* own = std::get_if<Answered>(&admission)) {
        visit.outcome = own->replayed ? Outcome::replayed : Outcome::paid;
        co_await answer(visit, std::move(own->head), std::move(own->body), {});
        co_return;
      }
      refusal = std::get<Refusal>(std::move(admission));
    } else {
      refusal = std::get<Refusal>(std::move(verdict));
    }
    refused_by = authenticator;
    visit.metrics().judged(authenticator->scheme(), refusal->result, refusal->key);
    if (refusal->status != 402) {
      co_await refuse(visit, complaint(refusal->problem, refusal->status), refusal->retry_after);
      co_return;
    }
  }

  if (!refusal && co_await admit_free(visit)) {
    visit.outcome = Outcome::free;
    co_await deliver(visit, nullptr, nullptr);
    co_return;
  }
  if (!co_await within_rates(visit, nullptr)) co_return;
  const bool no_invoice =
      std::any_of(service.no_invoice_paths.begin(), service.no_invoice_paths.end(),
                  [&](const Pattern& p) { return p.matches(visit.path); });
  if (no_invoice) {
    co_await refuse(
        visit, Complaint{401, "this path takes a token that was bought elsewhere on this service"},
        std::nullopt);
    co_return;
  }
  co_await challenge(visit, std::move(refusal), refused_by);
}

/// For the access log.
void Gate::tell(Visit& visit, const Grant& grant) {
  visit.challenge_id = grant.challenge_id;
  visit.scheme = grant.scheme == OfferScheme::l402 ? "l402" : "payment";
  if (grant.scheme == OfferScheme::payment) visit.intent = grant.session ? "session" : "charge";
}

/// What is spent once is spent on one request, so nothing is consumed before the upstream is known
/// to listen. A credential that was spent before needs no upstream, and what is debited can be
/// given back.
Task<bool> Gate::reach_upstream(Visit& visit, const Grant& grant) {
  if (grant.use == Use::door) co_return true;
  const upstream::Group& group = *visit.snapshot().upstreams[visit.service->index];
  bool reached = !group.known_down(shared_.clock.now());
  if (reached && grant.use == Use::once) {
    auto consumed = co_await shared_.store.is_consumed(grant.hash);
    if (consumed && !*consumed) {
      auto opened = co_await attempt_of(visit).connect_surely();
      reached = opened.has_value();
      if (opened) visit.upstream = std::move(*opened);
    }
  }
  if (reached) co_return true;
  visit.outcome = Outcome::upstream;
  co_await refuse(visit, unreached(), upstream::kRefusedFor);
  co_return false;
}

upstream::Attempt& Gate::attempt_of(Visit& visit) {
  if (!visit.attempt) {
    const ServiceSettings& s = visit.service->settings;
    visit.attempt.emplace(
        *visit.door->balancers[visit.service->index], upstreams_.client_for(s),
        protocol_of(s.upstream, visit.kind()),
        http::ClientTimeouts{s.timeouts.connect, s.timeouts.first_byte, s.timeouts.idle},
        shared_.clock);
  }
  return *visit.attempt;
}

/// Bodies of POST, PUT and PATCH are bound into Payment challenges, so they are read before
/// anything is decided; over the limit the request is refused rather than left unbound. A gRPC call
/// is a stream that may wait for its answer to go on, and a session is shown with any request: they
/// are not bound.
Task<bool> Gate::read_bound_body(Visit& visit) {
  const ServiceSettings& s = visit.service->settings;
  if (!visit.service->sells(PaymentIntent::charge) || s.digest == DigestMode::off || visit.grpc ||
      !has_body_to_bind(visit.request().method) || is_session_credential(visit.context->payment)) {
    co_return true;
  }
  const std::uint64_t limit = std::min(s.digest_limit, s.max_body);
  const auto announced = visit.exchange.body().length();
  if (!announced || *announced <= limit) {
    auto body = co_await http::read_all(visit.exchange.body(), limit);
    if (body) {
      visit.body = std::move(*body);
      visit.context->digest = mpp::format_digest(as_bytes(*visit.body));
      co_return true;
    }
    if (!body.error().is(http::Errc::body_too_large)) {
      co_await refuse(
          visit,
          complaint({mpp::ProblemType::bad_request, "the request body could not be read"}, 400),
          std::nullopt);
      co_return false;
    }
  }
  co_await refuse(
      visit,
      Complaint{413,
                fmt::format("bodies are bound to their payment here and may have {} bytes at most",
                            limit)},
      std::nullopt);
  co_return false;
}

/// What the source of prices is told of a body, its answer is bound to; so it is read before
/// anything is decided, also where it is not bound into Payment challenges.
Task<bool> Gate::read_told_body(Visit& visit) {
  const ServiceSettings& s = visit.service->settings;
  if (!visit.service->quoted() || s.price_body == 0 || visit.grpc ||
      !has_body_to_bind(visit.request().method)) {
    co_return true;
  }
  const std::uint64_t limit = std::min(s.price_body, s.max_body);
  bool too_large =
      visit.body ? visit.body->size() > limit : visit.exchange.body().length().value_or(0) > limit;
  if (!too_large && !visit.body) {
    auto body = co_await http::read_all(visit.exchange.body(), limit);
    if (!body && !body.error().is(http::Errc::body_too_large)) {
      co_await refuse(
          visit,
          complaint({mpp::ProblemType::bad_request, "the request body could not be read"}, 400),
          std::nullopt);
      co_return false;
    }
    too_large = !body;
    if (body) visit.body = std::move(*body);
  }
  if (too_large) {
    co_await refuse(
        visit,
        Complaint{413, fmt::format("bodies decide about the price here and may have {} bytes at "
                                   "most",
                                   limit)},
        std::nullopt);
    co_return false;
  }
  visit.context->told_body = mpp::format_digest(as_bytes(*visit.body));
  co_return true;
}

namespace {
/// How the answer to a request is billed by what it holds; empty: it is not.
std::optional<pricing::UnitPrice> metered_price_of(const Service& service, const Grant& grant) {
  if (grant.bundle) return metered_price(*grant.bundle);
  if (!grant.session || grant.use == Use::door) return std::nullopt;
  return metered_price(service.settings, grant.session->price);
}
}  // namespace

/// Who pays by the token of a language model is debited what the request announces before the
/// upstream works for it; how much is left over is told by the answer. What two readers could read
/// differently announces nothing.
Task<bool> Gate::set_aside(Visit& visit, Grant& grant) {
  const auto price = metered_price_of(*visit.service, grant);
  if (!price || price->unit != pricing::Unit::token) return Task<bool>::done(true);
  return set_aside_tokens(visit, grant, *price);
}

Task<bool> Gate::set_aside_tokens(Visit& visit, Grant& grant, pricing::UnitPrice price) {
  const ServiceSettings& s = visit.service->settings;
  const std::uint64_t limit = std::min(s.digest_limit, s.max_body);
  const auto length = visit.body ? visit.body->size() : visit.exchange.body().length();
  Result<Announced> announced = announced_by_length(length);
  if (!visit.grpc && has_body_to_bind(visit.request().method) && length.value_or(0) <= limit) {
    if (!visit.body) {
      auto body = co_await http::read_all(visit.exchange.body(), limit);
      if (!body) {
        const bool large = body.error().is(http::Errc::body_too_large);
        co_await refuse(
            visit,
            Complaint{large ? 413 : 400,
                      large ? "a body whose length is not told beforehand may not be as "
                              "long here"
                            : "the request body could not be read"},
            std::nullopt);
        co_return false;
      }
      visit.body = std::move(*body);
    }
    announced = announced_by(*visit.body);
  }
  auto cost = announced ? price.cost(announced->reserve) : Result<Msat>(Msat());
  if (!announced || !cost) {
    co_await refuse(visit,
                    complaint({mpp::ProblemType::bad_request,
                               announced ? "the request announces more tokens than can be paid"
                                         : "the request's JSON names a member twice"},
                              400),
                    std::nullopt);
    co_return false;
  }
  visit.input_tokens = announced->input;
  if (grant.session) reserve_for(*grant.session, *cost);
  if (grant.bundle) reserve_for(*grant.bundle, announced->reserve);
  co_return true;
}

/// Counted by address always; with `by: token` also by the ordinary credential, whose holder then
/// cannot take what others behind the same address have left. Nobody verified that credential, so
/// it never stands for the address: a new one for each request would be free for ever.
Task<bool> Gate::admit_free(Visit& visit) {
  const FreeQuota& free = visit.service->settings.free;
  if (free.requests <= 0 || !visit.credentials.none()) co_return false;
  std::vector<std::string> clients = {visit.client.quota_key().str()};
  if (free.by != CountBy::ip && !visit.credentials.ordinary.empty()) {
    const auto digest = crypto::sha256(as_bytes(visit.credentials.ordinary.front()));
    clients.insert(clients.begin(), "t" + to_hex(ByteView(digest).first(16)));
  }
  for (std::string& client : clients) {
    auto taken =
        co_await shared_.store.take_free(visit.service->settings.name.str(), std::move(client),
                                         free.requests, free.per, visit.started);
    if (!taken) {
      OCTROI_LOG(warn, kModule, "free quota unavailable", {{"error", taken.error().message()}});
      co_return false;  // fail closed: the price is asked
    }
    if (!*taken) co_return false;
  }
  co_return true;
}

namespace {
/// Whose request it is, as a rule counts it: what was paid for, where that can be told, or else the
/// address.
std::string counted_as(const RateLimit& rule, const ClientIdentity& client, const Grant* grant) {
  if (rule.by != CountBy::ip && grant != nullptr) {
    if (grant->token_id) return "t" + grant->token_id->hex();
    if (grant->session) return "s" + grant->session->session.hex();
  }
  return "a" + client.quota_key().str();
}
}  // namespace

/// Every matching rule must have room; when one has not, the others get their token back.
Task<bool> Gate::within_rates(Visit& visit, const Grant* grant) {
  if (visit.service->limits.empty()) return Task<bool>::done(true);
  return take_of_rates(visit, grant);
}

Task<bool> Gate::take_of_rates(Visit& visit, const Grant* grant) {
  if (shared_.state != nullptr) co_return co_await take_of_shared_rates(visit, grant);
  std::vector<std::pair<std::uint64_t, std::string>> taken;
  for (const auto& rule : visit.service->limits) {
    if (!rule.path.matches(visit.path)) continue;
    std::string client = counted_as(rule.limit, visit.client, grant);
    const auto verdict = shared_.rates.take(rule.key, client, rule.limit, visit.started);
    if (verdict.allowed) {
      taken.emplace_back(rule.key, std::move(client));
      continue;
    }
    for (const auto& [key, who] : taken) shared_.rates.give_back(key, who);
    visit.outcome = Outcome::limited;
    co_await refuse(visit, Complaint{429, "the rate limit of this service is reached"},
                    verdict.retry_after);
    co_return false;
  }
  co_return true;
}

/// The same over all replicas, in one step. Who cannot count does not serve.
Task<bool> Gate::take_of_shared_rates(Visit& visit, const Grant* grant) {
  std::vector<ledger::RateBucket> buckets;
  const auto& limits = visit.service->limits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const RateLimit& limit = limits[i].limit;
    if (!limits[i].path.matches(visit.path)) continue;
    buckets.push_back({fmt::format("{} {} {}", visit.service->settings.name.str(), i,
                                   counted_as(limit, visit.client, grant)),
                       limit.requests, limit.per, limit.burst});
  }
  if (buckets.empty()) co_return true;
  const auto room = co_await shared_.state->take_rates(std::move(buckets));
  if (room && room->granted) co_return true;
  visit.outcome = room ? Outcome::limited : Outcome::unavailable;
  co_await refuse(visit,
                  room ? Complaint{429, "the rate limit of this service is reached"}
                       : Complaint{503, "the rate limit of this service cannot be counted now"},
                  room ? room->retry_after : kUncountedRetry);
  co_return false;
}

// ------------------------------------------------------------------------------------------------
// Delivering.

/// What a bill goes by: who gives up before there is an answer has had the upstream work for it.
Fate Gate::fate_of(const Visit& visit, const http::RelayResult& result) {
  switch (result.state) {
    case http::RelayState::complete:
    case http::RelayState::client_gone:
    case http::RelayState::torn:
      return Fate::delivered;
    case http::RelayState::refused:
      return Fate::failed;
    case http::RelayState::failed:
      break;
  }
  return result.client_left || past_deadline(visit) ? Fate::abandoned : Fate::failed;
}

SessionMeter::Terms Gate::terms_of(const Visit& visit, Msat reserved,
                                   pricing::UnitPrice price) const {
  const ServiceSettings& s = visit.service->settings;
  return {price,          s.name.str(),          reserved, visit.input_tokens,
          s.session.hold, s.session.idle_timeout};
}

/// Null: the answer is billed by the request, or not at all.
std::unique_ptr<SessionMeter> Gate::meter_for(const Visit& visit, const Grant& grant) {
  const auto price = metered_price_of(*visit.service, grant);
  if (!price) return nullptr;
  const std::string& service = visit.service->settings.name.str();
  std::unique_ptr<MeterAccount> account;
  Msat reserved;
  if (grant.bundle) {
    account = std::make_unique<BundleAccount>(shared_, service, *grant.bundle);
    reserved = BundleAccount::reserved(*grant.bundle);
  } else {
    account =
        std::make_unique<SessionAccount>(shared_, service, grant.session->session, price->unit);
    reserved = grant.session->debit;
  }
  return std::make_unique<SessionMeter>(shared_, visit.exchange.loop(), std::move(account),
                                        terms_of(visit, reserved, *price));
}

Task<void> Gate::deliver(Visit& visit, Authenticator* authenticator, const Grant* grant) {
  const ServiceSettings& s = visit.service->settings;
  http::RequestHead& request = visit.request();
  strip_credentials(request.headers, visit.credentials);
  for (const auto& injected : s.headers)
    request.headers.set(injected.name, injected.value->reveal_text());
  if (s.forward == Forward::identity && grant != nullptr) {
    if (grant->token_id) request.headers.set("X-Octroi-Token-Id", grant->token_id->hex());
    if (grant->session) request.headers.set("X-Octroi-Session-Id", grant->session->session.hex());
    request.headers.set("X-Octroi-Service", s.name.str());
    request.headers.set("X-Octroi-Amount-Msat",
                        fmt::format("{}", grant->amount.count() /* raw: wire */));
  }
  request.headers.set("X-Request-Id", visit.request_id);
  request.target = upstream_target(s, request.target, visit.path);

  http::RelayOptions options;
  upstream::Attempt& attempt = attempt_of(visit);
  options.connector = &attempt;
  options.forwarded_for = visit.client.address.str();
  options.forwarded_proto = visit.client.proto;
  options.forwarded_host = visit.client.host.empty() ? request.authority : visit.client.host;
  options.max_body = s.max_body;
  options.buffered_body = std::move(visit.body);
  options.connection = std::move(visit.upstream);
  options.repeat_idempotent = grant == nullptr;  // what was paid for once is asked for once
  options.timeouts = {s.timeouts.connect, s.timeouts.first_byte, s.timeouts.idle};
  options.grpc = visit.grpc;
  if (visit.deadline) {
    options.deadline = std::max(*visit.deadline - exchange_time(visit), Millis(1));
  }

  std::unique_ptr<SessionMeter> meter;
  if (grant != nullptr) meter = meter_for(visit, *grant);
  if (meter) {
    SessionMeter::prepare(request);
    options.filter = meter.get();
  }

  if (visit.report) SessionMeter::prepare(request);

  const bool keep = grant != nullptr && grant->use == Use::once;
  ledger::StoredResponse stored;
  options.on_head = [&](http::ResponseHead& head) {
    if (visit.report) visit.report->head(head);
    strip_upstream_payment(head.headers);
    const bool failed_call = visit.grpc && head.headers.get("grpc-status").value_or("0") != "0";
    if (grant != nullptr && head.status >= 200 && head.status < 300 && !failed_call) {
      const UnixMillis when = shared_.clock.now();
      authenticator->decorate(*grant, head, when);
      if (head.headers.has("Payment-Receipt")) make_private(head.headers);
      if (keep) stored.headers.emplace_back(kReceiptAt, to_rfc3339(when));
    }
    if (visit.used_payment_authorization) make_private(head.headers);
    if (grant != nullptr && grant->bundle) {
      const BundleUse& use = *grant->bundle;
      const std::int64_t left = meter ? BundleAccount::units(meter->left_at_begin()) : use.left;
      head.headers.set(kBalanceField, format_balance(left, use.unit, use.bound));
    }
    head.headers.set("X-Request-Id", visit.request_id);
    add_cors(s.cors, visit.service->exposed, request.headers, head.headers);
    visit.status = head.status;
    if (!keep) return;
    stored.status = head.status;
    if (request.method == "HEAD") stored.headers.emplace_back(kHeadOnly, "1");
    for (const auto field : head.headers) {
      if (is_kept_field(field.name)) stored.headers.emplace_back(field.name, field.value);
    }
  };
  if (keep) {
    options.on_body = [&stored, report = visit.report.get()](ByteView chunk) {
      if (report != nullptr) report->body(chunk);
      if (!stored.body_kept) return;
      if (stored.body.size() + chunk.size() > kStoredBody) {
        stored.body_kept = false;
        stored.body.clear();
        return;
      }
      stored.body += as_text(chunk);
    };
    options.on_end = [&stored](const http::Headers& trailers) {
      for (const auto field : trailers) {
        if (is_kept_field(field.name)) {
          stored.headers.emplace_back(std::string(kTrailer).append(field.name), field.value);
        }
      }
    };
  }

  if (visit.report && !keep)
    options.on_body = [report = visit.report.get()](ByteView chunk) { report->body(chunk); };

  const auto result =
      co_await http::relay(visit.exchange, upstreams_.client_for(s), std::move(options));
  const upstream::AddressState* asked = attempt.address();  // lives as long as the door
  attempt.ended(result);

  const bool answered =
      result.state == http::RelayState::complete || result.state == http::RelayState::client_gone;
  if (grant != nullptr && grant->use != Use::token) {
    Delivery delivery;
    delivery.fate = fate_of(visit, result);
    delivery.metered = meter != nullptr || visit.report != nullptr;
    if (meter) co_await meter->settle(result.state, delivery.fate);
    if (keep) {
      if (result.state != http::RelayState::complete || (meter && meter->stopped()))
        stored.body_kept = false;
      if (!answered) {
        stored.status = 502;
        stored.headers.clear();
      }
      delivery.answer = std::move(stored);
      delivery.has_key = !visit.context->idempotency_key.empty();
    }
    auto settled = co_await authenticator->settle(*grant, std::move(delivery));
    if (!settled) {
      OCTROI_LOG(error, kModule, "answer not kept",
                 {{"request", visit.request_id}, {"error", settled.error().message()}});
    }
  }
  if (visit.report) {
    co_await finish_report(visit, visit.report->ended(result.state, fate_of(visit, result)));
  }
  if (answered || result.state == http::RelayState::torn) {
    if (!answered) visit.outcome = Outcome::upstream;
    co_return;
  }
  if (meter && meter->refusal()) {
    co_await refuse_answer(visit, std::move(*meter->refusal()), authenticator);
    co_return;
  }
  if (auto about = complaint_about_body(result)) {
    visit.outcome = Outcome::refused;
    co_await refuse(visit, std::move(*about), std::nullopt);
    co_return;
  }
  visit.outcome = Outcome::upstream;
  const bool late = result.error && result.error->is(http::Errc::timeout);
  if (late && past_deadline(visit)) {
    co_await refuse(visit, Complaint{504, "the deadline of the call has passed"}, std::nullopt);
    co_return;
  }
  if (result.client_left) {
    visit.exchange.abort();  // nobody is there to be told, and the upstream is not to blame
    co_return;
  }
  const bool refused = result.state == http::RelayState::refused;
  if (result.reset_code) visit.grpc_status = grpc_status_of_reset(*result.reset_code);
  OCTROI_LOG(warn, kModule, "upstream failed",
             {{"service", s.name.str()},
              {"address", asked != nullptr ? std::string_view(asked->name()) : std::string_view()},
              {"request", visit.request_id},
              {"error", result.error ? result.error->message() : std::string_view("no answer")}});
  // Nothing was sent, and nothing is spent or it was given back: later is as good as now.
  if (refused && !keep) {
    co_await refuse(visit, unreached(), upstream::kRefusedFor);
    co_return;
  }
  co_await refuse(
      visit,
      complaint(
          {mpp::ProblemType::internal_payment_error,
           grant == nullptr ? "the upstream did not answer"
           : grant->session ? "the upstream failed before it answered; the session was not billed"
           : grant->bundle  ? "the upstream failed before it answered; the token was not counted"
           : refused
               ? "the upstream could not be reached after the payment was consumed"
               : "the upstream failed after the payment was consumed; the outcome is unknown"},
          late ? 504 : 502),
      std::nullopt);
}

/// The upstream answered, and its answer cannot be sold.
Task<void> Gate::refuse_answer(Visit& visit, Refusal refusal, const Authenticator* by) {
  visit.metrics().judged(by->scheme(), refusal.result, refusal.key);
  if (refusal.status == 402) {
    co_await challenge(visit, std::move(refusal), by);
    co_return;
  }
  visit.outcome = refusal.status == 503 ? Outcome::unavailable : Outcome::upstream;
  co_await refuse(visit, complaint(refusal.problem, refusal.status), refusal.retry_after);
}

Task<void> Gate::replay(Visit& visit, const Authenticator& authenticator, const Grant& grant,
                        ledger::StoredResponse stored) {
  visit.outcome = Outcome::replayed;
  const bool head_only = std::any_of(stored.headers.begin(), stored.headers.end(),
                                     [](const auto& field) { return field.first == kHeadOnly; });
  if (!stored.body_kept || (head_only && visit.request().method != "HEAD")) {
    co_await refuse(visit,
                    complaint({mpp::ProblemType::internal_payment_error,
                               "this payment was consumed and its answer is no longer here; the "
                               "outcome is unknown, do not pay again for it"},
                              502),
                    std::nullopt);
    co_return;
  }
  http::ResponseHead head;
  head.status = stored.status;
  std::optional<UnixMillis> receipt_at;
  http::Headers trailers;
  for (const auto& [name, value] : stored.headers) {
    if (name == kReceiptAt) {
      if (auto when = from_rfc3339(value)) receipt_at = *when;
    } else if (name.starts_with(kTrailer)) {
      trailers.add(std::string_view(name).substr(kTrailer.size()), value);
    } else if (name != kHeadOnly) {
      head.headers.add(name, value);
    }
  }
  if (receipt_at) {
    authenticator.decorate(grant, head, *receipt_at);
    make_private(head.headers);
  }
  co_await answer(visit, std::move(head), std::move(stored.body), {}, &trailers);
}

// ------------------------------------------------------------------------------------------------
// Asking for payment.

/// The price as the configuration writes it: no coroutine, no allocation.
Result<pricing::Quote> Gate::written_price(const Visit& visit) const {
  OCTROI_TRY(const Msat amount,
             visit.context->rule.price.in_msat(visit.snapshot().settings.rate, visit.started));
  return pricing::Quote{amount, {}, std::nullopt};
}

/// The request as a source of prices is told it.
pricing::PriceRequest Gate::price_request(const Visit& visit) {
  const RequestContext& c = *visit.context;
  pricing::PriceRequest request;
  request.service = c.service.settings.name;
  request.authority = visit.client.host.empty() ? visit.request().authority : visit.client.host;
  request.method = c.method == "HEAD" ? "GET" : c.method;
  request.path = c.path;
  request.query = c.query;
  for (const auto field : c.headers) {
    if (!is_private_field(field.name)) request.headers.emplace_back(field.name, field.value);
  }
  request.content_length = c.body_length;
  const auto rule = static_cast<std::size_t>(&c.rule - c.service.rules.data());
  if (rule + 1 < c.service.rules.size()) request.rule = rule;
  if (!c.told_body.empty()) request.body = *visit.body;
  return request;
}

/// Asked once for each 402, and only when an offer is about to be made.
Task<Result<pricing::Quote>> Gate::quoted_price(const Visit& visit) {
  const RequestContext& c = *visit.context;
  pricing::PriceSource* source =
      prices_ == nullptr ? nullptr : prices_->find(c.service.settings.price_source);
  net::Loop* loop = net::Loop::current();
  if (source == nullptr || loop == nullptr)
    co_return fail(pricing::Errc::unavailable, "no such source of prices");
  auto quote = co_await net::within(*loop, kQuoteDeadline, source->quote(price_request(visit)));
  if (!quote) co_return fail(pricing::Errc::unavailable, "the source of prices did not answer");
  if (*quote && (*quote)->valid_until && *(*quote)->valid_until <= shared_.clock.now())
    co_return fail(pricing::Errc::unavailable, "the source quoted a price that has passed");
  co_return std::move(*quote);
}

pricing::Pricer* Gate::pricer_of(const Visit& visit) const {
  pricing::PriceSource* source =
      prices_ == nullptr ? nullptr : prices_->find(visit.service->settings.price_source);
  return source == nullptr ? nullptr : source->pricer();
}

namespace {
template <class T>
Result<T> in_time(std::optional<Result<T>> answer) {
  if (!answer) return fail(pricing::Errc::unavailable, "the source of prices did not answer");
  return *std::move(answer);
}
tl::unexpected<Error> no_source() {
  return fail(pricing::Errc::unavailable, "no such source of prices");
}
Refusal no_account() {
  return refuse_for_now("what this request may use cannot be told now; nothing was taken",
                        kUnavailableRetry);
}
}  // namespace

/// Before the challenge is shown: who pays for it has a bundle then.
Task<Result<>> Gate::book_bundle(Visit& visit, TokenId token, Msat price) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr) co_return no_source();
  co_return in_time(
      co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                           pricer->challenge_minted(price_request(visit), token, price)));
}

Task<Result<pricing::SessionQuote>> Gate::quoted_session(Visit& visit, std::string session) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr) co_return no_source();
  co_return in_time(
      co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                           pricer->quote_session(price_request(visit), std::move(session))));
}

/// Where a source of prices keeps accounts it is asked first, and a report stands in the store
/// before the request goes out; what the source set aside is told back also when we refuse.
Task<Admission> Gate::admit(Visit& visit, Authenticator& authenticator, const Grant& grant) {
  const ServiceSettings& s = visit.service->settings;
  const bool bundle = s.metered && grant.token_id;
  const bool session = s.session_quotes && grant.session && grant.use != Use::door &&
                       !grant.session->price_rose;
  if (!bundle && !session) co_return co_await authenticator.admit(grant, *visit.context);
  if (bundle) {
    if (auto denied = co_await authorize(visit, grant)) co_return std::move(*denied);
  } else {
    ledger::UsageReport report;
    report.kind = ledger::ReportKind::session;
    report.subject = grant.session->session.hex();
    report.estimate = grant.session->debit;
    report.request_text = pricing::request_text(price_request(visit));
    if (!co_await open_report(visit, std::move(report))) co_return no_account();
  }
  auto admission = co_await authenticator.admit(grant, *visit.context);
  if (std::holds_alternative<Proceed>(admission)) co_return admission;
  if (visit.report->kind() == ledger::ReportKind::session) {
    // Nothing was debited, so nothing may come back.
    auto ended = co_await shared_.store.usage_reports()->end_report(visit.report->id());
    std::ignore = ended;
  } else {
    co_await finish_report(visit, {503, "", "", true, ""});
  }
  visit.report.reset();
  co_return admission;
}

/// Whether the token's bundle has enough left for this request. Whatever stands in the way of that
/// lets nothing through.
Task<std::optional<Refusal>> Gate::authorize(Visit& visit, const Grant& grant) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr || shared_.store.usage_reports() == nullptr) co_return no_account();
  auto answer =
      in_time(co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                                   pricer->authorize(price_request(visit), *grant.token_id)));
  if (!answer) {
    OCTROI_LOG(error, kModule, "a request could not be authorised",
               {{"service", visit.service->settings.name.str()},
                {"error", answer.error().message()}});
    co_return no_account();
  }
  if (!answer->allowed) {
    visit.next_price = answer->price;
    std::string reason = pricing::as_utf8(answer->reason.substr(0, kReason));
    if (reason.empty()) reason = "the token's bundle is used up; buy another";
    auto r = refuse_payment(mpp::ProblemType::verification_failed, std::move(reason),
                            Judged::used_up);
    r.key = grant.key;
    co_return r;
  }
  ledger::UsageReport report;
  report.subject = grant.token_id->hex();
  report.reserved = answer->reserved;
  if (co_await open_report(visit, std::move(report))) co_return std::nullopt;
  // What was set aside would stay so: told at once, if that can be.
  if (pricer = pricer_of(visit); pricer != nullptr) {
    pricing::Usage nothing;
    nothing.id = to_hex(shared_.random.bytes<16>());
    nothing.subject = grant.token_id->hex();
    nothing.service = visit.service->settings.name;
    nothing.path = visit.path;
    nothing.status = 503;
    nothing.complete = true;
    nothing.reserved = answer->reserved;
    auto told = co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                                     pricer->report_usage(std::move(nothing)));
    std::ignore = told;
  }
  co_return no_account();
}

Task<Result<>> Gate::open_report(Visit& visit, ledger::UsageReport report) {
  ledger::UsageReports* reports = shared_.store.usage_reports();
  if (reports == nullptr) co_return no_source();
  auto open = std::make_unique<OpenReport>(to_hex(shared_.random.bytes<16>()), report.kind);
  report.id = open->id();
  report.source = visit.service->settings.price_source;
  report.service = visit.service->settings.name.str();
  report.path = visit.path;
  report.created = shared_.clock.now();
  const UnixMillis until = report.created + kReportOpen;
  auto written = co_await reports->open_report(std::move(report), until);
  if (!written) {
    OCTROI_LOG(error, kModule, "no usage report can be written",
               {{"error", written.error().message()}});
    co_return fail(std::move(written).error());
  }
  visit.report = std::move(open);
  co_return Result<>{};
}

Task<void> Gate::finish_report(Visit& visit, ledger::ReportedAnswer answer) {
  auto finished = co_await shared_.store.usage_reports()->finish_report(
      visit.report->id(), std::move(answer), shared_.clock.now());
  if (!finished || !*finished) {
    // It is told all the same, as of a request that nobody saw end.
    OCTROI_LOG(error, kModule, "a usage report could not be finished",
               {{"request", visit.request_id}, {"report", visit.report->id()}});
  }
  if (shared_.usage != nullptr) shared_.usage->ring();
}

/// What the schemes of one 402 came to.
struct Gate::OffersMade {
  std::vector<std::string> lines;
  std::optional<Millis> bounded;  // a client over its bound of unpaid challenges
  bool uncounted = false;         // nobody knows how many it has
  bool priced = false;            // the context's quote is told
  bool no_price = false;
  bool payment_offered = false;
  std::string challenge_id;  // of the fresh Payment challenge
};

/// A place among the client's unpaid challenges; without one `made` says why.
Task<std::optional<UnpaidBound::Place>> Gate::hold_place(Visit& visit, OfferScheme scheme,
                                                         OffersMade& made) {
  const auto place = co_await shared_.unpaid.reserve_of_all(
      visit.client.unpaid_key(), scheme, visit.started,
      visit.started + visit.snapshot().settings.challenge_ttl);
  if (place && place->granted) co_return *place;
  if (!place) {
    made.uncounted = true;
  } else {
    made.bounded = made.bounded ? std::min(*made.bounded, place->retry_after) : place->retry_after;
  }
  co_return std::nullopt;
}

/// Asks the source of prices, once for a 402. A place among the client's unpaid challenges is held
/// meanwhile, so that a stranger cannot make it work without end.
Task<bool> Gate::tell_price(Visit& visit, OfferScheme scheme, OffersMade& made) {
  RequestContext& context = *visit.context;
  const auto place = co_await hold_place(visit, scheme, made);
  if (!place) co_return false;
  Result<pricing::Quote> quote = pricing::Quote{visit.next_price, {}, std::nullopt};
  if (visit.next_price.is_zero()) quote = co_await quoted_price(visit);
  shared_.unpaid.release(*place, visit.client.unpaid_key(), scheme);
  if (!quote) {
    made.no_price = true;
    OCTROI_LOG(
        error, kModule, "price unknown",
        {{"service", context.service.settings.name.str()}, {"error", quote.error().message()}});
    co_return false;
  }
  context.quote = std::move(*quote);
  made.priced = true;
  co_return true;
}

/// What one scheme has to offer: by default one challenge.
Task<void> Gate::make_offers(Visit& visit, Authenticator& authenticator, OffersMade& made) {
  if (!made.priced && !co_await tell_price(visit, authenticator.scheme(), made)) co_return;
  for (const Intent intent : authenticator.wanted(*visit.context))
    co_await make_offer(visit, authenticator, intent, made);
}

/// One challenge, under the bound of the client's unpaid ones; an offer of nothing costs nothing
/// and needs no place.
Task<void> Gate::make_offer(Visit& visit, Authenticator& authenticator, Intent intent,
                            OffersMade& made) {
  RequestContext& context = *visit.context;
  const OfferScheme scheme = authenticator.scheme();
  const bool nothing = intent != Intent::session && context.quote.amount.is_zero();
  const auto key = visit.client.unpaid_key();
  UnpaidBound::Place place;
  if (!nothing) {
    const auto held = co_await hold_place(visit, scheme, made);
    if (!held) co_return;
    place = *held;
  }
  auto let_go = [&] {
    if (!nothing) shared_.unpaid.release(place, key, scheme);
  };
  auto offer = co_await authenticator.offer(context, intent);
  if (!offer) {
    let_go();
    const char* name = scheme == OfferScheme::l402 ? "l402" : "payment";
    shared_.metrics
        .counter("octroi_offers_failed_total", "Challenges that could not be made",
                 {{"scheme", name}})
        .add();
    OCTROI_LOG(warn, kModule, "no offer",
               {{"service", context.service.settings.name.str()},
                {"scheme", name},
                {"error", offer.error().message()}});
    co_return;
  }
  if (offer->hash) {
    shared_.unpaid.attach(place, key, scheme, *offer->hash);
  } else {
    let_go();
  }
  if (scheme == OfferScheme::payment && made.challenge_id.empty())
    made.challenge_id = offer->challenge_id;
  for (auto& line : offer->lines) {
    (scheme == OfferScheme::payment ? visit.metrics().challenges_payment
     : line.starts_with("LSAT")     ? visit.metrics().challenges_lsat
                                    : visit.metrics().challenges_l402)
        .add();
    made.lines.push_back(std::move(line));
  }
  made.payment_offered = made.payment_offered || scheme == OfferScheme::payment;
}

Task<void> Gate::no_offer(Visit& visit, const OffersMade& made) {
  if (made.bounded) {
    visit.outcome = Outcome::limited;
    co_await refuse(
        visit,
        Complaint{429, "too many unpaid challenges: pay one of them, or wait until they expire"},
        *made.bounded);
    co_return;
  }
  // A price that cannot be told is not a free service.
  visit.outcome = Outcome::unavailable;
  if (made.uncounted) {
    co_await refuse(visit, Complaint{503, "unpaid challenges cannot be counted now"},
                    kUncountedRetry);
    co_return;
  }
  co_await refuse(
      visit,
      complaint({mpp::ProblemType::internal_payment_error,
                 made.no_price ? "the price cannot be told now" : "no invoice can be made now"},
                503),
      kUnavailableRetry);
}

Task<void> Gate::challenge(Visit& visit, std::optional<Refusal> refusal,
                           const Authenticator* refused_by) {
  const Service& service = *visit.service;
  OffersMade made;
  if (!service.quoted()) {
    if (auto price = written_price(visit)) {
      visit.context->quote = std::move(*price);
      made.priced = true;
    } else {
      made.no_price = true;
      OCTROI_LOG(error, kModule, "price unknown",
                 {{"service", service.settings.name.str()}, {"error", price.error().message()}});
    }
  }
  for (Authenticator* authenticator : visit.door->authenticators) {
    if (!service.offers(authenticator->scheme())) continue;
    if (refusal && refusal->repeat_challenge && authenticator == refused_by) {
      made.lines.push_back(*refusal->repeat_challenge);
      made.payment_offered =
          made.payment_offered || authenticator->scheme() == OfferScheme::payment;
    } else if (!made.no_price) {
      co_await make_offers(visit, *authenticator, made);
    }
  }
  if (made.lines.empty()) {
    co_await no_offer(visit, made);
    co_return;
  }

  visit.outcome = Outcome::challenged;
  http::ResponseHead head;
  head.status = 402;
  for (const auto& line : made.lines) head.headers.add("WWW-Authenticate", line);
  head.headers.set("Cache-Control", "no-store");
  if (refusal && !refusal->balance.empty()) head.headers.set(kBalanceField, refusal->balance);
  if (refusal && refusal->retry_after)
    head.headers.set("Retry-After", retry_after_seconds(*refusal->retry_after));
  std::string body;
  if (made.payment_offered) {
    mpp::Problem shown = refusal ? std::move(refusal->problem)
                                 : mpp::Problem(mpp::ProblemType::payment_required,
                                                "pay one of the challenges in WWW-Authenticate and "
                                                "repeat the request with its proof");
    if (shown.challenge_id.empty()) shown.challenge_id = made.challenge_id;
    head.headers.set("Content-Type", mpp::kProblemContentType);
    body = mpp::problem_json(shown);
  } else {
    head.headers.set("Content-Type", "text/plain; charset=utf-8");
    body = "payment required\n";
  }
  co_await answer(visit, std::move(head), std::move(body), "payment required");
}

// ------------------------------------------------------------------------------------------------
// Answering.

Task<void> Gate::refuse(Visit& visit, Complaint what, std::optional<Millis> retry_after) {
  http::ResponseHead head;
  head.status = what.status;
  head.headers.set("Content-Type", mpp::kProblemContentType);
  head.headers.set("Cache-Control", "no-store");
  if (retry_after) head.headers.set("Retry-After", retry_after_seconds(*retry_after));
  std::string body = to_json(what);
  co_await answer(visit, std::move(head), std::move(body), what.detail);
}

/// `grpc_text` becomes the grpc-message of a refusal to a gRPC caller; empty: never translated.
Task<void> Gate::answer(Visit& visit, http::ResponseHead head, std::string body,
                        std::string grpc_text, const http::Headers* trailers) {
  visit.status = head.status;
  head.headers.set("X-Request-Id", visit.request_id);
  if (visit.used_payment_authorization && !head.headers.has_token("Cache-Control", "no-store")) {
    make_private(head.headers);
  }
  if (visit.service != nullptr && visit.outcome != Outcome::preflight) {
    add_cors(visit.service->settings.cors, visit.service->exposed, visit.request().headers,
             head.headers);
  }
  if (visit.grpc && !grpc_text.empty()) {
    to_grpc(head, grpc_text, visit.grpc_status);
    body.clear();
  }
  auto sent = trailers == nullptr || trailers->empty()
                  ? co_await visit.exchange.respond(std::move(head), std::move(body))
                  : co_await respond_with(visit.exchange, std::move(head), body, *trailers);
  if (!sent)
    OCTROI_LOG(debug, kModule, "client left",
               {{"request", visit.request_id}, {"error", sent.error().message()}});
}

void Gate::finish(Visit& visit) {
  const auto micros = (shared_.clock.now() - visit.started).count() * 1000;
  visit.metrics().requests(visit.outcome).add();
  visit.metrics().latency.observe_micros(micros);
  if (shared_.access == nullptr) return;
  AccessRecord record;
  record.when = visit.started;
  record.request_id = visit.request_id;
  record.client = visit.client.address.str();
  record.method = visit.request().method;
  record.host = visit.request().authority;
  record.path = visit.path;
  record.service = visit.service != nullptr ? visit.service->settings.name.str() : "";
  record.scheme = visit.scheme;
  record.intent = visit.intent;
  record.challenge_id = visit.challenge_id;
  record.status = visit.status;
  record.outcome = to_string(visit.outcome);
  record.duration_micros = micros;
  record.sent_bytes = visit.exchange.sent();
  shared_.access->write(record);
}

}  // namespace octroi::paywall
