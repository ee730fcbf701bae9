// octroi/app/vault_snapshot.h: vendors with their real keys: those of the configuration, and those
// that were registered. For the running server and for commands that open the store themselves.
#pragma once

#include <memory>
#include <optional>

#include "octroi/ledger/store.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

/// `next_wipe`: when the first of the registered keys that are not in use is over; may be null, and
/// is not touched when this fails.
Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(
    ledger::Store* store, vault::VaultSettings settings,
    std::optional<UnixMillis>* next_wipe = nullptr);

}  // namespace octroi::app
