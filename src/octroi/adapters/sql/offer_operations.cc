// The rows of challenges: `offers` as long as nobody has paid, `transactions` from then on.

#include <algorithm>
#include <utility>
#include <variant>

#include "octroi/adapters/sql/offer_index.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

Result<std::int64_t> add_offer(Connection& db, const TransactionRecord& r) {
  std::optional<ByteView> token;
  if (r.token_id) token = r.token_id->bytes();
  const std::string request_id = kept_text(r.request_id);
  OCTROI_TRY(Query q,
             db.query("INSERT INTO offers (hash, auth_type, service, amount_msat,"
                      " challenge_id, token_id, request_id, created_at, expires_at)"
                      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) /*pg RETURNING id*/",
                      r.hash.bytes(), to_string(r.scheme), std::string_view(r.service),
                      r.amount.count() /* raw: storage */, std::string_view(r.challenge_id), token,
                      std::string_view(request_id), r.created.value, r.expires.value));
  OCTROI_TRY(const bool row, q.step());
  const std::int64_t id = row ? q.integer(0) : db.last_row_id();
  if (id == 0) return fail(Errc::corrupt, "an offer was not written");
  if (row) OCTROI_CHECK(q.run());
  if (OfferIndex* index = db.offer_index()) index->add(r.hash, id);
  return id;
}

Result<std::vector<std::int64_t>> offers_of(Connection& db, const PaymentHash& hash) {
  if (const OfferIndex* index = db.offer_index()) return index->find(hash);
  OCTROI_TRY(Query q, db.query("SELECT id FROM offers WHERE hash = ?", hash.bytes()));
  std::vector<std::int64_t> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.push_back(q.integer(0));
  }
}

/// From the offers into the books. True when the books did not have it yet.
Result<bool> book_offer(Connection& db, const PaymentHash& hash, std::int64_t id, UnixMillis when) {
  OCTROI_CHECK(db.run(
      "INSERT INTO transactions (id, hash, auth_type, service, amount_msat, challenge_id, token_id,"
      " request_id, created_at, expires_at, state, settled_at, told)"
      " /*pg OVERRIDING SYSTEM VALUE*/"
      " SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,"
      " created_at, expires_at, 'settled', ?, 0 FROM offers WHERE id = ? AND hash = ?"
      " ON CONFLICT (hash, auth_type) DO NOTHING",
      when.value, id, hash.bytes()));
  const bool added = db.changes() > 0;
  if (added) OCTROI_CHECK(count_sale(db, id));
  OCTROI_CHECK(db.run("DELETE FROM offers WHERE id = ? AND hash = ?", id, hash.bytes()));
  return added;
}

/// When the invoice settled. Its row is held until the transaction ends, so that whoever settles it
/// meanwhile finds what this transaction wrote.
Result<std::optional<UnixMillis>> settled_at(Connection& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT settled_at FROM invoices WHERE hash = ? /*pg FOR SHARE*/",
                               hash.bytes()));
  OCTROI_TRY(const bool row, q.step());
  if (!row || q.is_null(0)) return std::optional<UnixMillis>{};
  return std::optional<UnixMillis>{UnixMillis{q.integer(0)}};
}

/// In the books, or pruned out of them.
Result<bool> is_booked(Connection& db, const PaymentHash& hash, Scheme scheme) {
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM transactions WHERE hash = ?1 AND auth_type = ?2"
                               " UNION ALL SELECT 1 FROM invoices WHERE hash = ?1 AND booked = 1",
                               hash.bytes(), to_string(scheme)));
  return q.step();
}

/// Whether the challenge has a row already, paid or not.
Result<bool> is_recorded(Connection& db, const PaymentHash& hash, Scheme scheme) {
  OCTROI_TRY(const auto ids, offers_of(db, hash));
  for (const std::int64_t id : ids) {
    OCTROI_TRY(Query q, db.query("SELECT 1 FROM offers WHERE id = ? AND hash = ? AND auth_type = ?",
                                 id, hash.bytes(), to_string(scheme)));
    OCTROI_TRY(const bool row, q.step());
    if (row) return true;
  }
  return is_booked(db, hash, scheme);
}

Result<> record_transaction(Connection& db, const TransactionRecord& r) {
  OCTROI_TRY(const bool known, is_recorded(db, r.hash, r.scheme));
  if (known) return {};
  OCTROI_TRY(const std::int64_t id, add_offer(db, r));
  // The invoice may have settled before this row got here; then the row is settled from the start.
  OCTROI_TRY(const auto settled, settled_at(db, r.hash));
  if (!settled) return {};
  OCTROI_CHECK(book_offer(db, r.hash, id, *settled));
  return r.scheme == Scheme::l402 ? keep_paid_token(db, r.hash) : Result<>{};
}

}  // namespace

