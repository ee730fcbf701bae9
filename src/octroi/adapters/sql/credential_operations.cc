#include "octroi/adapters/sql/credential_operations.h"

#include <utility>

#include "octroi/ledger/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

/// The version of the list of vault keys, one higher; its row is held from here on, so that changes
/// of credentials come one after the other.
Result<std::int64_t> next_version(Connection& db) {
  OCTROI_TRY(Query q, db.query("UPDATE vault_key_list SET version = version + 1 WHERE id = 1"
                               " RETURNING version"));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return fail(Errc::corrupt, "the list of vault keys has no version");
  return q.integer(0);
}

Result<> insert(Connection& db, std::string_view vendor, std::int64_t version,
                CredentialState state, std::string_view sealed, UnixMillis now,
                std::optional<std::int64_t> until) {
  return db.run(
      "INSERT INTO vault_credential_versions (vendor, version, state, sealed, account, since,"
      " wipe_at) VALUES (?, ?, ?, ?, '', ?, ?)",
      vendor, version, to_string(state), sealed, now.value, until);
}

Result<> wipe(Connection& db, std::string_view vendor, CredentialState state) {
  return db.run("DELETE FROM vault_credential_versions WHERE vendor = ? AND state = ?", vendor,
                to_string(state));
}

/// Whether this version was in that state.
Result<bool> move_to(Connection& db, std::string_view vendor, std::int64_t version,
                     CredentialState from, CredentialState to) {
  OCTROI_CHECK(
      db.run("UPDATE vault_credential_versions SET state = ?4 WHERE vendor = ?1 AND"
             " version = ?2 AND state = ?3",
             vendor, version, to_string(from), to_string(to)));
  return db.changes() > 0;
}

/// vendor, version, state, sealed, account, since, wipe_at, verified_at
Result<Credential> read(const Query& q) {
  Credential c;
  c.vendor = q.text(0);
  c.version = q.integer(1);
  const auto state = credential_state_from_string(q.text(2));
  if (!state) return fail(Errc::corrupt, "the state of a credential makes no sense");
  c.state = *state;
  c.sealed = q.text(3);
  c.account = q.text(4);
  c.since = {q.integer(5)};
  if (!q.is_null(6)) c.until = UnixMillis{q.integer(6)};
  if (!q.is_null(7)) c.verified = UnixMillis{q.integer(7)};
  return c;
}

Result<std::vector<Credential>> read_all(Query q) {
  std::vector<Credential> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    OCTROI_TRY(auto one, read(q));
    out.push_back(std::move(one));
  }
}

}  // namespace

Result<> put_credential(Connection& db, std::string_view vendor, std::string_view sealed,
                        UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const std::int64_t version, next_version(db));
  OCTROI_CHECK(db.run("DELETE FROM vault_credential_versions WHERE vendor = ?", vendor));
  OCTROI_CHECK(insert(db, vendor, version, CredentialState::current, sealed, now, {}));
  return all.keep();
}

Result<std::optional<std::string>> find_credential(Connection& db, std::string_view vendor) {
  OCTROI_TRY(Query q, db.query("SELECT sealed FROM vault_credential_versions WHERE vendor = ?"
                               " AND state = 'current'",
                               vendor));
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<std::string>{};
  return std::optional<std::string>(q.text(0));
}

Result<std::vector<Credential>> list_credentials(Connection& db) {
  OCTROI_TRY(Query q,
             db.query("SELECT vendor, version, state, sealed, account, since, wipe_at, verified_at"
                      " FROM vault_credential_versions ORDER BY vendor, version"));
  return read_all(std::move(q));
}

Result<std::optional<std::int64_t>> stage_credential(Connection& db, std::string_view vendor,
                                                     std::string_view sealed, UnixMillis now,
                                                     UnixMillis until) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(const std::int64_t version, next_version(db));
  {
    OCTROI_TRY(Query q, db.query("SELECT 1 FROM vault_credential_versions WHERE vendor = ? AND"
                                 " state = 'current'",
                                 vendor));
    OCTROI_TRY(const bool row, q.step());
    if (!row) return std::optional<std::int64_t>{};
  }
  OCTROI_CHECK(wipe(db, vendor, CredentialState::pending));
  OCTROI_CHECK(insert(db, vendor, version, CredentialState::pending, sealed, now, until.value));
  OCTROI_CHECK(all.keep());
  return std::optional<std::int64_t>(version);
}

