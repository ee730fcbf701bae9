#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

Result<> revoke_token(Connection& db, const TokenId& id, UnixMillis keep_until, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(
      db.run("INSERT INTO revoked_tokens (token_id, revoked_at, keep_until) VALUES (?, ?, ?)"
             " ON CONFLICT (token_id) DO UPDATE SET keep_until = CASE"
             " WHEN revoked_tokens.keep_until < excluded.keep_until THEN excluded.keep_until"
             " ELSE revoked_tokens.keep_until END",
             id.bytes(), now.value, keep_until.value));
  OCTROI_CHECK(put_value(db, kRevocationsMark, fmt::format("{} {}", now.value, id.hex())));
  return all.keep();
}

Result<std::vector<TokenId>> revoked_tokens(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT token_id FROM revoked_tokens ORDER BY token_id"));
  std::vector<TokenId> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(const TokenId id, read_token(q, 0));
    out.push_back(id);
  }
}

Result<bool> take_free(Connection& db, std::string_view service, std::string_view client,
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

Result<Secret> get_or_put_secret(Connection& db, std::string_view name, const Secret& initial,
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

Result<std::optional<std::string>> get_value(Connection& db, std::string_view name) {
  OCTROI_TRY(Query q, db.query("SELECT value FROM key_values WHERE name = ?", name));
  OCTROI_TRY(const bool found, q.step());
  if (!found) return std::optional<std::string>{};
  return std::optional<std::string>{q.text(0)};
}

Result<> put_value(Connection& db, std::string_view name, std::string_view value) {
  return db.run(
      "INSERT INTO key_values (name, value) VALUES (?, ?)"
      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name, as_bytes(value));
}

}  // namespace octroi::sql
