// octroi/adapters/sql/vault_policy_store.h: ledger::VaultPolicies over the lanes of a SqlStore, and
// its statements.
//
// Thread   as SqlStore.
#pragma once

#include <string>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/vault_policies.h"

namespace octroi::sql {

class Lanes;

[[nodiscard]] Result<ledger::PolicyList> list_policies(Connection& db);
[[nodiscard]] Result<std::int64_t> policies_version(Connection& db);
[[nodiscard]] Result<ledger::PolicyChanged> change_policy(Connection& db,
                                                          const ledger::PolicyChange& change);
[[nodiscard]] Result<std::vector<ledger::PolicyVersion>> policy_versions(Connection& db,
                                                                         std::string_view name,
                                                                         int limit);

class SqlVaultPolicies final : public ledger::VaultPolicies {
 public:
  /// `lanes` must outlive it.
  explicit SqlVaultPolicies(Lanes& lanes) : lanes_(lanes) {}

  Task<Result<ledger::PolicyList>> list_policies() override;
  Task<Result<std::int64_t>> policies_version() override;
  Task<Result<ledger::PolicyChanged>> change_policy(ledger::PolicyChange change) override;
  Task<Result<std::vector<ledger::PolicyVersion>>> policy_versions(std::string name,
                                                                   int limit) override;

 private:
  Lanes& lanes_;
};

}  // namespace octroi::sql
