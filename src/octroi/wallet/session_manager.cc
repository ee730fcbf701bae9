#include "octroi/wallet/session_manager.h"

#include <utility>

#include "octroi/base/log.h"
#include "octroi/wallet/session_turn.h"

namespace octroi::wallet {

namespace {

constexpr int kMostSteps = 12;
constexpr std::size_t kMostTried = 3;

std::string reason_of(const std::string& detail) {
  return detail.empty() ? std::string() : ": " + detail;
}

}  // namespace

Task<Result<FetchResult>> SessionManager::fetch(FetchRequest request) {
  Turn turn;
  turn.request = std::move(request);
  turn.origin = turn.request.http.url.origin();
  if (!turn.request.pay || turn.request.dry_run) co_return co_await look_only(&turn);
  if (turn.request.session) {
    OCTROI_CO_TRY(turn.book, means_.book());
  }
  auto done = co_await run(&turn);
  if (!done || !done->session || !turn.request.close_after) co_return done;
  auto closed = co_await close(done->session->id, turn.request);
  if (!closed) {
    done->notes.push_back("the session was not closed: " + std::string(closed.error().message()));
    co_return done;
  }
  done->session->closed = closed->record.stage == SessionStage::closed;
  done->session->refund = closed->record.refund;
  done->session->refund_seen = closed->record.refund_seen;
  done->session->spent = closed->record.spent;
  for (auto& note : closed->notes) done->notes.push_back(std::move(note));
  co_return done;
}

/// From try to try. Each ends the fetch, or leaves what the next one needs in the turn.
Task<Result<FetchResult>> SessionManager::run(Turn* turn) {
  for (int step = 0; step < kMostSteps; ++step) {
    std::optional<SessionRecord> record;
    if (turn->book != nullptr) {
      OCTROI_CO_TRY(record, pick(*turn));
    }
    if (!record && !turn->fresh) {
      OCTROI_CO_TRY(auto done, co_await ask(turn));
      if (done) co_return std::move(*done);
      continue;
    }
    if (!record || record->is_unfinished()) {
      OCTROI_CO_TRY(Next next, co_await open_or_join(turn));
      if (next.what == Next::What::answered)
        co_return co_await finish(turn, std::move(*next.answer));
      if (next.what == Next::What::look) continue;
      record = std::move(next.record);
    }
    OCTROI_CO_TRY(auto done, co_await bear(turn, std::move(*record)));
    if (done) co_return std::move(*done);
  }
  co_return fail(Errc::refused_after_pay, "the service keeps refusing the session's credential");
}

/// The session to try next: one that opened this very path, then one that opened a neighbour; once
/// the realm is known, any of it. One whose opening was cut off comes first: its deposit is paid.
Result<std::optional<SessionRecord>> SessionManager::pick(const Turn& turn) {
  if (!turn.fresh && !turn.request.session) return std::optional<SessionRecord>();
  if (turn.tried.size() >= kMostTried) return std::optional<SessionRecord>();
  OCTROI_TRY(auto records, turn.book->of_origin(turn.origin));
  SessionRecord* best = nullptr;
  int best_rank = -1;
  for (SessionRecord& record : records) {
    const int fit = fitness(record, turn.path());
    const bool usable = record.stage == SessionStage::open || (record.is_unfinished() && fit > 0);
    const bool here = turn.fresh ? turn.fresh->challenge.realm == record.realm : fit > 0;
    if (!usable || !here || turn.has_tried(record.id)) continue;
    const int rank = 2 * fit + (record.is_unfinished() ? 1 : 0);
    if (rank > best_rank) {
      best = &record;
      best_rank = rank;
    }
  }
  if (best == nullptr) return std::optional<SessionRecord>();
  return std::optional(std::move(*best));
}

/// Sends the request as it is. A result: the fetch ends here, because nothing is asked for, or not
/// a session.
Task<Result<std::optional<FetchResult>>> SessionManager::ask(Turn* turn) {
  turn->asked = true;
  turn->fresh.reset();
  OCTROI_CO_TRY(auto asked, co_await payer_.ask(&turn->request));
  const bool wanted =
      !asked.read.sessions.empty() && (turn->request.session || asked.read.offers.empty());
  if (asked.result.response.status != 402 || !wanted) {
    OCTROI_CO_TRY(auto result, co_await payer_.settle(turn->request, std::move(asked)));
    co_return std::optional(std::move(result));
  }
  OCTROI_CO_CHECK(Payer::may_pay(turn->request, asked));
  turn->result.url = asked.result.url;
  turn->result.notes = std::move(asked.read.refused);
  turn->fresh = std::move(asked.read.sessions.front());
  if (turn->book == nullptr) {
    OCTROI_CO_TRY(turn->book, means_.book());
  }
  co_return std::optional<FetchResult>();
}

/// A fresh challenge, for who has a session: nothing else is paid for here.
Task<Result<>> SessionManager::refresh(Turn* turn) {
  turn->asked = true;
  turn->fresh.reset();
  OCTROI_CO_TRY(auto asked, co_await payer_.ask(&turn->request));
  OCTROI_CO_CHECK(Payer::may_pay(turn->request, asked));
  if (asked.result.response.status != 402 || asked.read.sessions.empty()) {
    co_return fail(Errc::no_challenge,
                   fmt::format("the service offers no session there now (HTTP {})",
                               asked.result.response.status));
  }
  turn->fresh = std::move(asked.read.sessions.front());
  co_return Result<>{};
}

/// --no-pay and --dry-run: nothing of the sessions is shown to anybody.
Task<Result<FetchResult>> SessionManager::look_only(Turn* turn) {
  OCTROI_CO_TRY(auto asked, co_await payer_.ask(&turn->request));
  const bool wanted =
      !asked.read.sessions.empty() && (turn->request.session || asked.read.offers.empty());
  if (asked.result.response.status != 402 || !wanted || !turn->request.pay)
    co_return co_await payer_.settle(turn->request, std::move(asked));
  OCTROI_CO_CHECK(Payer::may_pay(turn->request, asked));
  FetchResult result = std::move(asked.result);
  result.notes = std::move(asked.read.refused);
  turn->fresh = asked.read.sessions.front();
  OCTROI_CO_TRY(turn->book, means_.book());
  OCTROI_CO_TRY(const auto known, pick(*turn));
  if (known) {
    result.notes.push_back(fmt::format("a session of {} pays for this: a unit is {}", turn->origin,
                                       format(turn->fresh->unit)));
    co_return result;
  }
  result.session_offer = turn->fresh;
  if (auto decided = may_deposit(*turn, *turn->fresh); !decided) {
    result.notes.emplace_back(decided.error().message());
    co_return result;
  }
  result.would_pay = true;
  co_return result;
}

/// Shows the session. Lightning session, "Bearer Action": with the last challenge that has not
/// expired, so that no invoice is made for a request that needs none.
Task<Result<std::optional<FetchResult>>> SessionManager::bear(Turn* turn, SessionRecord record) {
  const SessionOffer* fresh = turn->fresh_for(record);
  const bool was_fresh = fresh != nullptr;
  if (!was_fresh && record.challenge_expires <= clock_.now() + kShowBefore) {
    OCTROI_CO_TRY(auto done, co_await ask(turn));
    co_return done;
  }
  if (!turn->asked) OCTROI_CO_CHECK(Payer::may_pay(turn->request, {}));
  const Sat unit = was_fresh ? fresh->unit : record.unit;
  OCTROI_CO_CHECK(payer_.decide(turn->request, to_msat(unit)));
  if (was_fresh) {
    record.challenge = fresh->challenge;
    record.challenge_expires = fresh->expires;
    record.unit = unit;
  }
  turn->know(record);
  OCTROI_CO_TRY(auto answer,
                co_await show(turn, record.challenge,
                              mpp::lightning::session_payload_json(mpp::lightning::BearerAction{
                                  record.id, record.preimage.clone()})));
  if (answer.head.status == 402) {
    OCTROI_CO_TRY(auto refusal, co_await read_refusal(turn, &answer));
    OCTROI_CO_CHECK(co_await refused_bearer(turn, &record, was_fresh, std::move(refusal)));
    co_return std::optional<FetchResult>();
  }
  if (answer.head.status == 429) {
    co_return fail(Errc::rate_limited,
                   "the service says: too many requests; wait as Retry-After says");
  }
  const bool charged = answer.has_receipt();
  auto kept = turn->book->change(record.id, [&](SessionRecord& r) {
    r.last_used = clock_.now();
    r.url = turn->request.http.url.str();
    r.method = turn->request.http.method;
    remember_path(r, turn->path());
    r.challenge = record.challenge;
    r.challenge_expires = record.challenge_expires;
    r.unit = record.unit;
    if (charged) r.spent = std::min(r.spent.plus(to_msat(unit)).value_or(r.deposit), r.deposit);
  });
  if (kept && *kept) turn->know(**kept);
  if (charged) turn->charged = to_msat(unit);
  OCTROI_CO_TRY(auto result, co_await finish(turn, std::move(answer)));
  co_return std::optional(std::move(result));
}

/// What a 402 to a bearer means for the next try. An error ends the fetch.
Task<Result<>> SessionManager::refused_bearer(Turn* turn, const SessionRecord* record,
                                              bool was_fresh, Refusal refusal) {
  using mpp::ProblemType;
  const auto problem = refusal.problem.value_or(ProblemType::payment_required);
  if (refusal.spent) {
    OCTROI_CO_CHECK(turn->book->change(
        record->id, [&](SessionRecord& r) { r.spent = to_msat(*refusal.spent); }));
  }
  if (problem == ProblemType::lightning_insufficient_balance) {
    if (turn->topped_up) {
      co_return fail(Errc::refused_after_pay,
                     "the session was topped up and still does not pay for this; it was not topped "
                     "up again" +
                         reason_of(refusal.detail));
    }
    turn->topped_up = true;
    co_return co_await top_up(turn, record->id);
  }
  const bool ended = problem == ProblemType::lightning_session_closed;
  const bool unknown = problem == ProblemType::lightning_session_not_found;
  if (ended || unknown) {
    turn->tried.push_back(record->id);
    // A session that never opened this path may simply be another service's.
    if (unknown && fitness(*record, turn->path()) < 2) co_return Result<>{};
    OCTROI_CO_CHECK(turn->book->change(record->id, [&](SessionRecord& r) {
      r.stage = SessionStage::closed;
      r.detail = ended ? "ended by the service" : "not known to the service any more";
    }));
    co_return Result<>{};
  }
  if (!was_fresh && turn->fresh) co_return Result<>{};  // again, with the challenge of this answer
  co_return fail(Errc::refused_after_pay,
                 "the service refuses the session's credential; nothing was paid for this request" +
                     reason_of(refusal.detail));
}

/// The answer is here: its body, and what is to be told.
Task<Result<FetchResult>> SessionManager::finish(Turn* turn, Answer answer) {
  FetchResult& result = turn->result;
  result.scheme = Scheme::payment;
  result.url = turn->request.http.url.str();
  if (const auto receipt = answer.head.headers.get("Payment-Receipt"))
    result.receipt = std::string(*receipt);
  OCTROI_CO_CHECK(co_await read_body(turn, &answer));
  turn->use.opened = turn->opened;
  result.session = turn->use;
  co_return std::move(result);
}

}  // namespace octroi::wallet
