#include <limits>
#include <utility>

#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// For the invoices of settled L402 rows, whose tokens may be valid for any time.
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

}  // namespace

Result<> keep_paid_token(Connection& db, const PaymentHash& hash) {
  return db.run(
      "UPDATE invoices SET keep_until = ?1 WHERE hash = ?2 AND settled_at IS NOT NULL"
      " AND keep_until < ?1 AND EXISTS"
      " (SELECT 1 FROM transactions t WHERE t.hash = ?2 AND t.auth_type = 'l402')",
      kForever, hash.bytes());
}

Result<bool> mark_settled(Connection& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_CHECK(db.run("UPDATE invoices SET settled_at = ? WHERE hash = ? AND settled_at IS NULL",
                      when.value, hash.bytes()));
  const bool first = db.changes() > 0;
  OCTROI_TRY(const bool booked, book_offers(db, hash, when));
  if (!first && !booked) return false;
  OCTROI_CHECK(keep_paid_token(db, hash));
  return true;
}

Result<> record_invoices(Connection& db, const std::vector<InvoiceRecord>& invoices) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  for (const InvoiceRecord& r : invoices) {
    OCTROI_CHECK(
        db.run("INSERT INTO invoices (hash, amount_msat, created_at, expires_at, keep_until,"
               " node_index) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
               r.hash.bytes(), r.amount.count() /* raw: storage */, r.created.value,
               r.expires.value, r.expires.value, static_cast<std::int64_t>(r.node_index)));
  }
  return all.keep();
}

Result<std::optional<InvoiceRecord>> find_invoice(Connection& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT amount_msat, created_at, expires_at, node_index"
                               " FROM invoices WHERE hash = ?",
                               hash.bytes()));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<InvoiceRecord>{};
  OCTROI_TRY(const Msat amount, read_msat(q, 0));
  return std::optional<InvoiceRecord>{InvoiceRecord{
      hash, amount, {q.integer(1)}, {q.integer(2)}, static_cast<std::uint64_t>(q.integer(3))}};
}

Result<bool> settle(Connection& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const bool first, mark_settled(db, hash, when));
  OCTROI_CHECK(all.keep());
  return first;
}

Result<> extend_invoice(Connection& db, const PaymentHash& hash, UnixMillis keep_until) {
  return db.run("UPDATE invoices SET keep_until = ?1 WHERE hash = ?2 AND keep_until < ?1",
                keep_until.value, hash.bytes());
}

}  // namespace octroi::sql
