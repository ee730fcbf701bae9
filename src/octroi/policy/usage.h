// octroi/policy/usage.h: what is counted against the caps of a policy, and what they have left.
//
// Thread   pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/policy.h"

namespace octroi::policy {

/// One cap of one policy, in one unit, of those who are counted together.
struct CapUsage {
  std::size_t cap = 0;  // its index in Policy::caps
  ledger::SpendUnit unit = ledger::SpendUnit::micro_usd;
  std::string whose;  // "agent:helper", "run:…"; empty: everybody's, or nobody was counted yet
  std::int64_t limit = 0;
  std::int64_t held = 0;
  std::int64_t settled = 0;
  [[nodiscard]] std::int64_t left() const;  // never below zero
  std::optional<UnixMillis> resets_at;      // empty: never, or nothing was counted yet
};

/// What the scopes of this cap begin with: "policy/bot/", "budget/team/"; below "shadow/" while the
/// policy is only tried out.
[[nodiscard]] std::string scopes_of(const Policy& policy, const Cap& cap);

/// `windows`: of SpendLedger::usage, of this policy's scopes and of the budgets that it names. Each
/// cap is there at least once for each of its units.
[[nodiscard]] std::vector<CapUsage> cap_usage(const Policy& policy,
                                              const std::vector<ledger::SpendUsage>& windows);

}  // namespace octroi::policy
