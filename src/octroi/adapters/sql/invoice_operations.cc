#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// For the invoices of settled L402 rows, whose tokens may be valid for any time.
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

/// A paid token outlives its invoice by an amount only the paywall knows, so it is kept for good.
Result<> keep_paid_token(Connection& db, const PaymentHash& hash) {
  return db.run(
      "UPDATE invoices SET keep_until = ?1 WHERE hash = ?2 AND settled_at IS NOT NULL"
      " AND keep_until < ?1 AND EXISTS"
      " (SELECT 1 FROM transactions t WHERE t.hash = ?2 AND t.auth_type = 'l402')",
      kForever, hash.bytes());
}

}  // namespace

Result<bool> mark_settled(Connection& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_CHECK(db.run("UPDATE invoices SET settled_at = ? WHERE hash = ? AND settled_at IS NULL",
                      when.value, hash.bytes()));
  std::int64_t changed = db.changes();
  OCTROI_CHECK(db.run(kSettleTransactions, when.value, hash.bytes()));
  changed += db.changes();
  if (changed == 0) return false;
  OCTROI_CHECK(keep_paid_token(db, hash));
  return true;
}

Result<> book_sale(Connection& db, const ConsumeRequest& r) {
  std::optional<ByteView> token;
  if (r.token_id) token = r.token_id->bytes();
  const std::string_view challenge = r.scheme == Scheme::l402 ? std::string_view() : r.challenge_id;
  OCTROI_CHECK(
      db.run("INSERT INTO transactions (hash, auth_type, service, amount_msat, challenge_id,"
             " token_id, request_id, created_at, expires_at, state, settled_at)"
             " SELECT i.hash, ?1, ?2, i.amount_msat, ?3, ?4, ?5, ?6, ?7, 'settled', ?6"
             " FROM invoices i WHERE i.hash = ?8 ON CONFLICT (hash, auth_type) DO NOTHING",
             to_string(r.scheme), std::string_view(r.service), challenge, token,
             std::string_view(r.request_id), r.now.value, r.keep_until.value, r.hash.bytes()));
  if (r.scheme != Scheme::l402 || db.changes() == 0) return {};
  return keep_paid_token(db, r.hash);
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

namespace {
Result<> record_transaction(Connection& db, const TransactionRecord& r) {
  std::optional<ByteView> token;
  if (r.token_id) token = r.token_id->bytes();
  // The invoice may have settled before this row got here; then the row is settled from the start.
  OCTROI_CHECK(
      db.run("INSERT INTO transactions (hash, auth_type, service, amount_msat, challenge_id,"
             " token_id, request_id, created_at, expires_at, state, settled_at)"
             " SELECT n.hash, ?, ?, ?, ?, ?, ?, ?, ?,"
             " CASE WHEN i.settled_at IS NULL THEN 'pending' ELSE 'settled' END, i.settled_at"
             " FROM (SELECT ? AS hash) n LEFT JOIN invoices i ON i.hash = n.hash WHERE true"
             " ON CONFLICT (hash, auth_type) DO NOTHING",
             to_string(r.scheme), std::string_view(r.service), r.amount.count() /* raw: storage */,
             std::string_view(r.challenge_id), token, std::string_view(r.request_id),
             r.created.value, r.expires.value, r.hash.bytes()));
  if (r.scheme != Scheme::l402) return {};
  return keep_paid_token(db, r.hash);
}
}  // namespace

Result<> record_transactions(Connection& db, const std::vector<TransactionRecord>& rows) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  for (const TransactionRecord& row : rows) OCTROI_CHECK(record_transaction(db, row));
  return all.keep();
}

Result<bool> settle(Connection& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const bool first, mark_settled(db, hash, when));
  OCTROI_CHECK(all.keep());
  return first;
}

namespace {
Result<Transaction> read_transaction(const Query& q) {
  Transaction t;
  t.id = q.integer(0);
  OCTROI_TRY(t.record.hash, read_hash(q, 1));
  OCTROI_TRY(t.record.scheme, read_scheme(q, 2));
  t.record.service = q.text(3);
  OCTROI_TRY(t.record.amount, read_msat(q, 4));
  t.record.challenge_id = q.text(5);
  if (!q.is_null(6)) {
    OCTROI_TRY(t.record.token_id, read_token(q, 6));
  }
  t.record.request_id = q.text(7);
  t.record.created = {q.integer(8)};
  t.record.expires = {q.integer(9)};
  if (!q.is_null(10)) {
    t.state = TransactionState::settled;
    t.settled = UnixMillis{q.integer(10)};
  }
  return t;
}
}  // namespace

Result<std::vector<Transaction>> list_transactions(Connection& db, const TransactionFilter& f) {
  std::string sql =
      "SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,"
      " created_at, expires_at, settled_at FROM transactions WHERE 1 = 1";
  std::vector<std::variant<std::int64_t, std::string_view>> values;
  const auto where = [&](std::string_view condition, auto value) {
    sql.append(" AND ").append(condition);
    values.emplace_back(value);
  };
  if (!f.service.empty()) where("service = ?", std::string_view(f.service));
  if (f.scheme) where("auth_type = ?", to_string(*f.scheme));
  if (f.state) {
    where("state = ?",
          std::string_view(*f.state == TransactionState::settled ? "settled" : "pending"));
  }
  if (f.from) where("created_at >= ?", f.from->value);
  if (f.to) where("created_at < ?", f.to->value);
  if (f.before_id > 0) where("id < ?", f.before_id);
  sql += " ORDER BY id DESC LIMIT ?";
  values.emplace_back(static_cast<std::int64_t>(std::clamp(f.limit, 1, 1000)));

  OCTROI_TRY(Query q, db.prepare(sql));
  for (const auto& value : values) {
    std::visit([&](const auto& v) { q.bind(v); }, value);
  }
  std::vector<Transaction> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(Transaction t, read_transaction(q));
    out.push_back(std::move(t));
  }
}

Result<> extend_invoice(Connection& db, const PaymentHash& hash, UnixMillis keep_until) {
  return db.run("UPDATE invoices SET keep_until = ?1 WHERE hash = ?2 AND keep_until < ?1",
                keep_until.value, hash.bytes());
}

}  // namespace octroi::sql
