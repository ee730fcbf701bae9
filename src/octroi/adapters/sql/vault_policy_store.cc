#include "octroi/adapters/sql/vault_policy_store.h"

#include <utility>

#include "octroi/adapters/sql/store.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {

/// All changes of the list stand in one lane.
constexpr std::uint64_t kKey = 0x9011c1e5;

Result<std::int64_t> number(Query q) {
  OCTROI_TRY(const bool row, q.step());
  return row && !q.is_null(0) ? q.integer(0) : 0;
}

Result<> write(Connection& db, const PolicyChange& change, std::int64_t version) {
  if (change.document.empty()) {
    return db.run("DELETE FROM vault_policies WHERE name = ?", std::string_view(change.name));
  }
  return db.run(
      "INSERT INTO vault_policies (name, document, version, created_at, updated_at)"
      " VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (name) DO UPDATE SET"
      " document = excluded.document, version = excluded.version, updated_at = excluded.updated_at",
      std::string_view(change.name), std::string_view(change.document), version, change.now.value);
}

}  // namespace

// One statement, so that the list is the one of its version.
Result<PolicyList> list_policies(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT l.version, p.name, p.document, p.version, p.created_at,"
                               " p.updated_at FROM vault_policy_list l LEFT JOIN vault_policies p"
                               " ON l.id = 1 ORDER BY p.name"));
  PolicyList out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.version = q.integer(0);
    if (q.is_null(1)) continue;
    out.policies.push_back(
        {q.text(1), q.text(2), q.integer(3), UnixMillis{q.integer(4)}, UnixMillis{q.integer(5)}});
  }
}

Result<std::int64_t> policies_version(Connection& db) {
  OCTROI_TRY(Query q, db.query("SELECT version FROM vault_policy_list"));
  return number(std::move(q));
}

Result<PolicyChanged> change_policy(Connection& db, const PolicyChange& change) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  // Held from here on, so that changes come one after the other.
  OCTROI_CHECK(db.run("UPDATE vault_policy_list SET version = version + 1 WHERE id = 1"));
  PolicyChanged out;
  {
    OCTROI_TRY(Query q, db.query("SELECT version FROM vault_policies WHERE name = ?",
                                 std::string_view(change.name)));
    OCTROI_TRY(out.version, number(std::move(q)));
  }
  const bool refused = (change.expected && *change.expected != out.version) ||
                       (change.document.empty() && out.version == 0);
  if (!refused) {
    OCTROI_TRY(Query q, db.query("SELECT MAX(version) FROM vault_policy_versions WHERE name = ?",
                                 std::string_view(change.name)));
    OCTROI_TRY(const std::int64_t last, number(std::move(q)));
    out.version = last + 1;
    out.applied = true;
    OCTROI_CHECK(db.run(
        "INSERT INTO vault_policy_versions (name, version, document, at) VALUES (?, ?, ?, ?)",
        std::string_view(change.name), out.version, std::string_view(change.document),
        change.now.value));
    OCTROI_CHECK(write(db, change, out.version));
  }
  OCTROI_CHECK(all.keep());
  return out;
}

Result<std::vector<PolicyVersion>> policy_versions(Connection& db, std::string_view name,
                                                   int limit) {
  OCTROI_TRY(Query q, db.query("SELECT version, document, at FROM vault_policy_versions"
                               " WHERE name = ? ORDER BY version DESC LIMIT ?",
                               name, static_cast<std::int64_t>(limit)));
  std::vector<PolicyVersion> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.push_back({q.integer(0), q.text(1), UnixMillis{q.integer(2)}});
  }
}

Task<Result<PolicyList>> SqlVaultPolicies::list_policies() {
  return lanes_.reader().call<PolicyList>(0, [](Connection& db) { return sql::list_policies(db); });
}

Task<Result<std::int64_t>> SqlVaultPolicies::policies_version() {
  return lanes_.reader().call<std::int64_t>(
      0, [](Connection& db) { return sql::policies_version(db); });
}

Task<Result<PolicyChanged>> SqlVaultPolicies::change_policy(PolicyChange change) {
  return lanes_.writer(kKey).call<PolicyChanged>(
      kKey, [c = std::move(change)](Connection& db) { return sql::change_policy(db, c); });
}

Task<Result<std::vector<PolicyVersion>>> SqlVaultPolicies::policy_versions(std::string name,
                                                                           int limit) {
  return lanes_.reader().call<std::vector<PolicyVersion>>(
      0,
      [n = std::move(name), limit](Connection& db) { return sql::policy_versions(db, n, limit); });
}

}  // namespace octroi::sql
