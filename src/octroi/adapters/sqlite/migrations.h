// octroi/adapters/sqlite/migrations.h: the numbered SQL files of migrations/, embedded, and moving
// a database between them.
//
// schema_migrations keeps what was applied, with the SHA-256 of the text. A database that a newer
// octroi wrote is refused (ledger::Errc::newer_schema), one whose applied text differs from ours
// too (ledger::Errc::corrupt). Each step is one transaction together with its row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sqlite/database.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"

namespace octroi::sqlite {

struct Migration {
  std::int64_t version;
  std::string_view name;
  std::string_view checksum;  // lower-case hex
  std::string_view up;
  std::string_view down;
};
/// In order, from 1, without gaps.
[[nodiscard]] std::span<const Migration> embedded_migrations();

struct MigrationStatus {
  std::int64_t version = 0;
  std::string name;
  std::optional<UnixMillis> applied;
};

/// The schema of `db`; 0 for an empty database. Refuses a foreign, newer or altered one.
[[nodiscard]] Result<std::int64_t> schema_version(Database& db, std::span<const Migration> known);
[[nodiscard]] Result<std::vector<MigrationStatus>> migration_status(
    Database& db, std::span<const Migration> known);
/// Up or down to `target`; returns how many steps it took.
[[nodiscard]] Result<int> migrate_to(Database& db, std::span<const Migration> known,
                                     std::int64_t target, UnixMillis now);

}  // namespace octroi::sqlite
