#include "octroi/adapters/sql/report_operations.h"

#include <algorithm>

#include "octroi/adapters/sql/rows.h"
#include "octroi/adapters/sql/session_operations.h"

#define OCTROI_REPORT_COLUMNS                                                                    \
  "id, source, kind, subject, service, path, reserved, estimate_msat, request_text, created_at," \
  " status, content_type, content_encoding, complete, tail, attempts"
#define OCTROI_ALLOWANCE_COLUMNS \
  "token_id, service, model, funds_msat, spent_msat, held_msat, created_at, first_used_at"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

std::int64_t stored(Msat amount) { return amount.count(); /* raw: storage */ }

Result<UsageReport> read_report(const Query& q) {
  UsageReport r;
  r.id = q.text(0);
  r.source = q.text(1);
  const auto kind = report_kind_from_string(q.text(2));
  if (!kind) return fail(Errc::corrupt, "a usage report of an unknown kind");
  r.kind = *kind;
  r.subject = q.text(3);
  r.service = q.text(4);
  r.path = q.text(5);
  r.reserved = q.integer(6);
  OCTROI_TRY(r.estimate, read_msat(q, 7));
  r.request_text = q.text(8);
  r.created = {q.integer(9)};
  r.answer.status = static_cast<int>(q.integer(10));
  r.answer.content_type = q.text(11);
  r.answer.content_encoding = q.text(12);
  r.answer.complete = q.integer(13) != 0;
  r.answer.tail = q.text(14);
  r.attempts = q.integer(15);
  return r;
}

Result<std::optional<Allowance>> next_allowance(Query& q) {
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<Allowance>{};
  Allowance a;
  OCTROI_TRY(a.token, read_token(q, 0));
  a.service = q.text(1);
  a.model = q.text(2);
  OCTROI_TRY(a.funds, read_msat(q, 3));
  OCTROI_TRY(a.spent, read_msat(q, 4));
  OCTROI_TRY(a.held, read_msat(q, 5));
  a.created = {q.integer(6)};
  if (!q.is_null(7)) a.first_used = UnixMillis{q.integer(7)};
  return std::optional<Allowance>{std::move(a)};
}

}  // namespace

// --- reports

Result<> open_report(Connection& db, const UsageReport& r, UnixMillis until,
                     std::string_view boot) {
  return db.run("INSERT INTO usage_reports (" OCTROI_REPORT_COLUMNS
                ", boot, state, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '', 0, ?, 0,"
                " ?, 'open', ?)",
                std::string_view(r.id), std::string_view(r.source), to_string(r.kind),
                std::string_view(r.subject), std::string_view(r.service),
                std::string_view(kept_text(r.path)), r.reserved, stored(r.estimate),
                as_bytes(r.request_text), r.created.value, ByteView(), boot, until.value);
}

Result<> keep_reports_open(Connection& db, UnixMillis until, std::string_view boot) {
  return db.run("UPDATE usage_reports SET due_at = ? WHERE state = 'open' AND boot = ?",
                until.value, boot);
}

Result<bool> finish_report(Connection& db, std::string_view id, const ReportedAnswer& a,
                           UnixMillis now) {
  OCTROI_CHECK(
      db.run("UPDATE usage_reports SET state = 'due', due_at = ?, status = ?, content_type = ?,"
             " content_encoding = ?, complete = ?, tail = ? WHERE id = ? AND state = 'open'",
             now.value, std::int64_t{a.status}, std::string_view(kept_text(a.content_type)),
             std::string_view(kept_text(a.content_encoding)), std::int64_t{a.complete ? 1 : 0},
             as_bytes(a.tail), id));
  return db.changes() == 1;
}

Result<std::vector<UsageReport>> claim_reports(Connection& db, UnixMillis now, UnixMillis until,
                                               int limit, const ReportedAnswer& unseen) {
  // The condition stands there twice: what another process claimed after it was chosen is looked at
  // again when it is changed.
  OCTROI_TRY(
      Query q,
      db.query("UPDATE usage_reports SET status = CASE WHEN state = 'open' THEN ?4 ELSE status END,"
               " state = 'due', due_at = ?2, attempts = attempts + 1"
               " WHERE id IN (SELECT id FROM usage_reports WHERE due_at <= ?1"
               " ORDER BY due_at, id LIMIT ?3 /*pg FOR UPDATE SKIP LOCKED*/) AND due_at <= ?1"
               " RETURNING " OCTROI_REPORT_COLUMNS,
               now.value, until.value, std::int64_t{limit}, std::int64_t{unseen.status}));
  std::vector<UsageReport> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) break;
    OCTROI_TRY(auto report, read_report(q));
    out.push_back(std::move(report));
  }
  std::ranges::sort(out, {}, [](const UsageReport& r) { return r.created.value; });
  return out;
}

Result<> retry_report(Connection& db, std::string_view id, UnixMillis when) {
  return db.run("UPDATE usage_reports SET due_at = ? WHERE id = ? AND state = 'due'", when.value,
                id);
}

Result<bool> end_report(Connection& db, std::string_view id) {
  OCTROI_CHECK(db.run("DELETE FROM usage_reports WHERE id = ?", id));
  return db.changes() == 1;
}

