#include "octroi/adapters/sqlite/operations.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "octroi/ledger/consumption.h"
#include "octroi/ledger/stored_headers.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

/// For the invoices of settled L402 rows, whose tokens may be valid for any time.
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kPruneRows = 500;

Result<PaymentHash> read_hash(const Query& q, int column) {
  auto hash = PaymentHash::from_bytes(q.blob(column));
  if (!hash) return fail(Errc::corrupt, "a payment hash in the store has the wrong length");
  return *hash;
}

Result<Msat> read_msat(const Query& q, int column) {
  auto amount = Msat::from_raw(q.integer(column));
  if (!amount) return fail(Errc::corrupt, "an amount in the store is out of range");
  return *amount;
}

Result<Scheme> read_scheme(const Query& q, int column) {
  const auto scheme = scheme_from_string(q.text(column));
  if (!scheme) return fail(Errc::corrupt, "an auth_type in the store is unknown");
  return *scheme;
}

/// Keeps the claim's invoice at least as long as the claim itself.
Result<> keep_invoice(Database& db, const PaymentHash& hash, std::int64_t keep_until) {
  return db.run("UPDATE invoices SET keep_until = ? WHERE hash = ? AND keep_until < ?", keep_until,
                hash.bytes(), keep_until);
}

/// A paid token outlives its invoice by an amount only the paywall knows, so it is kept for good.
Result<> keep_paid_token(Database& db, const PaymentHash& hash) {
  return db.run(
      "UPDATE invoices SET keep_until = ?1 WHERE hash = ?2 AND settled_at IS NOT NULL"
      " AND keep_until < ?1 AND EXISTS"
      " (SELECT 1 FROM transactions t WHERE t.hash = ?2 AND t.auth_type = 'l402')",
      kForever, hash.bytes());
}

Result<bool> mark_settled(Database& db, const PaymentHash& hash, UnixMillis when) {
  OCTROI_CHECK(db.run("UPDATE invoices SET settled_at = ? WHERE hash = ? AND settled_at IS NULL",
                      when.value, hash.bytes()));
  std::int64_t changed = db.changes();
  OCTROI_CHECK(db.run(kSettleTransactions, when.value, hash.bytes()));
  changed += db.changes();
  if (changed == 0) return false;
  OCTROI_CHECK(keep_paid_token(db, hash));
  return true;
}

}  // namespace

// --- invoices and transactions
// ---------------------------------------------------------------------

Result<> record_invoices(Database& db, const std::vector<InvoiceRecord>& invoices) {
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

Result<std::optional<InvoiceRecord>> find_invoice(Database& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT amount_msat, created_at, expires_at, node_index"
                               " FROM invoices WHERE hash = ?",
                               hash.bytes()));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<InvoiceRecord>{};
  OCTROI_TRY(const Msat amount, read_msat(q, 0));
  return std::optional<InvoiceRecord>{InvoiceRecord{
      hash, amount, {q.integer(1)}, {q.integer(2)}, static_cast<std::uint64_t>(q.integer(3))}};
}

Result<bool> is_consumed(Database& db, const PaymentHash& hash) {
  OCTROI_TRY(Query q, db.query("SELECT 1 FROM consumed WHERE hash = ?", hash.bytes()));
  return q.step();
}