Result<bool> switch_credential(Connection& db, const CredentialSwitch& wanted) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  const std::string_view vendor = wanted.vendor;
  OCTROI_CHECK(wipe(db, vendor, CredentialState::previous));
  OCTROI_TRY(const bool left,
             move_to(db, vendor, wanted.from, CredentialState::current, CredentialState::previous));
  if (!left) return false;
  OCTROI_TRY(const bool taken,
             move_to(db, vendor, wanted.to, CredentialState::pending, CredentialState::current));
  if (!taken) return false;
  std::optional<std::int64_t> verified;
  if (wanted.verified) verified = wanted.verified->value;
  OCTROI_CHECK(
      db.run("UPDATE vault_credential_versions SET since = ?3, account = ?4, verified_at = ?5,"
             " wipe_at = NULL WHERE vendor = ?1 AND version = ?2",
             vendor, wanted.to, wanted.now.value, std::string_view(wanted.account), verified));
  if (wanted.keep_until) {
    OCTROI_CHECK(
        db.run("UPDATE vault_credential_versions SET wipe_at = ?2 WHERE vendor = ?1 AND"
               " state = 'previous'",
               vendor, wanted.keep_until->value));
  } else {
    OCTROI_CHECK(wipe(db, vendor, CredentialState::previous));
  }
  OCTROI_CHECK(all.keep());
  return true;
}

// Two rows change places, of which each may be in one state at a time: the third is free.
Result<std::optional<std::int64_t>> roll_back_credential(Connection& db, std::string_view vendor,
                                                         std::int64_t from, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  std::int64_t to = 0;
  std::int64_t until = 0;
  {
    OCTROI_TRY(Query q,
               db.query("SELECT version, wipe_at FROM vault_credential_versions WHERE vendor = ?"
                        " AND state = 'previous' AND wipe_at > ?",
                        vendor, now.value));
    OCTROI_TRY(const bool row, q.step());
    if (!row) return std::optional<std::int64_t>{};
    to = q.integer(0);
    until = q.integer(1);
  }
  OCTROI_CHECK(wipe(db, vendor, CredentialState::pending));
  OCTROI_TRY(const bool freed,
             move_to(db, vendor, to, CredentialState::previous, CredentialState::pending));
  OCTROI_TRY(const bool left,
             move_to(db, vendor, from, CredentialState::current, CredentialState::previous));
  if (!freed || !left) return std::optional<std::int64_t>{};
  OCTROI_TRY(const bool back,
             move_to(db, vendor, to, CredentialState::pending, CredentialState::current));
  if (!back) return std::optional<std::int64_t>{};
  OCTROI_CHECK(
      db.run("UPDATE vault_credential_versions SET wipe_at = ?3 WHERE vendor = ?1 AND"
             " version = ?2",
             vendor, from, until));
  OCTROI_CHECK(
      db.run("UPDATE vault_credential_versions SET wipe_at = NULL, since = ?3 WHERE"
             " vendor = ?1 AND version = ?2",
             vendor, to, now.value));
  OCTROI_CHECK(all.keep());
  return std::optional<std::int64_t>(to);
}

Result<bool> drop_credential(Connection& db, std::string_view vendor, std::int64_t version) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  OCTROI_CHECK(
      db.run("DELETE FROM vault_credential_versions WHERE vendor = ? AND version = ? AND"
             " state = 'pending'",
             vendor, version));
  if (db.changes() == 0) return false;
  OCTROI_CHECK(all.keep());
  return true;
}

Result<std::vector<Credential>> wipe_credentials(Connection& db, UnixMillis now) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_CHECK(next_version(db));
  std::vector<Credential> over;
  {
    OCTROI_TRY(Query q, db.query("DELETE FROM vault_credential_versions WHERE wipe_at <= ?"
                                 " RETURNING vendor, version, state, sealed, account, since,"
                                 " wipe_at, verified_at",
                                 now.value));
    OCTROI_TRY(over, read_all(std::move(q)));
  }
  for (Credential& c : over) c.sealed.clear();
  if (over.empty()) return over;
  OCTROI_CHECK(all.keep());
  return over;
}

Result<bool> reseal_credentials(Connection& db, const std::vector<Resealed>& all, UnixMillis now) {
  OCTROI_TRY(Savepoint whole, Savepoint::begin(db));
  OCTROI_TRY(const std::int64_t version, next_version(db));
  std::int64_t named = 0;
  for (const Resealed& one : all) {
    if (one.version != 0) {
      OCTROI_CHECK(
          db.run("UPDATE vault_credential_versions SET sealed = ?4 WHERE vendor = ?1 AND"
                 " version = ?2 AND sealed = ?3",
                 std::string_view(one.vendor), one.version, std::string_view(one.before),
                 std::string_view(one.after)));
      if (db.changes() == 0) return false;
      ++named;
      continue;
    }
    OCTROI_TRY(const auto there, find_credential(db, one.vendor));
    if (there) return false;
  }
  {
    OCTROI_TRY(Query q, db.query("SELECT COUNT(*) FROM vault_credential_versions"));
    OCTROI_TRY(const bool row, q.step());
    if (!row || q.integer(0) != named) return false;
  }
  for (const Resealed& one : all) {
    if (one.version != 0) continue;
    OCTROI_CHECK(insert(db, one.vendor, version, CredentialState::current, one.after, now, {}));
  }
  OCTROI_CHECK(whole.keep());
  return true;
}

}  // namespace octroi::sql
