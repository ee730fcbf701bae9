// octroi/ledger/memory_vault_policies.h: VaultPolicies in memory: part of MemoryStore.
//
// Thread   any thread; one mutex.
#pragma once

#include <map>
#include <mutex>

#include "octroi/ledger/vault_policies.h"

namespace octroi::ledger {

class MemoryVaultPolicies final : public VaultPolicies {
 public:
  void set_unavailable(bool yes);

  Task<Result<PolicyList>> list_policies() override;
  Task<Result<std::int64_t>> policies_version() override;
  Task<Result<PolicyChanged>> change_policy(PolicyChange change) override;
  Task<Result<std::vector<PolicyVersion>>> policy_versions(std::string name, int limit) override;

 private:
  [[nodiscard]] Result<> begin() const;
  std::mutex mutex_;
  bool unavailable_ = false;
  std::int64_t version_ = 0;
  std::map<std::string, StoredPolicy> policies_;
  std::map<std::string, std::vector<PolicyVersion>> history_;  // oldest first
};

}  // namespace octroi::ledger
