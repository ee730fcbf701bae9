// octroi/ledger/vault_policies.h: the part of the store that keeps the policies that were made or
// changed while octroi ran, beside those of the configuration file, with every earlier version.
//
// A policy is one document, its canonical JSON (docs/policy.md). Its version counts its changes and
// is never used twice, not even by a policy that was removed and made again: what the audit says of
// a version can be looked up for as long as the store is there. The list as a whole has a version
// too, which is how servers notice what another process changed.
//
// Thread   as Store.
// Errors   Errc::unavailable: nothing happened that may be relied upon.
// Source   issue 6 "Policy".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

struct StoredPolicy {
  std::string name;
  std::string document;
  std::int64_t version = 0;
  UnixMillis created;
  UnixMillis updated;
};

struct PolicyList {
  std::int64_t version = 0;
  std::vector<StoredPolicy> policies;  // by name
};

struct PolicyVersion {
  std::int64_t version = 0;
  std::string document;  // empty: it was removed then
  UnixMillis at;
};

struct PolicyChange {
  std::string name;
  std::string document;                  // empty: it is removed
  std::optional<std::int64_t> expected;  // the version that there must be; 0: none; empty: any
  UnixMillis now;
};

struct PolicyChanged {
  bool applied = false;  // false: there was another version, which `version` says (0: none)
  std::int64_t version = 0;
};

class VaultPolicies {
 public:
  virtual ~VaultPolicies() = default;
  virtual Task<Result<PolicyList>> list_policies() = 0;
  virtual Task<Result<std::int64_t>> policies_version() = 0;
  /// Writes or removes it, and keeps what it was. A removal of what is not there is not applied.
  virtual Task<Result<PolicyChanged>> change_policy(PolicyChange change) = 0;
  /// Newest first.
  virtual Task<Result<std::vector<PolicyVersion>>> policy_versions(std::string name, int limit) = 0;
};

}  // namespace octroi::ledger
