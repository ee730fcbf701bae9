// What the four actions of a session do once their proof verified: each is one durable step of the
// ledger, and whatever it says has an answer.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/ledger/usage_reports.h"
#include "octroi/ledger/sessions.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/answers.h"
#include "octroi/paywall/payment_checks.h"
#include "octroi/paywall/session_auth.h"

namespace octroi::paywall {

using ledger::ConsumeState;
using ledger::SessionOutcome;
using mpp::ProblemType;
using mpp::lightning::CloseBody;
using mpp::lightning::RefundStatus;

namespace {

constexpr Millis kReportsWait{5'000};  // before a close, for a source of prices

constexpr std::string_view kModule = "paywall";

/// The proof as the ledger claims it. A session's credential gets its answer again without an
/// Idempotency-Key: the payload itself is the key.
ledger::ConsumeRequest proof_of(const Grant& grant, const RequestContext& context) {
  ledger::ConsumeRequest proof;
  proof.hash = grant.hash;
  proof.scheme = grant.kind;
  proof.service = context.service.settings.name.str();
  proof.challenge_id = grant.challenge_id;
  proof.payload = grant.payload;
  proof.idempotency_key = to_hex(ByteView(grant.payload));
  proof.now = context.now;
  proof.keep_until = grant.expires + kKeepAfterExpiry;
  proof.request_id = context.request_id;
  return proof;
}

/// Asks again for as long as the same credential is being answered by this process.
template <class Outcome, class Ask>
Task<Result<Outcome>> settled_outcome(Ask ask) {
  Result<Outcome> outcome = co_await ask();
  net::Loop* loop = net::Loop::current();
  if (loop == nullptr) co_return outcome;
  const Millis until = loop->now() + kReplayWait;
  while (outcome && outcome->proof.state == ConsumeState::pending && loop->now() < until) {
    co_await loop->sleep(kReplayPoll);
    outcome = co_await ask();
  }
  co_return outcome;
}

Refusal with_key(Refusal refusal, const Grant& grant) {
  refusal.key = grant.key;
  return refusal;
}

/// A commit whose answer was cut off may have happened: no more is promised than is known.
Refusal not_recorded(const Grant& grant) {
  return with_key(refuse_for_now("the session cannot be read or written now; nothing was "
                                 "forwarded, try again",
                                 Millis(1'000)),
                  grant);
}

Refusal session_not_found(const Grant& grant) {
  return with_key(refuse_payment(ProblemType::lightning_session_not_found,
                                 "this service has no such session; open one with the fresh "
                                 "challenge",
                                 Judged::session_not_found),
                  grant);
}

Refusal session_closed(const Grant& grant) {
  return with_key(refuse_payment(ProblemType::lightning_session_closed,
                                 "this session has ended and does not open again; open another "
                                 "with the fresh challenge",
                                 Judged::session_closed),
                  grant);
}

Refusal insufficient(const Grant& grant, const ledger::Session& session, std::string detail) {
  const Msat required = std::max(grant.session->price, grant.session->debit);
  return with_key(refuse_insufficient(session, required, std::move(detail)), grant);
}

ledger::StoredResponse stored_answer(std::string body, UnixMillis when) {
  ledger::StoredResponse stored;
  stored.status = 200;
  stored.headers.emplace_back(kReceiptAt, to_rfc3339(when));
  stored.body = std::move(body);
  return stored;
}

/// When the kept answer was given, for its receipt.
std::optional<UnixMillis> time_of(const std::optional<ledger::StoredResponse>& stored) {
  if (!stored) return std::nullopt;
  for (const auto& [name, value] : stored->headers) {
    if (name != kReceiptAt) continue;
    if (auto when = from_rfc3339(value)) return *when;
  }
  return std::nullopt;
}

Answered door_answer(std::string body, const mpp::Receipt& receipt, bool replayed) {
  Answered out;
  out.head.headers.set("Content-Type", "application/json");
  if (auto field = mpp::format_receipt(receipt)) {
    out.head.headers.set("Payment-Receipt", *field);
    make_private(out.head.headers);
  }
  out.body = std::move(body);
  out.replayed = replayed;
  return out;
}

// Lightning session, "Close Action": three words for what may be six stages; a refund that is still
// on its way when the client is answered has not succeeded.
RefundStatus told(ledger::RefundStage stage) {
  switch (stage) {
    case ledger::RefundStage::succeeded:
      return RefundStatus::succeeded;
    case ledger::RefundStage::none:
    case ledger::RefundStage::skipped:
      return RefundStatus::skipped;
    case ledger::RefundStage::due:
    case ledger::RefundStage::sending:
    case ledger::RefundStage::failed:
      break;
  }
  return RefundStatus::failed;
}

CloseBody close_body_of(const ledger::Session& session, ledger::RefundStage stage) {
  return {to_sat_floor(session.refund.amount), told(stage)};
}

}  // namespace

Task<Admission> SessionIntent::admit(const Grant& grant, const RequestContext& context) {
  if (shared_.store.sessions() == nullptr) co_return not_recorded(grant);
  switch (grant.session->action) {
    case SessionUse::Action::open:
      co_return co_await open(grant, context);
    case SessionUse::Action::bearer:
      co_return co_await bearer(grant, context);
    case SessionUse::Action::top_up:
      co_return co_await top_up(grant, context);
    case SessionUse::Action::close:
      co_return co_await close(grant, context);
  }
  co_return not_recorded(grant);
}

// ------------------------------------------------------------------------------------------------
// open

// Lightning session, "Open Action": claimed, opened and debited in one step. rule: MPP-115
Task<Admission> SessionIntent::open(const Grant& grant, const RequestContext& context) {
  const SessionUse& use = *grant.session;
  ledger::SessionStore& sessions = *shared_.store.sessions();
  const ledger::OpenSession request{proof_of(grant, context), use.deposit,     use.debit,
                                    use.return_invoice,       use.return_hash, use.idle_timeout};
  auto opened = co_await settled_outcome<ledger::OpenOutcome>(
      [&sessions, &request] { return sessions.open_session(request); });
  if (!opened) co_return not_recorded(grant);
  if (opened->return_invoice_taken) co_return with_key(refuse_return_invoice(context), grant);
  switch (opened->proof.state) {
    case ConsumeState::fresh:
      break;
    case ConsumeState::replay:
    case ConsumeState::unfinished:
      co_return open_again(std::move(*opened), context.now);
    case ConsumeState::pending:
      co_return with_key(refuse_while_pending(), grant);
    case ConsumeState::unknown_hash:
    case ConsumeState::spent:
      co_return with_key(refuse_used(opened->proof.state), grant);
  }
  shared_.unpaid.settled(grant.hash);
  context.metrics.first_payment(grant.kind, use.deposit);
  context.metrics.session_event(SessionEvent::opened);
  if (!use.price_rose) co_return Proceed{};
  co_await keep_answer(grant.hash, {}, context.now);
  co_return insufficient(
      grant, *opened->session,
      fmt::format("the session is open with its whole deposit; a request here costs {}, more than "
                  "its challenge showed, so it was not served: go on with the fresh challenge",
                  format(to_sat_ceil(use.price))));
}

/// What the first presentation got; where that was not kept, the receipt alone: the session is
/// open, and its request is not run a second time. rule: MPP-120
Admission SessionIntent::open_again(ledger::OpenOutcome seen, UnixMillis now) {
  if (seen.proof.response) {
    auto& headers = seen.proof.response->headers;
    headers.erase(std::remove_if(headers.begin(), headers.end(),
                                 [](const auto& field) { return field.first == kHeadOnly; }),
                  headers.end());
    return std::move(*seen.proof.response);
  }
  return stored_answer({}, seen.session ? seen.session->opened : now);
}

/// The deposit is paid, so the challenge that it was paid for is given back, for another try.
Refusal SessionIntent::refuse_return_invoice(const RequestContext& context) const {
  auto r = refuse_payment(ProblemType::lightning_invalid_return_invoice,
                          "returnInvoice: another session has it already, or it is the deposit's "
                          "own; give a new one",
                          Judged::return_invoice);
  if (!context.payment || !*context.payment) return r;
  const auto known =
      challenges_.recognise(context, Intent::session, (*context.payment)->challenge());
  if (!known) return r;
  if (auto line = mpp::format_challenge(known->challenge)) {
    r.repeat_challenge = std::move(*line);
    r.problem.challenge_id = known->challenge.id;
  }
  return r;
}

// ------------------------------------------------------------------------------------------------
// bearer

// Lightning session, "Bearer Action". rule: MPP-116
// One durable step before the relay; what comes of the request is told to settle(). Where the
// answer is billed by what it holds (session_meter.h), this is what is set aside for its beginning.
Task<Admission> SessionIntent::bearer(const Grant& grant, const RequestContext& context) {
  const SessionUse& use = *grant.session;
  auto debited = co_await shared_.store.sessions()->debit_session(
      use.session, context.service.settings.name.str(), use.debit, context.now);
  if (!debited) co_return not_recorded(grant);
  switch (debited->outcome) {
    case SessionOutcome::applied:
      co_return Proceed{};
    case SessionOutcome::closed:
      co_return session_closed(grant);
    case SessionOutcome::insufficient:
      co_return insufficient(
          grant, *debited->session,
          fmt::format("the session has {} left and a request here costs {}: top it up with the "
                      "fresh challenge",
                      format(debited->session->balance()),
                      format(to_sat_ceil(std::max(use.price, use.debit)))));
    case SessionOutcome::not_found:
    case SessionOutcome::replayed:
      break;
  }
  co_return session_not_found(grant);
}

Task<Result<>> SessionIntent::settle(const Grant& grant, Delivery delivery) {
  const SessionUse& use = *grant.session;
  if (!delivery.metered && delivery.fate == Fate::failed && !use.debit.is_zero()) {
    auto returned =
        co_await shared_.store.sessions()->give_back(use.session, use.debit, shared_.clock.now());
    if (!returned) {
      OCTROI_LOG(error, kModule, "a debit was not given back",
                 {{"session", use.session.hex()}, {"error", returned.error().message()}});
    }
  }
  if (!delivery.answer) co_return Result<>{};
  co_return co_await shared_.store.finish_consume(grant.hash, std::move(*delivery.answer));
}

// ------------------------------------------------------------------------------------------------
// topUp and close: the door answers them itself

/// The second durable step. Without it a replay is told the same from the session itself.
Task<void> SessionIntent::keep_answer(PaymentHash hash, std::string body, UnixMillis when) {
  auto kept = co_await shared_.store.finish_consume(hash, stored_answer(std::move(body), when));
  if (!kept) OCTROI_LOG(warn, kModule, "answer not kept", {{"error", kept.error().message()}});
}

// Lightning session, "TopUp Action": added once, and nothing is started. rule: MPP-117
Task<Admission> SessionIntent::top_up(const Grant& grant, const RequestContext& context) {
  const SessionUse& use = *grant.session;
  ledger::SessionStore& sessions = *shared_.store.sessions();
  const ledger::TopUp request{proof_of(grant, context), use.session, use.deposit};
  auto added = co_await settled_outcome<ledger::TopUpOutcome>(
      [&sessions, &request] { return sessions.top_up_session(request); });
  if (!added) co_return not_recorded(grant);
  switch (added->outcome) {
    case SessionOutcome::applied:
      shared_.unpaid.settled(grant.hash);
      context.metrics.first_payment(grant.kind, use.deposit);
      context.metrics.session_event(SessionEvent::topped_up);
      shared_.bell->ring(use.session);
      co_await keep_answer(grant.hash, mpp::lightning::top_up_body(), context.now);
      co_return door_answer(mpp::lightning::top_up_body(), receipt(grant, context.now), false);
    case SessionOutcome::not_found:
      co_return session_not_found(grant);
    case SessionOutcome::closed:
      co_return session_closed(grant);
    case SessionOutcome::insufficient:
    case SessionOutcome::replayed:
      break;
  }
  switch (added->proof.state) {
    case ConsumeState::replay:
    case ConsumeState::unfinished: {
      const UnixMillis when = time_of(added->proof.response).value_or(context.now);
      co_return door_answer(mpp::lightning::top_up_body(), receipt(grant, when), true);
    }
    case ConsumeState::pending:
      co_return with_key(refuse_while_pending(), grant);
    case ConsumeState::fresh:
    case ConsumeState::unknown_hash:
    case ConsumeState::spent:
      break;
  }
  co_return with_key(refuse_used(added->proof.state), grant);
}

/// What the session's last requests cost may not be booked yet: its source is given a moment to
/// say, because afterwards nothing comes back.
Task<void> SessionIntent::await_reports(const RequestContext& context, PaymentHash session) {
  ledger::UsageReports* reports = shared_.store.usage_reports();
  net::Loop* loop = net::Loop::current();
  if (!context.service.settings.session_quotes || reports == nullptr || loop == nullptr) co_return;
  const Millis until = loop->now() + kReportsWait;
  for (;;) {
    auto waiting = co_await reports->has_reports(session.hex());
    if (!waiting || !*waiting || loop->now() >= until) co_return;
    if (shared_.usage != nullptr) shared_.usage->ring();
    co_await loop->sleep(kReplayPoll);
  }
}

// Lightning session, "Close Action": closed and written down first, then paid once. rule: MPP-112
// MPP-118
Task<Admission> SessionIntent::close(const Grant& grant, const RequestContext& context) {
  const SessionUse& use = *grant.session;
  co_await await_reports(context, use.session);
  ledger::SessionStore& sessions = *shared_.store.sessions();
  ledger::CloseSession request;
  request.session = use.session;
  request.service = context.service.settings.name.str();
  request.reason = ledger::CloseReason::client;
  request.now = context.now;
  request.proof = proof_of(grant, context);
  auto closed = co_await settled_outcome<ledger::CloseOutcome>(
      [&sessions, &request] { return sessions.close_session(request); });
  if (!closed) co_return not_recorded(grant);
  switch (closed->outcome) {
    case SessionOutcome::applied: {
      context.metrics.session_event(SessionEvent::closed);
      shared_.bell->ring(use.session);
      ledger::RefundStage stage = closed->session->refund.stage;
      if (stage == ledger::RefundStage::due && shared_.refunds != nullptr)
        stage = co_await shared_.refunds->send(use.session);
      const CloseBody body = close_body_of(*closed->session, stage);
      co_await keep_answer(grant.hash, mpp::lightning::close_body(body), context.now);
      co_return close_answer(grant, body, context.now, false);
    }
    case SessionOutcome::not_found:
      co_return session_not_found(grant);
    case SessionOutcome::closed:
      co_return session_closed(grant);
    case SessionOutcome::insufficient:
    case SessionOutcome::replayed:
      break;
  }
  switch (closed->proof.state) {
    case ConsumeState::replay:
    case ConsumeState::unfinished:
      co_return close_again(grant, *closed, context.now);
    case ConsumeState::pending:
      co_return with_key(refuse_while_pending(), grant);
    case ConsumeState::fresh:
    case ConsumeState::unknown_hash:
    case ConsumeState::spent:
      break;
  }
  co_return with_key(refuse_used(closed->proof.state), grant);
}

Answered SessionIntent::close_answer(const Grant& grant, const CloseBody& body, UnixMillis when,
                                     bool replayed) {
  return door_answer(
      mpp::lightning::close_body(body),
      mpp::lightning::close_receipt(grant.session->session, grant.challenge_id, when, body),
      replayed);
}

/// The same words as the first time; where they were not kept, what the session says now.
Admission SessionIntent::close_again(const Grant& grant, const ledger::CloseOutcome& seen,
                                     UnixMillis now) {
  if (seen.proof.response) {
    auto body = mpp::lightning::parse_close_body(seen.proof.response->body);
    if (body) return close_answer(grant, *body, time_of(seen.proof.response).value_or(now), true);
  }
  if (!seen.session) return session_not_found(grant);
  return close_answer(grant, close_body_of(*seen.session, seen.session->refund.stage),
                      seen.session->closed.value_or(now), true);
}

mpp::Receipt SessionIntent::receipt(const Grant& grant, UnixMillis when) {
  return mpp::lightning::session_receipt(grant.session->session, grant.challenge_id, when);
}

}  // namespace octroi::paywall
