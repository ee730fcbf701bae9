#include "octroi/ledger/memory_sessions.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "octroi/ledger/memory_store.h"

namespace octroi::ledger {
namespace {

SessionResult outcome_of(SessionOutcome outcome, const Session& session) {
  return {outcome, session};
}

bool idle_at(const Session& s, UnixMillis now) { return s.last_used + s.idle_timeout <= now; }

void mark_used(Session& s, UnixMillis now) { s.last_used = std::max(s.last_used, now); }

/// What is left goes back in whole satoshis; a millisatoshi cannot be told to every node.
Result<Refund> refund_of(const Session& s, UnixMillis now) {
  Refund refund;
  refund.amount = to_msat(to_sat_floor(s.balance()));
  OCTROI_TRY(refund.rounding, s.balance().minus(refund.amount));
  refund.stage = refund.amount.is_zero() ? RefundStage::skipped : RefundStage::due;
  refund.updated = now;
  return refund;
}

}  // namespace

void MemorySessions::restart_locked() {
  for (auto& [age, kept] : by_age_) kept.sending_here = false;
}

bool MemorySessions::contains_locked(const PaymentHash& id) const { return ids_.contains(id); }

MemorySessions::Kept* MemorySessions::find_locked(const PaymentHash& id) {
  const auto it = ids_.find(id);
  return it == ids_.end() ? nullptr : &by_age_.at(it->second);
}

std::optional<Session> MemorySessions::copy_locked(const PaymentHash& id) {
  const Kept* kept = find_locked(id);
  return kept == nullptr ? std::nullopt : std::optional<Session>(kept->session);
}

Session* MemorySessions::find_of_service_locked(const PaymentHash& id, const std::string& service) {
  Kept* kept = find_locked(id);
  return kept == nullptr || kept->session.service != service ? nullptr : &kept->session;
}

Task<Result<OpenOutcome>> MemorySessions::open_session(OpenSession request) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_booking(request));
  const PaymentHash id = request.proof.hash;
  OpenOutcome out;
  if (auto seen = store_.seen_locked(request.proof)) {
    out.proof = *std::move(seen);
    if (tells_the_holder(out.proof.state)) out.session = copy_locked(id);
    co_return out;
  }
  if (request.return_hash == id || return_hashes_.contains(request.return_hash)) {
    out.return_invoice_taken = true;
    co_return out;
  }
  Session s;
  s.id = id;
  s.service = request.proof.service;
  s.return_invoice = std::move(request.return_invoice);
  s.return_hash = request.return_hash;
  s.deposit = request.deposit;
  s.spent = request.first_debit;
  s.opened = s.last_used = request.proof.now;
  s.idle_timeout = request.idle_timeout;
  out.proof = store_.claim_locked(std::move(request.proof));
  return_hashes_.insert(s.return_hash);
  const std::int64_t age = next_age_++;
  ids_.emplace(id, age);
  out.session = by_age_.emplace(age, Kept{std::move(s)}).first->second.session;
  co_return out;
}

Task<Result<std::optional<Session>>> MemorySessions::find_session(PaymentHash id) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  co_return copy_locked(id);
}

Task<Result<SessionResult>> MemorySessions::debit_session(PaymentHash id, std::string service,
                                                          Msat amount, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_booking(amount));
  Session* s = find_of_service_locked(id, service);
  if (s == nullptr) co_return SessionResult{};
  if (s->state == SessionState::closed) co_return outcome_of(SessionOutcome::closed, *s);
  if (s->balance() < amount) co_return outcome_of(SessionOutcome::insufficient, *s);
  OCTROI_CO_TRY(s->spent, s->spent.plus(amount));
  mark_used(*s, now);
  co_return outcome_of(SessionOutcome::applied, *s);
}

