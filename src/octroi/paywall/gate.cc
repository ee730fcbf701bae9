#include "octroi/paywall/gate.h"

#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/mpp/binding.h"
#include "octroi/paywall/cors.h"
#include "octroi/paywall/gate_visit.h"
#include "octroi/paywall/grpc.h"

namespace octroi::paywall {

namespace {

bool acceptable_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

/// A whole answer that ends in trailers.
Task<Result<>> respond_with(http::Exchange& exchange, http::ResponseHead head, std::string body,
                            http::Headers trailers) {
  OCTROI_CO_CHECK(co_await exchange.start(std::move(head), std::nullopt));
  if (!body.empty()) OCTROI_CO_CHECK(co_await exchange.write(as_bytes(body)));
  co_return co_await exchange.finish(trailers);
}

}  // namespace

Millis Gate::exchange_time(const Visit& visit) { return visit.exchange.loop().now(); }
bool Gate::past_deadline(const Visit& visit) {
  return visit.deadline && exchange_time(visit) >= *visit.deadline;
}

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
  visit.trace = begin_trace(shared_.tracer, visit.request().headers);
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
  if (visit.trace) visit.end_trace();
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
