// The way to the upstream and back: connect, relay, bill, keep the answer.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/cors.h"
#include "octroi/paywall/gate_visit.h"
#include "octroi/paywall/grpc.h"
#include "octroi/paywall/session_account.h"

namespace octroi::paywall {

namespace {

constexpr std::size_t kStoredBody = 64 * 1024;  // of an answer, for Idempotency-Key
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

/// The answer's head has gone out, whole or to somebody who left.
bool has_answer(const http::RelayResult& result) {
  return result.state == http::RelayState::complete ||
         result.state == http::RelayState::client_gone;
}

std::string what_a_failure_cost(const Grant* grant, bool refused) {
  if (grant == nullptr) return "the upstream did not answer";
  if (grant->session) return "the upstream failed before it answered; the session was not billed";
  if (grant->bundle) return "the upstream failed before it answered; the token was not counted";
  if (refused) return "the upstream could not be reached after the payment was consumed";
  return "the upstream failed after the payment was consumed; the outcome is unknown";
}

}  // namespace

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

/// One request on its way to the upstream and its answer on the way back: how it is billed, and
/// what is kept of it.
struct Gate::Passage {
  Visit& visit;
  Authenticator* authenticator;  // null, as `grant`: nothing was paid
  const Grant* grant;
  bool keep;                            // the answer, for who shows the credential again
  std::unique_ptr<SessionMeter> meter;  // where the answer is billed by what it holds
  ledger::StoredResponse stored;

  void head(http::ResponseHead& head, UnixMillis now);
  void body(ByteView chunk);
  void trailers(const http::Headers& trailers);
  /// What the credential's settling is told.
  [[nodiscard]] Delivery delivery(const http::RelayResult& result, Fate fate);