namespace {

/// What is missing, or as much of it as the session has.
Result<> debit_up_to(Connection& db, const PaymentHash& session, std::string_view service,
                     Msat amount, UnixMillis now) {
  for (int tries = 0; tries < 8 && !amount.is_zero(); ++tries) {
    OCTROI_TRY(const SessionResult taken, debit_session(db, session, service, amount, now));
    if (taken.outcome != SessionOutcome::insufficient) return {};
    amount = taken.session->balance();
  }
  return {};
}

}  // namespace

Result<bool> end_session_report(Connection& db, std::string_view id, const PaymentHash& session,
                                Msat estimate, Msat cost, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  std::string service;
  {
    OCTROI_TRY(Query q, db.query("DELETE FROM usage_reports WHERE id = ? RETURNING service", id));
    OCTROI_TRY(const bool row, q.step());
    if (row) service = q.text(0);
  }
  if (service.empty()) {
    OCTROI_CHECK(all.keep());
    return false;
  }
  if (cost < estimate) {
    OCTROI_TRY(const Msat surplus, estimate.minus(cost));
    OCTROI_TRY(const SessionResult given, give_back(db, session, surplus, now));
    std::ignore = given;  // of a session that has ended there is nothing to give back
  } else if (estimate < cost) {
    OCTROI_TRY(const Msat missing, cost.minus(estimate));
    OCTROI_CHECK(debit_up_to(db, session, service, missing, now));
  }
  OCTROI_CHECK(all.keep());
  return true;
}

Result<bool> has_reports(Connection& db, std::string_view subject) {
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM usage_reports WHERE subject = ? LIMIT 1", subject));
  return q.step();
}

Result<ReportCounts> report_counts(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT state, CAST(COUNT(*) AS BIGINT), MIN(created_at)"
                               " FROM usage_reports GROUP BY state"));
  ReportCounts out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    if (q.text(0) == "open") {
      out.open = q.integer(1);
    } else {
      out.due = q.integer(1);
      out.oldest = UnixMillis{q.integer(2)};
    }
  }
}

// --- allowances

Result<bool> book_allowance(Connection& db, const TokenId& token, std::string_view service,
                            std::string_view model, Msat funds, UnixMillis now) {
  OCTROI_CHECK(check_allowance(funds));
  OCTROI_CHECK(
      db.run("INSERT INTO allowances (token_id, service, model, funds_msat, spent_msat,"
             " held_msat, created_at) VALUES (?, ?, ?, ?, 0, 0, ?)"
             " ON CONFLICT (token_id) DO NOTHING",
             token.bytes(), service, std::string_view(kept_text(model)), stored(funds), now.value));
  return db.changes() == 1;
}

Result<std::optional<Allowance>> find_allowance(Connection& db, const TokenId& token) {
  OCTROI_TRY(Query q,
             db.query("SELECT " OCTROI_ALLOWANCE_COLUMNS " FROM allowances WHERE token_id = ?",
                      token.bytes()));
  return next_allowance(q);
}

Result<std::optional<Allowance>> hold_allowance(Connection& db, const TokenId& token, Msat amount,
                                                UnixMillis now) {
  OCTROI_TRY(Query q, db.query("UPDATE allowances SET held_msat = held_msat + ?2,"
                               " first_used_at = COALESCE(first_used_at, ?3) WHERE token_id = ?1"
                               " AND funds_msat - spent_msat - held_msat >= ?2"
                               " RETURNING " OCTROI_ALLOWANCE_COLUMNS,
                               token.bytes(), stored(amount), now.value));
  return next_allowance(q);
}

Result<SettledAllowance> settle_allowance(Connection& db, std::string_view report,
                                          const TokenId& token, Msat held, Msat cost,
                                          UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  SettledAllowance out;
  OCTROI_CHECK(
      db.run("INSERT INTO settled_reports (id, settled_at) VALUES (?, ?)"
             " ON CONFLICT (id) DO NOTHING",
             report, now.value));
  const bool first = db.changes() == 1;
  {
    // Locked first: what is debited depends on what is there.
    OCTROI_TRY(Query q, db.query("SELECT " OCTROI_ALLOWANCE_COLUMNS
                                 " FROM allowances WHERE token_id = ? /*pg FOR UPDATE*/",
                                 token.bytes()));
    OCTROI_TRY(out.allowance, next_allowance(q));
  }
  if (first && out.allowance) {
    out.applied = true;
    OCTROI_TRY(out.debited, settle(*out.allowance, held, cost));
    OCTROI_CHECK(db.run("UPDATE allowances SET spent_msat = ?, held_msat = ? WHERE token_id = ?",
                        stored(out.allowance->spent), stored(out.allowance->held), token.bytes()));
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<std::int64_t> prune_allowances(Connection& db, UnixMillis unused_before,
                                      UnixMillis settled_before, int limit) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(
      db.run("DELETE FROM allowances WHERE token_id IN (SELECT token_id FROM allowances"
             " WHERE first_used_at IS NULL AND created_at < ?1 LIMIT ?2)"
             " AND first_used_at IS NULL",
             unused_before.value, std::int64_t{limit}));
  std::int64_t gone = db.changes();
  OCTROI_CHECK(
      db.run("DELETE FROM settled_reports WHERE id IN (SELECT id FROM settled_reports"
             " WHERE settled_at < ?1 LIMIT ?2)",
             settled_before.value, std::int64_t{limit}));
  gone += db.changes();
  OCTROI_CHECK(all.keep());
  return gone;
}

}  // namespace octroi::sql
