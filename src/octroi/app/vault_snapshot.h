// octroi/app/vault_snapshot.h: vendors with their real keys: those of the configuration, and those
// that were registered. For the running server and for commands that open the store themselves.
//
// Thread  the caller's loop; what was sealed is opened on another thread, because a KMS may be
// slow.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "octroi/ledger/store.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

/// What was opened. A version of a vendor's real key is never another key, also when it was sealed
/// anew, so none of it need be opened again.
struct OpenedKeys {
  std::map<std::pair<std::string, std::int64_t>, std::shared_ptr<const Secret>> real;
  std::shared_ptr<const Secret> signer_master;  // null: no vendor wanted it
};

struct MadeSnapshot {
  std::shared_ptr<const vault::Snapshot> snapshot;
  OpenedKeys opened;
  /// When the first of the registered keys that are not in use is over.
  std::optional<UnixMillis> next_wipe;
  /// Why a vendor goes on with the key before, or with none.
  std::optional<Error> missing;
};

/// Without `held` every real key that is in use is opened, or this fails. With it only what is not
/// held is opened, and a vendor whose key cannot be goes on with the one before as long as that is
/// kept, and without any then: the policies are in force all the same.
Task<Result<MadeSnapshot>> open_snapshot(ledger::Store* store, vault::VaultSettings settings,
                                         std::optional<OpenedKeys> held);

Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(ledger::Store* store,
                                                                    vault::VaultSettings settings);

}  // namespace octroi::app
