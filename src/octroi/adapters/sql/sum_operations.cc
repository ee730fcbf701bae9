// The books as sums: kept as running totals, so that rows may be pruned and reading costs little.
//
// A sum is never waited for: on PostgreSQL each connection adds to rows of its own (`lane`), so
// that two replicas that sell the same service at once do not queue up behind one row.

#include <utility>

#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/adapters/sql/session_operations.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

// SQLite has one writer and needs one lane.
#define OCTROI_LANE "0 /*pg + pg_backend_pid()*/"

Result<> count_sale(Connection& db, std::int64_t id) {
  return db.run(
      "INSERT INTO revenue (day, service, auth_type, lane, sales, amount_msat)"
      " SELECT settled_at / 86400000, service, auth_type, " OCTROI_LANE
      ", 1, amount_msat"
      " FROM transactions WHERE id = ?"
      " ON CONFLICT (day, service, auth_type, lane) DO UPDATE SET sales = revenue.sales + 1,"
      " amount_msat = revenue.amount_msat + excluded.amount_msat",
      id);
}

Result<std::vector<Revenue>> revenue(Connection& db, const RevenueFilter& f) {
  std::string sql =
      "SELECT day, service, auth_type, CAST(SUM(sales) AS BIGINT),"
      " CAST(SUM(amount_msat) AS BIGINT) FROM revenue WHERE 1 = 1";
  if (!f.service.empty()) sql += " AND service = ?";
  if (f.from) sql += " AND day >= ?";
  if (f.to) sql += " AND day * 86400000 < ?";
  sql += " GROUP BY day, service, auth_type ORDER BY day, service, auth_type";
  OCTROI_TRY(Query q, db.prepare(sql));
  if (!f.service.empty()) q.bind(std::string_view(f.service));
  if (f.from) q.bind(f.from->value / kDay.count());
  if (f.to) q.bind(f.to->value);
  std::vector<Revenue> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    Revenue r;
    r.day = {q.integer(0) * kDay.count()};
    r.service = q.text(1);
    OCTROI_TRY(r.scheme, read_scheme(q, 2));
    r.sales = q.integer(3);
    OCTROI_TRY(r.amount, read_msat(q, 4));
    out.push_back(std::move(r));
  }
}

#define OCTROI_SESSION_SUMS                                               \
  "INSERT INTO session_sums (day, service, lane, sessions, deposit_msat," \
  " spent_msat, refund_msat, refunded_msat, fee_msat, rounding_msat)"
#define OCTROI_ADD_SESSION_SUMS                                           \
  " ON CONFLICT (day, service, lane) DO UPDATE SET"                       \
  " sessions = session_sums.sessions + excluded.sessions,"                \
  " deposit_msat = session_sums.deposit_msat + excluded.deposit_msat,"    \
  " spent_msat = session_sums.spent_msat + excluded.spent_msat,"          \
  " refund_msat = session_sums.refund_msat + excluded.refund_msat,"       \
  " refunded_msat = session_sums.refunded_msat + excluded.refunded_msat," \
  " fee_msat = session_sums.fee_msat + excluded.fee_msat,"                \
  " rounding_msat = session_sums.rounding_msat + excluded.rounding_msat"

Result<> count_close(Connection& db, const PaymentHash& id) {
  return db.run(OCTROI_SESSION_SUMS
                " SELECT closed_at / 86400000, service, " OCTROI_LANE
                ", 1, deposit_msat, spent_msat, refund_msat, 0, 0, rounding_msat"
                " FROM sessions WHERE id = ?" OCTROI_ADD_SESSION_SUMS,
                id.bytes());
}

Result<> count_refund(Connection& db, const PaymentHash& id) {
  return db.run(OCTROI_SESSION_SUMS " SELECT refund_at / 86400000, service, " OCTROI_LANE
                                    ", 0, 0, 0, 0, refund_msat, refund_fee_msat, 0"
                                    " FROM sessions WHERE id = ?" OCTROI_ADD_SESSION_SUMS,
                id.bytes());
}

// One statement, so that no session is seen in both halves or in neither.
Result<SessionTotals> session_totals(Connection& db) {
  OCTROI_TRY(Query q,
             db.query("SELECT CAST(COALESCE(SUM(deposit), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(spent), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(refunded), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(fee), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(rounding), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(balance), 0) AS BIGINT),"
                      " CAST(COALESCE(SUM(unpaid), 0) AS BIGINT) FROM ("
                      "SELECT deposit_msat AS deposit, spent_msat AS spent,"
                      " refunded_msat AS refunded, fee_msat AS fee, rounding_msat AS rounding,"
                      " 0 AS balance, refund_msat - refunded_msat AS unpaid FROM session_sums"
                      " UNION ALL SELECT deposit_msat, spent_msat, 0, 0, 0,"
                      " deposit_msat - spent_msat, 0 FROM sessions WHERE state = 'open') sums"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return fail(Errc::corrupt, "a sum without a row");
  SessionTotals t;
  int column = 0;
  for (Msat* const sum : {&t.deposits, &t.spent, &t.refunded, &t.refund_fees, &t.rounding,
                          &t.open_balances, &t.unpaid_refunds}) {
    OCTROI_TRY(*sum, read_msat(q, column++));
  }
  return t;
}

Result<> fold_sums(Connection& db, UnixMillis now) {
  if (db.engine() == Engine::sqlite) return {};
  // The last two days are still added to.
  const std::int64_t before = now.value / kDay.count() - 1;
  OCTROI_CHECK(
      db.run("WITH gone AS (DELETE FROM revenue WHERE lane <> 0 AND day < ?1 RETURNING *)"
             " INSERT INTO revenue (day, service, auth_type, lane, sales, amount_msat)"
             " SELECT day, service, auth_type, 0, SUM(sales)::bigint, SUM(amount_msat)::bigint"
             " FROM gone GROUP BY day, service, auth_type"
             " ON CONFLICT (day, service, auth_type, lane) DO UPDATE SET"
             " sales = revenue.sales + excluded.sales,"
             " amount_msat = revenue.amount_msat + excluded.amount_msat",
             before));
  return db.run(
      "WITH gone AS (DELETE FROM session_sums WHERE lane <> 0 AND day < ?1 RETURNING *)"
      " " OCTROI_SESSION_SUMS
      " SELECT day, service, 0, SUM(sessions)::bigint, SUM(deposit_msat)::bigint,"
      " SUM(spent_msat)::bigint, SUM(refund_msat)::bigint, SUM(refunded_msat)::bigint,"
      " SUM(fee_msat)::bigint, SUM(rounding_msat)::bigint FROM gone"
      " GROUP BY day, service" OCTROI_ADD_SESSION_SUMS,
      before);
}

}  // namespace octroi::sql