Task<Result<SessionResult>> MemorySessions::give_back(PaymentHash id, Msat amount, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_booking(amount));
  Kept* kept = find_locked(id);
  if (kept == nullptr) co_return SessionResult{};
  Session& s = kept->session;
  if (s.state == SessionState::closed) co_return outcome_of(SessionOutcome::closed, s);
  if (s.spent < amount) co_return outcome_of(SessionOutcome::insufficient, s);
  OCTROI_CO_TRY(s.spent, s.spent.minus(amount));
  mark_used(s, now);
  co_return outcome_of(SessionOutcome::applied, s);
}

Task<Result<TopUpOutcome>> MemorySessions::top_up_session(TopUp request) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_booking(request.amount));
  TopUpOutcome out;
  if (auto seen = store_.seen_locked(request.proof)) {
    out.outcome = SessionOutcome::replayed;
    out.proof = *std::move(seen);
    if (tells_the_holder(out.proof.state)) out.session = copy_locked(request.session);
    co_return out;
  }
  Session* s = find_of_service_locked(request.session, request.proof.service);
  if (s == nullptr) co_return out;
  out.outcome = SessionOutcome::closed;
  if (s->state == SessionState::open) {
    OCTROI_CO_TRY(s->deposit, s->deposit.plus(request.amount));
    mark_used(*s, request.proof.now);
    out.outcome = SessionOutcome::applied;
    out.proof = store_.claim_locked(std::move(request.proof));
  }
  out.session = *s;
  co_return out;
}

Task<Result<CloseOutcome>> MemorySessions::close_session(CloseSession request) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  CloseOutcome out;
  if (request.proof) {
    if (auto seen = store_.seen_locked(*request.proof)) {
      out.outcome = SessionOutcome::replayed;
      out.proof = *std::move(seen);
      if (tells_the_holder(out.proof.state)) out.session = copy_locked(request.session);
      co_return out;
    }
  }
  Kept* kept = find_locked(request.session);
  if (kept == nullptr || (!request.service.empty() && kept->session.service != request.service)) {
    co_return out;
  }
  Session& s = kept->session;
  out.session = s;
  if (s.state == SessionState::closed) {
    out.outcome = request.proof ? SessionOutcome::closed : SessionOutcome::replayed;
    co_return out;
  }
  if (request.only_if_idle && !idle_at(s, request.now)) {
    out.outcome = SessionOutcome::replayed;
    co_return out;
  }
  OCTROI_CO_TRY(s.refund, refund_of(s, request.now));
  s.state = SessionState::closed;
  s.reason = request.reason;
  s.closed = request.now;
  if (request.proof) store_.remember_locked(*std::move(request.proof));
  co_return CloseOutcome{SessionOutcome::applied, {ConsumeState::fresh, std::nullopt}, s};
}

Task<Result<std::optional<Session>>> MemorySessions::claim_refund(PaymentHash id, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  Kept* kept = find_locked(id);
  if (kept == nullptr || kept->session.refund.stage != RefundStage::due) {
    co_return std::optional<Session>{};
  }
  Refund& refund = kept->session.refund;
  refund.stage = RefundStage::sending;
  ++refund.attempts;
  refund.updated = now;
  refund.detail.clear();
  kept->sending_here = true;
  co_return std::optional<Session>(kept->session);
}

Task<Result<SessionOutcome>> MemorySessions::record_refund(PaymentHash id, RefundStage stage,
                                                           Msat fee, std::string detail,
                                                           UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_refund_end(stage));
  Kept* kept = find_locked(id);
  if (kept == nullptr) co_return SessionOutcome::not_found;
  Refund& refund = kept->session.refund;
  if (!may_end(refund.stage, stage)) co_return SessionOutcome::replayed;
  refund.stage = stage;
  refund.fee = stage == RefundStage::succeeded ? fee : Msat{};
  refund.detail = std::move(detail);
  refund.updated = now;
  kept->sending_here = false;
  co_return SessionOutcome::applied;
}

