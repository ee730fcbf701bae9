// octroi/app/vault_snapshot.h: vendors with their real keys: those of the configuration, and those
// that were registered. For the running server and for commands that open the store themselves.
#pragma once

#include <memory>

#include "octroi/ledger/store.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(ledger::Store* store,
                                                                    vault::VaultSettings settings);

}  // namespace octroi::app