Result<> record_transactions(Connection& db, const std::vector<TransactionRecord>& rows) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  for (const TransactionRecord& row : rows) OCTROI_CHECK(record_transaction(db, row));
  return all.keep();
}

Result<bool> book_offers(Connection& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_TRY(const auto ids, offers_of(db, hash));
  bool added = false;
  for (const std::int64_t id : ids) {
    OCTROI_TRY(const bool one, book_offer(db, hash, id, when));
    added = added || one;
  }
  return added;
}

Result<> book_sale(Connection& db, const ConsumeRequest& r) {
  OCTROI_TRY(const bool booked, is_booked(db, r.hash, r.scheme));
  if (booked) return {};
  OCTROI_TRY(const auto invoice, find_invoice(db, r.hash));
  if (!invoice) return fail(Errc::corrupt, "a consumed proof has no invoice");
  TransactionRecord row;
  row.hash = r.hash;
  row.service = r.service;
  row.scheme = r.scheme;
  row.amount = invoice->amount;
  if (r.scheme != Scheme::l402) row.challenge_id = r.challenge_id;
  row.token_id = r.token_id;
  row.request_id = r.request_id;
  row.created = r.now;
  row.expires = r.keep_until;
  OCTROI_TRY(const std::int64_t id, add_offer(db, row));
  OCTROI_CHECK(book_offer(db, r.hash, id, r.now));
  return r.scheme == Scheme::l402 ? keep_paid_token(db, r.hash) : Result<>{};
}

Result<> fill_offer_index(Connection& db, OfferIndex& index) {
  OCTROI_TRY(Query q, db.query("SELECT id, hash FROM offers"));
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return {};
    OCTROI_TRY(const PaymentHash hash, read_hash(q, 1));
    index.add(hash, q.integer(0));
  }
}

// From the old end: rows come in the order of time, so the first that may not go ends the search.
Result<bool> prune_offers(Connection& db, UnixMillis horizon, std::int64_t limit,
                          std::int64_t& count) {
  std::vector<std::pair<std::int64_t, PaymentHash>> old;
  {
    OCTROI_TRY(Query q,
               db.query("SELECT id, hash, expires_at FROM offers ORDER BY id LIMIT ?", limit));
    for (;;) {
      OCTROI_TRY(const bool row, q.step());
      if (!row || q.integer(2) > horizon.value) break;
      OCTROI_TRY(const PaymentHash hash, read_hash(q, 1));
      old.emplace_back(q.integer(0), hash);
    }
  }
  if (old.empty()) return false;
  OCTROI_CHECK(db.run("DELETE FROM offers WHERE id <= ?", old.back().first));
  count += db.changes();
  if (OfferIndex* index = db.offer_index()) {
    for (const auto& [id, hash] : old) index->remove(hash, id);
  }
  return std::cmp_equal(old.size(), limit);
}

// --- listing
// ------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kColumns =
    "id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id, created_at,"
    " expires_at";

using ListValue = std::variant<std::int64_t, std::string_view>;

/// The newest of one table that match.
std::string newest_of(std::string_view table, std::string_view settled, const TransactionFilter& f,
                      std::vector<ListValue>& values) {
  std::string sql = fmt::format("SELECT {}, {} FROM {} WHERE 1 = 1", kColumns, settled, table);
  const auto where = [&](std::string_view condition, ListValue value) {
    sql.append(" AND ").append(condition);
    values.emplace_back(value);
  };
  if (!f.service.empty()) where("service = ?", std::string_view(f.service));
  if (f.scheme) where("auth_type = ?", to_string(*f.scheme));
  if (f.from) where("created_at >= ?", f.from->value);
  if (f.to) where("created_at < ?", f.to->value);
  if (f.before_id > 0) where("id < ?", f.before_id);
  sql += " ORDER BY id DESC LIMIT ?";
  values.emplace_back(static_cast<std::int64_t>(std::clamp(f.limit, 1, 1000)));
  return sql;
}

std::string list_statement(const TransactionFilter& f, std::vector<ListValue>& values) {
  const bool books = f.state != TransactionState::pending;
  const bool offers = f.state != TransactionState::settled;
  if (!offers) return newest_of("transactions", "settled_at", f, values);
  if (!books) return newest_of("offers", "CAST(NULL AS BIGINT)", f, values);
  std::string sql = "SELECT * FROM (" + newest_of("transactions", "settled_at", f, values) +
                    ") a UNION ALL SELECT * FROM (" +
                    newest_of("offers", "CAST(NULL AS BIGINT)", f, values) +
                    ") b ORDER BY 1 DESC LIMIT ?";
  values.emplace_back(static_cast<std::int64_t>(std::clamp(f.limit, 1, 1000)));
  return sql;
}

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
  std::vector<ListValue> values;
  OCTROI_TRY(Query q, db.prepare(list_statement(f, values)));
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

}  // namespace octroi::sql
