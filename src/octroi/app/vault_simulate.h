// octroi/app/vault_simulate.h: what a policy would have made of the calls that the audit tells of.
//
// Every call of the policy in that time is judged again, oldest first, with caps that begin empty
// and fill as they would have filled. What the audit does not hold cannot be judged: fields,
// recipients, countries and senders of requests are taken as fitting, and the answer names those
// that the policy speaks of. A call that was denied and would pass counts what it asked for.
//
// Errors   VaultKeyErrc, the store's.   Thread: the caller's loop.
#pragma once

#include <optional>
#include <string>

#include "octroi/ledger/store.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

struct SimulateRequest {
  std::string name;      // of the policy whose calls are judged
  std::string document;  // JSON of the other policy; empty: the one in force
  std::optional<UnixMillis> from, to;
};

/// {"policy","hash","calls","allowed","denied","approval","changed":[…],"not_judged":[…]}.
Task<Result<std::string>> simulate_policy(ledger::Store& store, const vault::VaultSettings& file,
                                          SimulateRequest request);

}  // namespace octroi::app
