#include <utility>

#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

constexpr std::int64_t kPruneRows = 500;

Result<std::vector<PaymentHash>> prunable_invoices(Connection& db, UnixMillis horizon) {
  // Locked until they are gone: another process may be extending one of them.
  OCTROI_TRY(Query q, db.query("SELECT hash FROM invoices WHERE keep_until <= ? LIMIT ?"
                               " /*pg FOR UPDATE SKIP LOCKED*/",
                               horizon.value, kPruneRows));
  std::vector<PaymentHash> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(const PaymentHash hash, read_hash(q, 0));
    out.push_back(hash);
  }
}

/// Deletes at most kPruneRows rows and adds their number to `count`. The condition stands in `sql`
/// twice: what another process changed after it was chosen is looked at again when it is deleted.
Result<> sweep(Connection& db, Sql sql, UnixMillis horizon, std::int64_t& count, bool& more) {
  OCTROI_CHECK(db.run(sql, horizon.value, kPruneRows));
  count += db.changes();
  more = more || db.changes() == kPruneRows;
  return {};
}

/// What stands in the books long enough. Its sums stay, and the invoice remembers that it is
/// booked.
Result<> prune_settled(Connection& db, UnixMillis horizon, PruneStep& step) {
  std::vector<std::pair<std::int64_t, PaymentHash>> old;
  {
    OCTROI_TRY(Query q, db.query("SELECT id, hash FROM transactions WHERE settled_at <= ?"
                                 " ORDER BY settled_at LIMIT ? /*pg FOR UPDATE SKIP LOCKED*/",
                                 horizon.value, kPruneRows));
    for (;;) {
      OCTROI_TRY(const bool row, q.step());
      if (!row) break;
      OCTROI_TRY(const PaymentHash hash, read_hash(q, 1));
      old.emplace_back(q.integer(0), hash);
    }
  }
  for (const auto& [id, hash] : old) {
    OCTROI_CHECK(db.run("UPDATE invoices SET booked = 1 WHERE hash = ?", hash.bytes()));
    OCTROI_CHECK(db.run("DELETE FROM transactions WHERE id = ?", id));
    step.report.settled += db.changes();
  }
  step.more = step.more || std::cmp_equal(old.size(), kPruneRows);
  return {};
}

Result<std::vector<std::pair<PaymentHash, PaymentHash>>> past_sessions(Connection& db,
                                                                       UnixMillis horizon) {
  OCTROI_TRY(Query q, db.query("SELECT id, return_hash FROM sessions"
                               " WHERE refund_stage IN ('skipped', 'succeeded')"
                               " AND closed_at <= ?1 AND refund_at <= ?1 LIMIT ?2"
                               " /*pg FOR UPDATE SKIP LOCKED*/",
                               horizon.value, kPruneRows));
  std::vector<std::pair<PaymentHash, PaymentHash>> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(const PaymentHash id, read_hash(q, 0));
    OCTROI_TRY(const PaymentHash returned, read_hash(q, 1));
    out.emplace_back(id, returned);
  }
}

/// With the claim of its deposit; its sums stay, and its return invoice stays taken.
Result<> prune_sessions(Connection& db, UnixMillis horizon, PruneStep& step) {
  OCTROI_TRY(const auto old, past_sessions(db, horizon));
  for (const auto& [id, returned] : old) {
    OCTROI_CHECK(
        db.run("INSERT INTO past_return_invoices (return_hash) VALUES (?)"
               " ON CONFLICT (return_hash) DO NOTHING",
               returned.bytes()));
    OCTROI_CHECK(db.run("DELETE FROM sessions WHERE id = ?", id.bytes()));
    step.report.sessions += db.changes();
    OCTROI_CHECK(db.run("DELETE FROM consumed WHERE hash = ?", id.bytes()));
    step.report.consumed += db.changes();
    OCTROI_CHECK(db.run("DELETE FROM invoices WHERE hash = ?", id.bytes()));
    step.report.invoices += db.changes();
  }
  step.more = step.more || std::cmp_equal(old.size(), kPruneRows);
  return {};
}

}  // namespace

Result<PruneStep> prune_step(Connection& db, UnixMillis now, const Retention& keep) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  const UnixMillis horizon = now - keep.expired;
  PruneStep step;
  if (keep.sessions) OCTROI_CHECK(prune_sessions(db, now - *keep.sessions, step));
  if (keep.transactions) OCTROI_CHECK(prune_settled(db, now - *keep.transactions, step));
  OCTROI_CHECK(fold_sums(db, now));
  OCTROI_TRY(const auto hashes, prunable_invoices(db, horizon));
  step.more = step.more || std::cmp_equal(hashes.size(), kPruneRows);
  for (const PaymentHash& hash : hashes) {
    OCTROI_CHECK(db.run("DELETE FROM consumed WHERE hash = ?", hash.bytes()));
    step.report.consumed += db.changes();
    OCTROI_CHECK(db.run("DELETE FROM invoices WHERE hash = ?", hash.bytes()));
    step.report.invoices += db.changes();
  }
  OCTROI_TRY(const bool more_offers,
             prune_offers(db, horizon, kPruneRows, step.report.transactions));
  step.more = step.more || more_offers;
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM nonces WHERE (scope, nonce) IN (SELECT scope, nonce FROM nonces"
                     " WHERE keep_until <= ?1 LIMIT ?2)",
                     horizon, step.report.consumed, step.more));
  std::int64_t uncounted = 0;
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM free_quota WHERE (service, client) IN (SELECT service, client"
                     " FROM free_quota WHERE window_end <= ?1 LIMIT ?2) AND window_end <= ?1",
                     horizon, uncounted, step.more));
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM revoked_tokens WHERE token_id IN (SELECT token_id"
                     " FROM revoked_tokens WHERE keep_until <= ?1 LIMIT ?2)"
                     " AND keep_until <= ?1",
                     horizon, uncounted, step.more));
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM bundles WHERE seq IN (SELECT seq FROM bundles"
                     " WHERE keep_until <= ?1 LIMIT ?2)",
                     horizon, uncounted, step.more));
  if (keep.approvals) {
    OCTROI_CHECK(sweep(db,
                       "DELETE FROM approvals WHERE seq IN (SELECT seq FROM approvals"
                       " WHERE state IN ('used', 'denied', 'expired') AND expires_at <= ?1"
                       " AND COALESCE(decided_at, 0) <= ?1 AND COALESCE(used_at, 0) <= ?1 LIMIT ?2)"
                       " AND state IN ('used', 'denied', 'expired')",
                       now - *keep.approvals, step.report.approvals, step.more));
  }
  OCTROI_CHECK(all.keep());
  return step;
}

}  // namespace octroi::sql
