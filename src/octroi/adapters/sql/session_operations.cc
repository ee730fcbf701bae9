#include "octroi/adapters/sql/session_operations.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "octroi/adapters/sql/claims.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/adapters/sql/session_rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// A session's claim and its invoice are never forgotten.
constexpr UnixMillis kForever{std::numeric_limits<std::int64_t>::max()};
/// How often an operation is tried whose statement found nothing to change, when the row that
/// explains it says that it could: another process changed it in between.
constexpr int kTries = 8;

std::int64_t stored(Msat amount) { return amount.count(); /* raw: storage */ }

/// The claim in the same transaction: nullopt when it is ours, else what the proof got before.
Result<std::optional<ConsumeOutcome>> claim(Connection& db, const ConsumeRequest& proof,
                                            std::string_view boot) {
  OCTROI_TRY(const bool ours, claim_hash(db, proof, boot));
  if (ours) return std::optional<ConsumeOutcome>{};
  OCTROI_TRY(ConsumeOutcome seen, seen_before(db, proof, boot));
  return std::optional<ConsumeOutcome>{std::move(seen)};
}

/// As if the claim of this transaction had not been made. Not by undoing it: that may cost the
/// whole batch a second try.
Result<> unclaim(Connection& db, const ConsumeRequest& proof) {
  return db.run("DELETE FROM consumed WHERE hash = ?", proof.hash.bytes());
}

/// A deposit that was claimed is sold.
Result<> book_deposit(Connection& db, const ConsumeRequest& proof, UnixMillis keep_until) {
  OCTROI_CHECK(extend_invoice(db, proof.hash, keep_until));
  OCTROI_CHECK(mark_settled(db, proof.hash, proof.now));
  return book_sale(db, proof);
}

Result<std::optional<Session>> seen_by_holder(Connection& db, ConsumeState state,
                                              const PaymentHash& id) {
  if (!tells_the_holder(state)) return std::optional<Session>{};
  return find_session(db, id);
}

Result<SessionResult> changes_too_fast() {
  return fail(Errc::unavailable, "the session was changed by others all the time");
}

}  // namespace

Result<std::optional<Session>> find_session(Connection& db, const PaymentHash& id) {
  OCTROI_TRY(Query q,
             db.query("SELECT " OCTROI_SESSION_COLUMNS " FROM sessions WHERE id = ?", id.bytes()));
  return next_session(q);
}

// --- opening

namespace {

/// False when the return invoice is taken.
Result<bool> insert_session(Connection& db, const OpenSession& r) {
  OCTROI_CHECK(db.run(
      "INSERT INTO sessions (id, service, return_invoice, return_hash, deposit_msat, spent_msat,"
      " opened_at, last_used_at, idle_ms, look_at, state, close_reason, refund_stage, refund_msat,"
      " rounding_msat, refund_fee_msat, refund_attempts, refund_at, refund_detail, refund_boot)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', '', 'none', 0, 0, 0, 0, 0, '', '')"
      " ON CONFLICT (return_hash) DO NOTHING",
      r.proof.hash.bytes(), std::string_view(r.proof.service), std::string_view(r.return_invoice),
      r.return_hash.bytes(), stored(r.deposit), stored(r.first_debit), r.proof.now.value,
      r.proof.now.value, std::int64_t{r.idle_timeout.count()},
      (r.proof.now + r.idle_timeout).value));
  if (db.changes() == 0) return false;
  // Looked at after the row is there, so that one whose session is being pruned is seen in either
  // place.
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM past_return_invoices WHERE return_hash = ?",
                               r.return_hash.bytes()));
  OCTROI_TRY(const bool taken, q.step());
  if (!taken) return true;
  OCTROI_CHECK(db.run("DELETE FROM sessions WHERE id = ?", r.proof.hash.bytes()));
  return false;
}

}  // namespace

