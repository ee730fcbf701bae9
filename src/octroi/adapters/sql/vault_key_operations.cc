#include "octroi/adapters/sql/vault_key_operations.h"

#include <algorithm>
#include <utility>

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// Held from here on, so that changes of the list come one after the other.
Result<> next_version(Connection& db) {
  return db.run("UPDATE vault_key_list SET version = version + 1 WHERE id = 1");
}

Result<Digest> digest(ByteView bytes) {
  Digest out{};
  if (bytes.size() != out.size()) return fail(Errc::corrupt, "a digest of a vault key is damaged");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Result<VaultKey> read_key(const Query& q) {
  VaultKey k;
  k.id = q.text(1);
  OCTROI_TRY(k.secret_hash, digest(q.blob(2)));
  k.pair_id = q.text(3);
  OCTROI_TRY(k.pair_hash, digest(q.blob(4)));
  k.live = q.integer(5) != 0;
  k.vendor = q.text(6);
  k.policy = q.text(7);
  k.name = q.text(8);
  k.server = q.text(9);
  k.agent = q.text(10);
  k.run = q.text(11);
  if (!q.is_null(12)) k.expires = UnixMillis{q.integer(12)};
  const auto state = vault_key_state_from_string(q.text(13));
  if (!state) return fail(Errc::corrupt, "the state of a vault key makes no sense");
  k.state = *state;
  k.created = {q.integer(14)};
  k.changed = {q.integer(15)};
  k.parent = q.text(16);
  k.canary = q.integer(17) != 0;
  k.networks = q.text(18);
  k.line = q.text(19);
  return k;
}

/// Whether it was added; false: its id is taken.
Result<bool> insert_key(Connection& db, const VaultKey& k) {
  std::optional<std::int64_t> expires;
  if (k.expires) expires = k.expires->value;
  OCTROI_CHECK(db.run(
      "INSERT INTO vault_keys (id, secret_hash, pair_id, pair_hash, live, vendor, policy,"
      " name, server, agent, run, expires_at, state, created_at, changed_at, parent, canary,"
      " networks, line) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT DO NOTHING",
      std::string_view(k.id), ByteView(k.secret_hash), std::string_view(k.pair_id),
      ByteView(k.pair_hash), std::int64_t{k.live ? 1 : 0}, std::string_view(k.vendor),
      std::string_view(k.policy), std::string_view(k.name), std::string_view(k.server),
      std::string_view(k.agent), std::string_view(k.run), expires, to_string(k.state),
      k.created.value, k.changed.value, std::string_view(k.parent), std::int64_t{k.canary ? 1 : 0},
      std::string_view(k.networks), std::string_view(k.line)));
  return db.changes() > 0;
}

}  // namespace

Result<bool> add_vault_key(Connection& db, const VaultKey& k) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  OCTROI_TRY(const bool added, insert_key(db, k));
  OCTROI_CHECK(all.keep());
  return added;
}

// One statement, so that the list is the one of its version.
Result<VaultKeyList> list_vault_keys(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT l.version, k.id, k.secret_hash, k.pair_id, k.pair_hash,"
                               " k.live, k.vendor, k.policy, k.name, k.server, k.agent, k.run,"
                               " k.expires_at, k.state, k.created_at, k.changed_at, k.parent,"
                               " k.canary, k.networks, k.line"
                               " FROM vault_key_list l LEFT JOIN vault_keys k ON l.id = 1"
                               " ORDER BY k.seq"));
  VaultKeyList list;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return list;
    list.version = q.integer(0);
    if (q.is_null(1)) continue;
    OCTROI_TRY(auto key, read_key(q));
    list.keys.push_back(std::move(key));
  }
}

Result<std::int64_t> vault_keys_version(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT version FROM vault_key_list"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return fail(Errc::corrupt, "the list of vault keys has no version");
  return q.integer(0);
}

Result<std::vector<std::string>> change_vault_keys(Connection& db, const VaultKeyFilter& which,
                                                   VaultKeyState state, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  std::vector<std::string> changed;
  {
    OCTROI_TRY(
        Query q,
        db.query("WITH RECURSIVE hit (id) AS (SELECT id FROM vault_keys WHERE"
                 " (?3 = '' OR id = ?3) AND (?4 = '' OR run = ?4) AND (?5 = '' OR agent = ?5)"
                 " AND (?6 = '' OR policy = ?6) AND (?7 = '' OR vendor = ?7)"
                 " UNION SELECT k.id FROM vault_keys k JOIN hit ON k.parent = hit.id"
                 " WHERE ?1 = 'revoked')"
                 " UPDATE vault_keys SET state = ?1, changed_at = ?2 WHERE state <> 'revoked'"
                 " AND id IN (SELECT id FROM hit) RETURNING id",
                 to_string(state), now.value, std::string_view(which.id),
                 std::string_view(which.run), std::string_view(which.agent),
                 std::string_view(which.policy), std::string_view(which.vendor)));
    for (;;) {
      OCTROI_TRY(const bool row, q.step());
      if (!row) break;
      changed.push_back(q.text(0));
    }
  }
  OCTROI_CHECK(all.keep());
  return changed;
}

Result<bool> rotate_vault_key(Connection& db, const VaultKey& fresh, std::string_view old,
                              UnixMillis old_ends) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  OCTROI_TRY(const bool added, insert_key(db, fresh));
  if (!added) return false;
  OCTROI_CHECK(
      db.run("UPDATE vault_keys SET expires_at = CASE WHEN expires_at IS NULL OR"
             " expires_at > ?2 THEN ?2 ELSE expires_at END"
             " WHERE id = ?1 AND state <> 'revoked'",
             old, old_ends.value));
  if (db.changes() == 0) return false;  // what was added is undone
  // Somebody may have paused it since the new one was made up.
  OCTROI_CHECK(
      db.run("UPDATE vault_keys SET state = (SELECT o.state FROM vault_keys o"
             " WHERE o.id = ?2) WHERE id = ?1",
             std::string_view(fresh.id), old));
  OCTROI_CHECK(db.run("UPDATE vault_keys SET parent = ?1 WHERE parent = ?2 AND parent <> ''",
                      std::string_view(fresh.id), old));
  OCTROI_CHECK(all.keep());
  return true;
}

}  // namespace octroi::sql
