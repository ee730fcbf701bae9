// octroi/app/stores.h: what `store:` names, whichever engine keeps it.
//
// Errors   what the adapters say; AppStoreErrc::wrong_engine when the engine cannot do that.
// Thread   any; these calls block.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/adapters/postgres/session.h"
#include "octroi/adapters/sql/migrations.h"
#include "octroi/base/result.h"
#include "octroi/config/model.h"
#include "octroi/ledger/store.h"

namespace octroi::app {

enum class StoreErrc : std::uint8_t { wrong_engine };
ErrorInfo error_info(StoreErrc e);

/// How one connection to a postgresql:// store is made.
[[nodiscard]] postgres::SessionOptions session_of(const config::Config& config);
[[nodiscard]] Result<std::unique_ptr<ledger::Store>> open_store(const config::Config& config);
/// Whether other processes may write to it too.
[[nodiscard]] bool is_shared(const config::Config& config);

/// Writes the audit's rows for at most `limit` sales that have none; how many there were.
Task<Result<int>> tell_sales(ledger::Store& store, int limit);

[[nodiscard]] Result<std::vector<sql::MigrationStatus>> store_status(const config::Config& config);
/// Up or down to `target`; below 0: to the newest. Returns the number of steps.
[[nodiscard]] Result<int> migrate_store(const config::Config& config, std::int64_t target);
/// Statements that make the newest schema out of an empty database.
[[nodiscard]] Result<std::string> schema_of(sql::Engine engine);

/// A copy at `to`, which must not exist, while no server runs.
[[nodiscard]] Result<> backup_store(const config::Config& config, const std::string& to);
/// From such a copy into the place that `store:` names, where nothing may be yet.
[[nodiscard]] Result<> restore_store(const config::Config& config, const std::string& from);

}  // namespace octroi::app