Result<OpenOutcome> open_session(Connection& db, const OpenSession& request,
                                 std::string_view boot) {
  OCTROI_CHECK(check_booking(request));
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OpenOutcome out;
  OCTROI_TRY(auto seen, claim(db, request.proof, boot));
  if (seen) {
    out.proof = *std::move(seen);
    OCTROI_TRY(out.session, seen_by_holder(db, out.proof.state, request.proof.hash));
    OCTROI_CHECK(all.keep());
    return out;
  }
  bool opened = request.return_hash != request.proof.hash;
  if (opened) {
    OCTROI_TRY(opened, insert_session(db, request));
  }
  if (opened) {
    OCTROI_CHECK(book_deposit(db, request.proof, kForever));
    OCTROI_TRY(out.session, find_session(db, request.proof.hash));
    out.proof.state = ConsumeState::fresh;
  } else {
    OCTROI_CHECK(unclaim(db, request.proof));
    out.return_invoice_taken = true;
  }
  OCTROI_CHECK(all.keep());
  return out;
}

// --- spending

#define OCTROI_SESSION_USED                                                    \
  " last_used_at = CASE WHEN last_used_at < ?3 THEN ?3 ELSE last_used_at END," \
  " look_at = CASE WHEN look_at < ?3 + idle_ms / 2 THEN ?3 + idle_ms ELSE look_at END"

Result<SessionResult> debit_session(Connection& db, const PaymentHash& id, std::string_view service,
                                    Msat amount, UnixMillis now) {
  OCTROI_CHECK(check_booking(amount));
  for (int tries = 0; tries < kTries; ++tries) {
    {
      OCTROI_TRY(Query q,
                 db.query("UPDATE sessions SET spent_msat = spent_msat + ?2," OCTROI_SESSION_USED
                          " WHERE id = ?1 AND service = ?4 AND state = 'open'"
                          " AND deposit_msat - spent_msat >= ?2"
                          " RETURNING " OCTROI_SESSION_COLUMNS,
                          id.bytes(), stored(amount), now.value, service));
      OCTROI_TRY(auto debited, next_session(q));
      if (debited) return SessionResult{SessionOutcome::applied, std::move(debited)};
    }
    OCTROI_TRY(auto session, find_session(db, id));
    if (!session || session->service != service) return SessionResult{};
    if (session->state == SessionState::closed) {
      return SessionResult{SessionOutcome::closed, std::move(session)};
    }
    if (session->balance() < amount) {
      return SessionResult{SessionOutcome::insufficient, std::move(session)};
    }
  }
  return changes_too_fast();
}

Result<SessionResult> give_back(Connection& db, const PaymentHash& id, Msat amount,
                                UnixMillis now) {
  OCTROI_CHECK(check_booking(amount));
  for (int tries = 0; tries < kTries; ++tries) {
    {
      OCTROI_TRY(Query q,
                 db.query("UPDATE sessions SET spent_msat = spent_msat - ?2," OCTROI_SESSION_USED
                          " WHERE id = ?1 AND state = 'open' AND spent_msat >= ?2"
                          " RETURNING " OCTROI_SESSION_COLUMNS,
                          id.bytes(), stored(amount), now.value));
      OCTROI_TRY(auto returned, next_session(q));
      if (returned) return SessionResult{SessionOutcome::applied, std::move(returned)};
    }
    OCTROI_TRY(auto session, find_session(db, id));
    if (!session) return SessionResult{};
    if (session->state == SessionState::closed) {
      return SessionResult{SessionOutcome::closed, std::move(session)};
    }
    if (session->spent < amount) {
      return SessionResult{SessionOutcome::insufficient, std::move(session)};
    }
  }
  return changes_too_fast();
}

// --- topping up

namespace {

Result<std::optional<Session>> add_deposit(Connection& db, const TopUp& r) {
  OCTROI_TRY(Query q,
             db.query("UPDATE sessions SET deposit_msat = deposit_msat + ?2," OCTROI_SESSION_USED
                      " WHERE id = ?1 AND service = ?4 AND state = 'open'"
                      " AND deposit_msat <= ?5 - ?2 RETURNING " OCTROI_SESSION_COLUMNS,
                      r.session.bytes(), stored(r.amount), r.proof.now.value,
                      std::string_view(r.proof.service), Msat::kMax));
  return next_session(q);
}

}  // namespace

