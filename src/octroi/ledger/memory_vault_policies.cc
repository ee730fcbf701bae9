#include "octroi/ledger/memory_vault_policies.h"

#include <utility>

#include "octroi/ledger/store.h"

namespace octroi::ledger {

void MemoryVaultPolicies::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
}

Result<> MemoryVaultPolicies::begin() const {
  if (unavailable_) return fail(Errc::unavailable, "the store was told to fail");
  return {};
}

Task<Result<PolicyList>> MemoryVaultPolicies::list_policies() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  PolicyList out;
  out.version = version_;
  for (const auto& [name, policy] : policies_) out.policies.push_back(policy);
  co_return out;
}

Task<Result<std::int64_t>> MemoryVaultPolicies::policies_version() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return version_;
}

Task<Result<PolicyChanged>> MemoryVaultPolicies::change_policy(PolicyChange change) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  PolicyChanged out;
  const auto there = policies_.find(change.name);
  out.version = there == policies_.end() ? 0 : there->second.version;
  const bool removing = change.document.empty();
  if (change.expected && *change.expected != out.version) co_return out;
  if (removing && out.version == 0) co_return out;
  auto& history = history_[change.name];
  out.version = history.empty() ? 1 : history.back().version + 1;
  out.applied = true;
  history.push_back({out.version, change.document, change.now});
  ++version_;
  if (removing) {
    policies_.erase(there);
    co_return out;
  }
  StoredPolicy& p = policies_[change.name];
  if (p.version == 0) p.created = change.now;
  p.name = std::move(change.name);
  p.document = std::move(change.document);
  p.version = out.version;
  p.updated = change.now;
  co_return out;
}

Task<Result<std::vector<PolicyVersion>>> MemoryVaultPolicies::policy_versions(std::string name,
                                                                              int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<PolicyVersion> out;
  const auto found = history_.find(name);
  if (found == history_.end()) co_return out;
  for (auto it = found->second.rbegin(); it != found->second.rend(); ++it) {
    if (static_cast<int>(out.size()) >= limit) break;
    out.push_back(*it);
  }
  co_return out;
}

}  // namespace octroi::ledger
