// octroi/app/vault_approvals.h: the tickets of calls that wait for a human, as administrators see
// them: listed, shown, decided; and those that ran out.
//
// Errors   VaultKeyErrc, the store's.   Thread: the caller's loop.
#pragma once

#include <string>

#include "octroi/ledger/approvals.h"
#include "octroi/ledger/store.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

struct Verdict {
  std::string id;
  bool approved = false;
  std::string by;  // who decided, for the audit
};

[[nodiscard]] std::string approval_json(const ledger::Approval& ticket);
/// {"approvals":[…]}, newest first. `state`: "", "all" or a state.
Task<Result<std::string>> list_approvals(ledger::Store& store, std::string state);
Task<Result<std::string>> show_approval(ledger::Store& store, std::string id);
/// Decides, and tells the audit.
Task<Result<std::string>> decide_approval(ledger::Store& store,
                                          const vault::ApprovalSettings& rules, Verdict verdict,
                                          UnixMillis now);
/// Those that ran out; each is told in the audit. The number of them.
Task<Result<int>> expire_approvals(ledger::Store& store, UnixMillis now);

}  // namespace octroi::app