Result<TopUpOutcome> top_up_session(Connection& db, const TopUp& request, std::string_view boot) {
  OCTROI_CHECK(check_booking(request.amount));
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  TopUpOutcome out;
  OCTROI_TRY(auto seen, claim(db, request.proof, boot));
  if (seen) {
    out.outcome = SessionOutcome::replayed;
    out.proof = *std::move(seen);
    OCTROI_TRY(out.session, seen_by_holder(db, out.proof.state, request.session));
    OCTROI_CHECK(all.keep());
    return out;
  }
  OCTROI_TRY(out.session, add_deposit(db, request));
  if (out.session) {
    OCTROI_CHECK(book_deposit(db, request.proof, request.proof.keep_until));
    out.outcome = SessionOutcome::applied;
    out.proof.state = ConsumeState::fresh;
  } else {
    OCTROI_CHECK(unclaim(db, request.proof));
    OCTROI_TRY(auto session, find_session(db, request.session));
    if (session && session->service == request.proof.service) {
      OCTROI_CHECK(session->deposit.plus(request.amount));
      out.outcome = SessionOutcome::closed;
      out.session = std::move(session);
    }
  }
  OCTROI_CHECK(all.keep());
  return out;
}

// --- closing

namespace {

/// Whole satoshis go back, the rest of the last one is booked as rounding.
Result<std::optional<Session>> end_session(Connection& db, const CloseSession& r) {
  const std::int64_t idle_until = r.only_if_idle ? r.now.value : kForever.value;
  OCTROI_TRY(Query q,
             db.query("UPDATE sessions SET state = 'closed', close_reason = ?2, closed_at = ?3,"
                      " refund_msat = (deposit_msat - spent_msat)"
                      " - (deposit_msat - spent_msat) % 1000,"
                      " rounding_msat = (deposit_msat - spent_msat) % 1000,"
                      " refund_stage = CASE WHEN deposit_msat - spent_msat < 1000"
                      " THEN 'skipped' ELSE 'due' END, refund_at = ?3"
                      " WHERE id = ?1 AND state = 'open' AND (?4 = '' OR service = ?4)"
                      " AND last_used_at + idle_ms <= ?5 RETURNING " OCTROI_SESSION_COLUMNS,
                      r.session.bytes(), to_string(r.reason), r.now.value,
                      std::string_view(r.service), idle_until));
  return next_session(q);
}

/// Why it was not closed.
Result<CloseOutcome> not_ended(Connection& db, const CloseSession& r) {
  CloseOutcome out;
  OCTROI_TRY(auto session, find_session(db, r.session));
  if (!session || (!r.service.empty() && session->service != r.service)) return out;
  const bool ended_before = session->state == SessionState::closed;
  out.outcome = ended_before && r.proof ? SessionOutcome::closed : SessionOutcome::replayed;
  out.session = std::move(session);
  return out;
}

}  // namespace

Result<CloseOutcome> close_session(Connection& db, const CloseSession& request,
                                   std::string_view boot) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  CloseOutcome out;
  if (request.proof) {
    OCTROI_TRY(auto seen, claim(db, *request.proof, boot));
    if (seen) {
      out.outcome = SessionOutcome::replayed;
      out.proof = *std::move(seen);
      OCTROI_TRY(out.session, seen_by_holder(db, out.proof.state, request.session));
      OCTROI_CHECK(all.keep());
      return out;
    }
  }
  OCTROI_TRY(out.session, end_session(db, request));
  if (out.session) {
    OCTROI_CHECK(count_close(db, request.session));
    out.outcome = SessionOutcome::applied;
    out.proof.state = ConsumeState::fresh;
    if (request.proof) {
      OCTROI_CHECK(extend_invoice(db, request.proof->hash, request.proof->keep_until));
    }
  } else {
    if (request.proof) OCTROI_CHECK(unclaim(db, *request.proof));
    OCTROI_TRY(out, not_ended(db, request));
  }
  OCTROI_CHECK(all.keep());
  return out;
}

// --- refunds

Result<std::optional<Session>> claim_refund(Connection& db, const PaymentHash& id, UnixMillis now,
                                            std::string_view boot) {
  OCTROI_TRY(Query q, db.query("UPDATE sessions SET refund_stage = 'sending',"
                               " refund_attempts = refund_attempts + 1, refund_at = ?,"
                               " refund_boot = ?, refund_detail = ''"
                               " WHERE id = ? AND refund_stage = 'due'"
                               " RETURNING " OCTROI_SESSION_COLUMNS,
                               now.value, boot, id.bytes()));
  return next_session(q);
}

