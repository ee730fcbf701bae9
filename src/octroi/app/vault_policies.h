// octroi/app/vault_policies.h: policies of the vault door that stand in the store, beside those of
// the configuration file: put, removed, rolled back, listed; and what is left of their caps.
//
// A policy of the file is changed in the file only, and hides one of the store with its name. One
// of the store that cannot be read any more (its vendor is gone) is left out, and its keys open
// nothing.
//
// Errors   VaultKeyErrc, policy's, the store's.   Thread: the caller's loop.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/ledger/spend_ledger.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/vault_policies.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

/// What is in force: the file's policies and then the store's.
struct InForce {
  vault::VaultSettings settings;
  std::int64_t list_version = 0;  // of the store's
};
Task<Result<InForce>> policies_in_force(ledger::Store& store, vault::VaultSettings file);

/// The expected version of a change to whichever version there is, as long as there is one.
inline constexpr std::int64_t kAnyVersion = -1;

struct PolicyPut {
  std::string name;
  std::string document;                  // JSON
  std::optional<std::int64_t> expected;  // as ledger::PolicyChange, or kAnyVersion
};
/// Judged, then written; the policy as policy_json shows it.
Task<Result<std::string>> put_policy(ledger::Store& store, const vault::VaultSettings& file,
                                     PolicyPut put, UnixMillis now);
Task<Result<std::string>> remove_policy(ledger::Store& store, const vault::VaultSettings& file,
                                        std::string name, std::optional<std::int64_t> expected,
                                        UnixMillis now);
/// The text of an earlier version, as a new one.
Task<Result<std::string>> roll_back_policy(ledger::Store& store, const vault::VaultSettings& file,
                                           std::string name, std::int64_t to, UnixMillis now);

/// {"policies":[…]}: those in force.
Task<Result<std::string>> list_policies(ledger::Store& store, const vault::VaultSettings& file);
Task<Result<std::string>> show_policy(ledger::Store& store, const vault::VaultSettings& file,
                                      std::string name);
/// {"name","versions":[…]}, newest first.
Task<Result<std::string>> policy_versions(ledger::Store& store, std::string name);
/// {"policy","caps":[{"per","unit","limit","held","settled","left","resets_at",…}]}: one entry for
/// each window that anything was counted in, and one for each cap that nothing was counted in.
Task<Result<std::string>> policy_usage(ledger::Store& store, const vault::VaultSettings& file,
                                       std::string name, UnixMillis now);

/// What the ledger has counted for a policy of this name, whichever text it had, and for all
/// budgets: what a call is judged by at this moment.
Task<Result<std::vector<ledger::SpendUsage>>> windows_of(ledger::Store& store, std::string name,
                                                         UnixMillis at);
/// The same between processes: {"policy","at","windows":[…]}.
Task<Result<std::string>> policy_windows(ledger::Store& store, std::string name, UnixMillis at);
[[nodiscard]] Result<std::vector<ledger::SpendUsage>> read_windows(std::string_view text);

}  // namespace octroi::app