namespace {
Result<> record_transaction(Database& db, const TransactionRecord& r) {
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

Result<> record_transactions(Database& db, const std::vector<TransactionRecord>& rows) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  for (const TransactionRecord& row : rows) OCTROI_CHECK(record_transaction(db, row));
  return all.keep();
}

Result<bool> settle(Database& db, const PaymentHash& hash, UnixMillis when) {
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
    auto token = TokenId::from_bytes(q.blob(6));
    if (!token) return fail(Errc::corrupt, "a token id in the store has the wrong length");
    t.record.token_id = *token;
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

Result<std::vector<Transaction>> list_transactions(Database& db, const TransactionFilter& f) {
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

  OCTROI_TRY(Query q, db.prepare(sql, /*cached=*/false));
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

Result<> extend_invoice(Database& db, const PaymentHash& hash, UnixMillis keep_until) {
  return keep_invoice(db, hash, keep_until.value);
}

// --- consuming
// ---------------------------------------------------------------------------------------

namespace {

/// The claim itself: one statement that writes a row only for a hash that we made and nobody has
/// claimed, under any scheme.
Result<bool> claim_hash(Database& db, const ConsumeRequest& r, std::string_view boot) {
  OCTROI_CHECK(db.run(
      "INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest,"
      " idempotency_key, boot_id, consumed_at, body_kept)"
      " SELECT i.hash, ?, ?, ?, ?, ?, ?, ?, 0 FROM invoices i WHERE i.hash = ?"
      " ON CONFLICT (hash) DO NOTHING",
      to_string(r.scheme), std::string_view(r.service), std::string_view(r.challenge_id),
      ByteView(r.payload), std::string_view(r.idempotency_key), boot, r.now.value, r.hash.bytes()));
  return db.changes() == 1;
}

Result<std::optional<ConsumedRecord>> find_consumed(Database& db, const PaymentHash& hash,
                                                    std::string_view boot) {
  OCTROI_TRY(Query q, db.query("SELECT auth_type, challenge_id, payload_digest, idempotency_key,"
                               " boot_id, status, headers, body, body_kept"
                               " FROM consumed WHERE hash = ?",
                               hash.bytes()));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<ConsumedRecord>{};
  ConsumedRecord record;
  OCTROI_TRY(record.scheme, read_scheme(q, 0));
  record.challenge_id = q.text(1);
  const ByteView payload = q.blob(2);
  if (payload.size() != record.payload.size()) {
    return fail(Errc::corrupt, "a payload digest in the store has the wrong length");
  }
  std::copy(payload.begin(), payload.end(), record.payload.begin());
  record.idempotency_key = q.text(3);
  if (q.is_null(5)) {
    record.delivering_here = q.text(4) == boot;
    return std::optional(std::move(record));
  }
  StoredResponse response;
  response.status = static_cast<int>(q.integer(5));
  OCTROI_TRY(response.headers, decode_headers(q.blob(6)));
  response.body = q.text(7);
  response.body_kept = q.integer(8) != 0;
  record.response = std::move(response);
  return std::optional(std::move(record));
}

}  // namespace

Result<ConsumeOutcome> consume(Database& db, const ConsumeRequest& request, std::string_view boot) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const bool ours, claim_hash(db, request, boot));
  if (!ours) {
    OCTROI_TRY(auto first, find_consumed(db, request.hash, boot));
    OCTROI_CHECK(all.keep());
    if (!first) return ConsumeOutcome{ConsumeState::unknown_hash, std::nullopt};
    return judge_again(std::move(*first), request);
  }
  OCTROI_CHECK(keep_invoice(db, request.hash, request.keep_until.value));
  OCTROI_CHECK(mark_settled(db, request.hash, request.now));
  OCTROI_CHECK(all.keep());
  return ConsumeOutcome{ConsumeState::fresh, std::nullopt};
}

Result<> finish_consume(Database& db, const PaymentHash& hash, const StoredResponse& response,
                        std::string_view boot) {
  const Bytes headers = encode_headers(response.headers);
  const std::string_view body = response.body_kept ? std::string_view(response.body) : "";
  OCTROI_CHECK(
      db.run("UPDATE consumed SET status = ?, headers = ?, body = ?, body_kept = ?"
             " WHERE hash = ? AND boot_id = ? AND status IS NULL",
             std::int64_t{response.status}, ByteView(headers), as_bytes(body),
             std::int64_t{response.body_kept ? 1 : 0}, hash.bytes(), boot));
  if (db.changes() == 1) return {};
  return fail(Errc::not_pending, "this process is not delivering over that payment hash");
}

Result<bool> claim_nonce(Database& db, std::string_view scope, const Digest& nonce,
                         UnixMillis keep_until) {
  OCTROI_CHECK(
      db.run("INSERT INTO nonces (scope, nonce, keep_until) VALUES (?, ?, ?)"
             " ON CONFLICT (scope, nonce) DO NOTHING",
             scope, ByteView(nonce), keep_until.value));
  return db.changes() == 1;
}

// --- L402
// ------------------------------------------------------------------------------------------

Result<> revoke_token(Database& db, const TokenId& id, UnixMillis keep_until, UnixMillis now) {
  return db.run(
      "INSERT INTO revoked_tokens (token_id, revoked_at, keep_until) VALUES (?, ?, ?)"
      " ON CONFLICT (token_id) DO UPDATE SET keep_until = CASE"
      " WHEN revoked_tokens.keep_until < excluded.keep_until THEN excluded.keep_until"
      " ELSE revoked_tokens.keep_until END",
      id.bytes(), now.value, keep_until.value);
}

Result<std::vector<TokenId>> revoked_tokens(Database& db) {
  OCTROI_TRY(Query q, db.query("SELECT token_id FROM revoked_tokens ORDER BY token_id"));
  std::vector<TokenId> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    auto id = TokenId::from_bytes(q.blob(0));
    if (!id) return fail(Errc::corrupt, "a token id in the store has the wrong length");
    out.push_back(*id);
  }
}

// --- counters
// ----------------------------------------------------------------------------------------

