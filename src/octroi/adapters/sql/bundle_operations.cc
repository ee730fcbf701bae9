#include "octroi/adapters/sql/bundle_operations.h"

#include <algorithm>
#include <string>
#include <utility>

#include "octroi/adapters/sql/claims.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/ledger/sessions.h"

/// A macro, because statements are literals that are kept by their text.
#define OCTROI_BUNDLE_COLUMNS \
  "token_id, hash, service, unit, granted, used, sold_msat, opened_at, last_used_at, keep_until"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// How often an operation is tried whose statement found nothing to change, when the row that
/// explains it says that it could: another process changed it in between.
constexpr int kTries = 8;

Result<Bundle> read_bundle(const Query& q) {
  Bundle b;
  OCTROI_TRY(b.id, read_token(q, 0));
  OCTROI_TRY(b.hash, read_hash(q, 1));
  b.service = q.text(2);
  b.unit = q.text(3);
  b.granted = q.integer(4);
  b.used = q.integer(5);
  OCTROI_TRY(b.sold, read_msat(q, 6));
  b.opened = {q.integer(7)};
  b.last_used = {q.integer(8)};
  b.keep_until = {q.integer(9)};
  return b;
}

Result<std::optional<Bundle>> next_bundle(Query& q) {
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<Bundle>{};
  OCTROI_TRY(Bundle b, read_bundle(q));
  return std::optional<Bundle>{std::move(b)};
}

Result<BundleResult> changes_too_fast() {
  return fail(Errc::unavailable, "the bundle was changed by others all the time");
}

/// Nothing happens when it is there: also for a copy that was narrowed by another first condition.
Result<> insert_bundle(Connection& db, const OpenBundle& r) {
  return db.run(
      "INSERT INTO bundles (token_id, hash, service, unit, granted, used, sold_msat, opened_at,"
      " last_used_at, keep_until) SELECT ?1, i.hash, ?3, ?4, ?5, 0, i.amount_msat, ?6, ?6, ?7"
      " FROM invoices i WHERE i.hash = ?2 ON CONFLICT (token_id) DO NOTHING",
      r.proof.token_id->bytes(), r.proof.hash.bytes(), std::string_view(r.proof.service),
      std::string_view(r.unit), r.granted, r.proof.now.value, r.keep_until.value);
}

}  // namespace

Result<std::optional<Bundle>> find_bundle(Connection& db, const TokenId& id) {
  OCTROI_TRY(Query q, db.query("SELECT " OCTROI_BUNDLE_COLUMNS " FROM bundles WHERE token_id = ?",
                               id.bytes()));
  return next_bundle(q);
}

Result<OpenBundleOutcome> open_bundle(Connection& db, const OpenBundle& request,
                                      std::string_view boot) {
  OCTROI_CHECK(check_units(request.granted));
  if (!request.proof.token_id) return fail(Errc::bad_amount, "a bundle has a token's id");
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OpenBundleOutcome out;
  OCTROI_TRY(out.proof, consume(db, request.proof, boot));
  if (out.proof.state == ConsumeState::fresh || tells_the_holder(out.proof.state)) {
    OCTROI_CHECK(insert_bundle(db, request));
    OCTROI_TRY(out.bundle, find_bundle(db, *request.proof.token_id));
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<BundleResult> debit_bundle(Connection& db, const TokenId& id, std::int64_t units,
                                  std::int64_t bound, UnixMillis now) {
  OCTROI_CHECK(check_units(units));
  for (int tries = 0; tries < kTries; ++tries) {
    {
      OCTROI_TRY(Query q,
                 db.query("UPDATE bundles SET used = used + ?2,"
                          " last_used_at = CASE WHEN last_used_at < ?3 THEN ?3 ELSE last_used_at"
                          " END WHERE token_id = ?1 AND used + ?2 <= granted AND used + ?2 <= ?4"
                          " RETURNING " OCTROI_BUNDLE_COLUMNS,
                          id.bytes(), units, now.value, bound));
      OCTROI_TRY(auto debited, next_bundle(q));
      if (debited) return BundleResult{BundleOutcome::applied, std::move(debited)};
    }
    OCTROI_TRY(auto bundle, find_bundle(db, id));
    if (!bundle) return BundleResult{};
    if (bundle->used + units > std::min(bundle->granted, bound)) {
      return BundleResult{BundleOutcome::exhausted, std::move(bundle)};
    }
  }
  return changes_too_fast();
}

Result<BundleResult> return_units(Connection& db, const TokenId& id, std::int64_t units,
                                  UnixMillis now) {
  OCTROI_CHECK(check_units(units));
  for (int tries = 0; tries < kTries; ++tries) {
    {
      OCTROI_TRY(Query q,
                 db.query("UPDATE bundles SET used = used - ?2,"
                          " last_used_at = CASE WHEN last_used_at < ?3 THEN ?3 ELSE last_used_at"
                          " END WHERE token_id = ?1 AND used >= ?2"
                          " RETURNING " OCTROI_BUNDLE_COLUMNS,
                          id.bytes(), units, now.value));
      OCTROI_TRY(auto returned, next_bundle(q));
      if (returned) return BundleResult{BundleOutcome::applied, std::move(returned)};
    }
    OCTROI_TRY(auto bundle, find_bundle(db, id));
    if (!bundle) return BundleResult{};
    if (bundle->used < units) return BundleResult{BundleOutcome::exhausted, std::move(bundle)};
  }
  return changes_too_fast();
}

Result<std::vector<Bundle>> list_bundles(Connection& db, const BundleFilter& f) {
  std::string sql = "SELECT " OCTROI_BUNDLE_COLUMNS " FROM bundles WHERE 1 = 1";
  if (!f.service.empty()) sql += " AND service = ?";
  if (f.before) sql += " AND seq < (SELECT b.seq FROM bundles b WHERE b.token_id = ?)";
  sql += " ORDER BY seq DESC LIMIT ?";
  OCTROI_TRY(Query q, db.prepare(sql));
  if (!f.service.empty()) q.bind(std::string_view(f.service));
  if (f.before) q.bind(f.before->bytes());
  q.bind(std::int64_t{std::clamp(f.limit, 1, kMostBundles)});
  std::vector<Bundle> out;
  for (;;) {
    OCTROI_TRY(auto bundle, next_bundle(q));
    if (!bundle) return out;
    out.push_back(*std::move(bundle));
  }
}

Result<std::vector<BundleTotals>> bundle_totals(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT service, unit, CAST(COUNT(*) AS BIGINT),"
                               " CAST(SUM(granted) AS BIGINT), CAST(SUM(used) AS BIGINT),"
                               " CAST(SUM(sold_msat) AS BIGINT)"
                               " FROM bundles GROUP BY service, unit ORDER BY service, unit"));
  std::vector<BundleTotals> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    BundleTotals t;
    t.service = q.text(0);
    t.unit = q.text(1);
    t.bundles = q.integer(2);
    t.granted = q.integer(3);
    t.used = q.integer(4);
    OCTROI_TRY(t.sold, read_msat(q, 5));
    out.push_back(std::move(t));
  }
}

}  // namespace octroi::sql