 private:
  void show_balance(http::Headers& headers) const;
  void keep_head(const http::ResponseHead& head);
};

void Gate::Passage::head(http::ResponseHead& head, UnixMillis now) {
  if (visit.report) visit.report->head(head);
  strip_upstream_payment(head.headers);
  const bool failed_call = visit.grpc && head.headers.get("grpc-status").value_or("0") != "0";
  if (grant != nullptr && head.status >= 200 && head.status < 300 && !failed_call) {
    authenticator->decorate(*grant, head, now);
    if (head.headers.has("Payment-Receipt")) make_private(head.headers);
    if (keep) stored.headers.emplace_back(kReceiptAt, to_rfc3339(now));
  }
  if (visit.used_payment_authorization) make_private(head.headers);
  if (grant != nullptr && grant->bundle) show_balance(head.headers);
  head.headers.set("X-Request-Id", visit.request_id);
  add_cors(visit.service->settings.cors, visit.service->exposed, visit.request().headers,
           head.headers);
  visit.status = head.status;
  if (keep) keep_head(head);
}

void Gate::Passage::show_balance(http::Headers& headers) const {
  const BundleUse& use = *grant->bundle;
  const std::int64_t left = meter ? BundleAccount::units(meter->left()) : use.left;
  headers.set(kBalanceField, format_balance(left, use.unit, use.bound));
}

void Gate::Passage::keep_head(const http::ResponseHead& head) {
  stored.status = head.status;
  if (visit.request().method == "HEAD") stored.headers.emplace_back(kHeadOnly, "1");
  for (const auto field : head.headers) {
    if (is_kept_field(field.name)) stored.headers.emplace_back(field.name, field.value);
  }
}

void Gate::Passage::body(ByteView chunk) {
  if (visit.report) visit.report->body(chunk);
  if (!keep || !stored.body_kept) return;
  if (stored.body.size() + chunk.size() > kStoredBody) {
    stored.body_kept = false;
    stored.body.clear();
    return;
  }
  stored.body += as_text(chunk);
}

void Gate::Passage::trailers(const http::Headers& trailers) {
  for (const auto field : trailers) {
    if (is_kept_field(field.name))
      stored.headers.emplace_back(std::string(kTrailer).append(field.name), field.value);
  }
}

Delivery Gate::Passage::delivery(const http::RelayResult& result, Fate fate) {
  Delivery out;
  out.fate = fate;
  out.metered = meter != nullptr || visit.report != nullptr;
  if (!keep) return out;
  if (result.state != http::RelayState::complete || (meter && meter->stopped()))
    stored.body_kept = false;
  if (!has_answer(result)) {
    stored.status = 502;
    stored.headers.clear();
  }
  out.answer = std::move(stored);
  out.has_key = !visit.context->idempotency_key.empty();
  return out;
}

/// The request as the upstream sees it: without credentials, with what the configuration adds.
void Gate::rewrite(Visit& visit, const Grant* grant) {
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
}

/// `passage` must outlive the relay.
http::RelayOptions Gate::relay_options(Passage& passage) {
  Visit& visit = passage.visit;
  const ServiceSettings& s = visit.service->settings;
  http::RelayOptions options;
  options.connector = &attempt_of(visit);
  options.forwarded_for = visit.client.address.str();
  options.forwarded_proto = visit.client.proto;
  options.forwarded_host =
      visit.client.host.empty() ? visit.request().authority : visit.client.host;
  options.max_body = s.max_body;
  options.buffered_body = std::move(visit.body);
  options.connection = std::move(visit.upstream);
  options.repeat_idempotent = passage.grant == nullptr;  // what was paid for once is asked for once
  options.timeouts = {s.timeouts.connect, s.timeouts.first_byte, s.timeouts.idle};
  options.grpc = visit.grpc;
  if (visit.deadline) {
    options.deadline = std::max(*visit.deadline - exchange_time(visit), Millis(1));
  }
  if (passage.meter) options.filter = passage.meter.get();
  options.on_head = [this, &passage](http::ResponseHead& head) {
    passage.head(head, shared_.clock.now());
  };
  if (passage.keep || visit.report) {
    options.on_body = [&passage](ByteView chunk) { passage.body(chunk); };
  }
  if (passage.keep) {
    options.on_end = [&passage](const http::Headers& trailers) { passage.trailers(trailers); };
  }
  return options;
}

Task<void> Gate::deliver(Visit& visit, Authenticator* authenticator, const Grant* grant) {
  rewrite(visit, grant);
  Passage passage{visit, authenticator, grant, grant != nullptr && grant->use == Use::once, nullptr,
                  {}};
  if (grant != nullptr) passage.meter = meter_for(visit, *grant);
  if (passage.meter || visit.report) SessionMeter::prepare(visit.request());

  std::unique_ptr<Span> hop;
  if (visit.trace) hop = visit.begin_hop();
  auto options = relay_options(passage);
  const auto result = co_await http::relay(
      visit.exchange, upstreams_.client_for(visit.service->settings), std::move(options));
  if (hop) visit.end_hop(std::move(hop), result);  // while it is known which address it was
  attempt_of(visit).ended(result);
  if (grant != nullptr && grant->use != Use::token) co_await bill(passage, result);
  if (visit.report) {
    co_await finish_report(visit, visit.report->ended(result.state, fate_of(visit, result)));
  }
  if (has_answer(result)) co_return;
  if (result.state == http::RelayState::torn) {
    visit.outcome = Outcome::upstream;
    co_return;
  }
  co_await refuse_unanswered(passage, result);
}

Task<void> Gate::bill(Passage& passage, const http::RelayResult& result) {
  const Fate fate = fate_of(passage.visit, result);
  if (passage.meter) co_await passage.meter->settle(result.state, fate);
  auto settled =
      co_await passage.authenticator->settle(*passage.grant, passage.delivery(result, fate));
  if (!settled) {
    OCTROI_LOG(error, kModule, "answer not kept",
               {{"request", passage.visit.request_id}, {"error", settled.error().message()}});
  }
}

/// Nothing of an answer has gone out: the client is told why.
Task<void> Gate::refuse_unanswered(Passage& passage, const http::RelayResult& result) {
  Visit& visit = passage.visit;
  if (passage.meter && passage.meter->refusal()) {
    co_await refuse_answer(visit, std::move(*passage.meter->refusal()), passage.authenticator);
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
  if (result.reset_code) visit.grpc_status = grpc_status_of_reset(*result.reset_code);
  const upstream::AddressState* asked = attempt_of(visit).address();  // lives as long as the door
  OCTROI_LOG(warn, kModule, "upstream failed",
             {{"service", visit.service->settings.name.str()},
              {"address", asked != nullptr ? std::string_view(asked->name()) : std::string_view()},
              {"request", visit.request_id},
              {"error", result.error ? result.error->message() : std::string_view("no answer")}});
  // Nothing was sent, and nothing is spent or it was given back: later is as good as now.
  const bool refused = result.state == http::RelayState::refused;
  if (refused && !passage.keep) {
    co_await refuse(visit, unreached(), upstream::kRefusedFor);
    co_return;
  }
  co_await refuse(visit,
                  complaint({mpp::ProblemType::internal_payment_error,
                             what_a_failure_cost(passage.grant, refused)},
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

}  // namespace octroi::paywall