Task<Result<SessionOutcome>> MemorySessions::retry_refund(PaymentHash id, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  Kept* kept = find_locked(id);
  if (kept == nullptr) co_return SessionOutcome::not_found;
  Refund& refund = kept->session.refund;
  if (refund.stage != RefundStage::failed) co_return SessionOutcome::replayed;
  refund.stage = RefundStage::due;
  refund.updated = now;
  co_return SessionOutcome::applied;
}

Task<Result<std::vector<Session>>> MemorySessions::unfinished_refunds(UnixMillis now,
                                                                      Millis stale) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::vector<Session> out;
  for (const auto& [age, kept] : by_age_) {
    const Refund& r = kept.session.refund;
    const bool lost =
        r.stage == RefundStage::sending && (!kept.sending_here || r.updated + stale <= now);
    if (r.stage == RefundStage::due || lost) out.push_back(kept.session);
  }
  co_return out;
}

Task<Result<std::vector<Session>>> MemorySessions::idle_sessions(UnixMillis now, int limit) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::vector<Session> out;
  for (const auto& [age, kept] : by_age_) {
    if (kept.session.state == SessionState::open && idle_at(kept.session, now)) {
      out.push_back(kept.session);
    }
  }
  std::sort(out.begin(), out.end(), [](const Session& a, const Session& b) {
    return std::pair(a.last_used, a.id) < std::pair(b.last_used, b.id);
  });
  out.resize(std::min(out.size(), static_cast<std::size_t>(std::clamp(limit, 1, kMostSessions))));
  co_return out;
}

namespace {
bool matches(const SessionFilter& f, const Session& s) {
  return (f.service.empty() || f.service == s.service) && (!f.state || *f.state == s.state) &&
         (!f.refund || *f.refund == s.refund.stage);
}
}  // namespace

Task<Result<std::vector<Session>>> MemorySessions::list_sessions(SessionFilter filter) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const auto limit = static_cast<std::size_t>(std::clamp(filter.limit, 1, kMostSessions));
  auto end = by_age_.end();
  if (filter.before) {
    const auto cursor = ids_.find(*filter.before);
    end = cursor == ids_.end() ? by_age_.begin() : by_age_.find(cursor->second);
  }
  std::vector<Session> out;
  for (auto it = end; it != by_age_.begin() && out.size() < limit;) {
    --it;
    if (matches(filter, it->second.session)) out.push_back(it->second.session);
  }
  co_return out;
}

namespace {
Result<> add(Msat& sum, Msat amount) {
  OCTROI_TRY(sum, sum.plus(amount));
  return {};
}

Result<> add_up(SessionTotals& t, const Session& s) {
  OCTROI_CHECK(add(t.deposits, s.deposit));
  OCTROI_CHECK(add(t.spent, s.spent));
  if (s.state == SessionState::open) return add(t.open_balances, s.balance());
  OCTROI_CHECK(add(t.rounding, s.refund.rounding));
  OCTROI_CHECK(add(t.refund_fees, s.refund.fee));
  const bool paid = s.refund.stage == RefundStage::succeeded;
  return add(paid ? t.refunded : t.unpaid_refunds, s.refund.amount);
}
}  // namespace

std::vector<PaymentHash> MemorySessions::prune_locked(UnixMillis horizon) {
  std::vector<PaymentHash> out;
  for (auto it = by_age_.begin(); it != by_age_.end();) {
    const Session& s = it->second.session;
    const bool over = s.state == SessionState::closed && *s.closed <= horizon &&
                      s.refund.updated <= horizon && refund_is_over(s.refund.stage);
    if (!over || !add_up(forgotten_, s)) {
      ++it;
      continue;
    }
    out.push_back(s.id);
    ids_.erase(s.id);
    it = by_age_.erase(it);
  }
  return out;
}

Task<Result<SessionTotals>> MemorySessions::session_totals() {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  SessionTotals totals = forgotten_;
  for (const auto& [age, kept] : by_age_) OCTROI_CO_CHECK(add_up(totals, kept.session));
  co_return totals;
}

}  // namespace octroi::ledger