Result<bool> take_free(Database& db, std::string_view service, std::string_view client,
                       std::int64_t limit, Millis window, UnixMillis now) {
  if (limit <= 0) return false;
  // One statement decides and counts: a window that has passed starts again at one, a running one
  // counts up while something is left, and otherwise no row is changed.
  OCTROI_CHECK(db.run(
      "INSERT INTO free_quota AS q (service, client, window_start, window_end, used)"
      " VALUES (?1, ?2, ?3, ?3 + ?4, 1)"
      " ON CONFLICT (service, client) DO UPDATE SET"
      " used = CASE WHEN q.window_start + ?4 <= ?3 THEN 1 ELSE q.used + 1 END,"
      " window_start = CASE WHEN q.window_start + ?4 <= ?3 THEN ?3 ELSE q.window_start END,"
      " window_end = CASE WHEN q.window_start + ?4 <= ?3 THEN ?3 ELSE q.window_start END + ?4"
      " WHERE q.window_start + ?4 <= ?3 OR q.used < ?5",
      service, client, now.value, std::int64_t{window.count()}, limit));
  return db.changes() == 1;
}

// --- small durable values
// ----------------------------------------------------------------------------

Result<Secret> get_or_put_secret(Database& db, std::string_view name, const Secret& initial,
                                 UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(
      db.run("INSERT INTO secrets (name, value, created_at) VALUES (?, ?, ?)"
             " ON CONFLICT (name) DO NOTHING",
             name, initial.reveal(), now.value));
  OCTROI_TRY(Query q, db.query("SELECT value FROM secrets WHERE name = ?", name));
  OCTROI_TRY(const bool found, q.step());
  if (!found || q.blob(0).empty()) {
    return fail(Errc::corrupt, fmt::format("the stored secret {} is empty", name));
  }
  Secret value(q.blob(0));
  OCTROI_CHECK(all.keep());
  return value;
}

Result<std::optional<std::string>> get_value(Database& db, std::string_view name) {
  OCTROI_TRY(Query q, db.query("SELECT value FROM key_values WHERE name = ?", name));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<std::string>{};
  return std::optional<std::string>{q.text(0)};
}

Result<> put_value(Database& db, std::string_view name, std::string_view value) {
  return db.run(
      "INSERT INTO key_values (name, value) VALUES (?, ?)"
      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name, as_bytes(value));
}

// --- upkeep
// ------------------------------------------------------------------------------------------

namespace {

Result<std::vector<PaymentHash>> prunable_invoices(Database& db, UnixMillis horizon) {
  OCTROI_TRY(Query q, db.query("SELECT hash FROM invoices WHERE keep_until <= ? LIMIT ?",
                               horizon.value, kPruneRows));
  std::vector<PaymentHash> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(const PaymentHash hash, read_hash(q, 0));
    out.push_back(hash);
  }
}

/// Deletes at most kPruneRows rows and adds their number to `count`.
Result<> sweep(Database& db, std::string_view sql, UnixMillis horizon, std::int64_t& count,
               bool& more) {
  OCTROI_CHECK(db.run(sql, horizon.value, kPruneRows));
  count += db.changes();
  more = more || db.changes() == kPruneRows;
  return {};
}

}  // namespace

Result<PruneStep> prune_step(Database& db, UnixMillis horizon) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  PruneStep step;
  OCTROI_TRY(const auto hashes, prunable_invoices(db, horizon));
  step.more = std::cmp_equal(hashes.size(), kPruneRows);
  for (const PaymentHash& hash : hashes) {
    OCTROI_CHECK(db.run("DELETE FROM consumed WHERE hash = ?", hash.bytes()));
    step.report.consumed += db.changes();
    OCTROI_CHECK(db.run("DELETE FROM invoices WHERE hash = ?", hash.bytes()));
    step.report.invoices += db.changes();
  }
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM transactions WHERE id IN (SELECT id FROM transactions"
                     " WHERE state = 'pending' AND expires_at <= ? LIMIT ?)",
                     horizon, step.report.transactions, step.more));
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM nonces WHERE (scope, nonce) IN (SELECT scope, nonce FROM nonces"
                     " WHERE keep_until <= ? LIMIT ?)",
                     horizon, step.report.consumed, step.more));
  std::int64_t uncounted = 0;
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM free_quota WHERE (service, client) IN (SELECT service, client"
                     " FROM free_quota WHERE window_end <= ? LIMIT ?)",
                     horizon, uncounted, step.more));
  OCTROI_CHECK(sweep(db,
                     "DELETE FROM revoked_tokens WHERE token_id IN (SELECT token_id"
                     " FROM revoked_tokens WHERE keep_until <= ? LIMIT ?)",
                     horizon, uncounted, step.more));
  OCTROI_CHECK(all.keep());
  return step;
}

}  // namespace octroi::sqlite
