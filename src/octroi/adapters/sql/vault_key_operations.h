// octroi/adapters/sql/vault_key_operations.h: the statements of ledger::VaultKeys. Each function is
// one operation, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/vault_keys.h"

namespace octroi::sql {

[[nodiscard]] Result<bool> add_vault_key(Connection& db, const ledger::VaultKey& key);
[[nodiscard]] Result<ledger::VaultKeyList> list_vault_keys(Connection& db);
[[nodiscard]] Result<std::int64_t> vault_keys_version(Connection& db);
[[nodiscard]] Result<std::vector<std::string>> change_vault_keys(
    Connection& db, const ledger::VaultKeyFilter& which, ledger::VaultKeyState state,
    UnixMillis now);
[[nodiscard]] Result<bool> rotate_vault_key(Connection& db, const ledger::VaultKey& fresh,
                                            std::string_view old, UnixMillis old_ends);
}  // namespace octroi::sql