namespace {
Result<SessionOutcome> changed_or_why(Connection& db, const PaymentHash& id) {
  if (db.changes() == 1) return SessionOutcome::applied;
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM sessions WHERE id = ?", id.bytes()));
  OCTROI_TRY(const bool known, q.step());
  return known ? SessionOutcome::replayed : SessionOutcome::not_found;
}
}  // namespace

Result<SessionOutcome> record_refund(Connection& db, const PaymentHash& id, RefundStage stage,
                                     Msat fee, std::string_view detail, UnixMillis now) {
  OCTROI_CHECK(check_refund_end(stage));
  const bool paid = stage == RefundStage::succeeded;
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(
      db.run("UPDATE sessions SET refund_stage = ?1, refund_fee_msat = ?2, refund_detail = ?3,"
             " refund_at = ?4 WHERE id = ?5 AND (refund_stage = 'sending'"
             " OR (?1 = 'succeeded' AND refund_stage IN ('due', 'failed')))",
             to_string(stage), paid ? stored(fee) : 0, detail, now.value, id.bytes()));
  OCTROI_TRY(const SessionOutcome outcome, changed_or_why(db, id));
  // It succeeds once only, and what it cost does not change any more.
  if (paid && outcome == SessionOutcome::applied) OCTROI_CHECK(count_refund(db, id));
  OCTROI_CHECK(all.keep());
  return outcome;
}

Result<SessionOutcome> retry_refund(Connection& db, const PaymentHash& id, UnixMillis now) {
  OCTROI_CHECK(
      db.run("UPDATE sessions SET refund_stage = 'due', refund_at = ?"
             " WHERE id = ? AND refund_stage = 'failed'",
             now.value, id.bytes()));
  return changed_or_why(db, id);
}

Result<std::vector<Session>> unfinished_refunds(Connection& db, UnixMillis now, Millis stale,
                                                std::string_view boot) {
  const std::string_view alive = db.engine() == Engine::sqlite ? boot : std::string_view{};
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_SESSION_COLUMNS " FROM sessions"
                               " WHERE refund_stage IN ('due', 'sending')"
                               " AND (refund_stage = 'due' OR refund_at <= ?1"
                               " OR (?2 <> '' AND refund_boot <> ?2)) ORDER BY seq",
                               (now - stale).value, alive));
  return all_sessions(q);
}

// --- lists and books

Result<std::vector<Session>> idle_sessions(Connection& db, UnixMillis now, int limit) {
  OCTROI_TRY(Query q,
             db.query("SELECT " OCTROI_SESSION_COLUMNS " FROM sessions"
                      " WHERE state = 'open' AND look_at <= ?1"
                      " AND last_used_at + idle_ms <= ?1 ORDER BY last_used_at, id LIMIT ?2",
                      now.value, std::int64_t{std::clamp(limit, 1, kMostSessions)}));
  return all_sessions(q);
}

Result<std::vector<Session>> list_sessions(Connection& db, const SessionFilter& f) {
  std::string sql = "SELECT " OCTROI_SESSION_COLUMNS " FROM sessions WHERE 1 = 1";
  if (!f.service.empty()) sql += " AND service = ?";
  if (f.state) sql += " AND state = ?";
  if (f.refund) sql += " AND refund_stage = ?";
  if (f.before) sql += " AND seq < (SELECT b.seq FROM sessions b WHERE b.id = ?)";
  sql += " ORDER BY seq DESC LIMIT ?";
  OCTROI_TRY(Query q, db.prepare(sql));
  if (!f.service.empty()) q.bind(std::string_view(f.service));
  if (f.state) q.bind(to_string(*f.state));
  if (f.refund) q.bind(to_string(*f.refund));
  if (f.before) q.bind(f.before->bytes());
  q.bind(std::int64_t{std::clamp(f.limit, 1, kMostSessions)});
  return all_sessions(q);
}

}  // namespace octroi::sql
