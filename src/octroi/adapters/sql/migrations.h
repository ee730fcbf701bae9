// octroi/adapters/sql/migrations.h: the numbered SQL files of migrations/, embedded, and moving
// a database between them.
//
// schema_migrations keeps what was applied, with the SHA-256 of the text. A database that a newer
// octroi wrote is refused (ledger::Errc::newer_schema), one whose applied text differs from ours
// too (ledger::Errc::corrupt). Each step is one transaction together with its row, taken by one
// process at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"

namespace octroi::sql {

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
[[nodiscard]] Result<std::int64_t> schema_version(Connection& db, std::span<const Migration> known);
[[nodiscard]] Result<std::vector<MigrationStatus>> migration_status(
    Connection& db, std::span<const Migration> known);
/// Up or down to `target`; returns how many steps it took.
[[nodiscard]] Result<int> migrate_to(Connection& db, std::span<const Migration> known,
                                     std::int64_t target, UnixMillis now);

/// For a server at its start: the newest schema, or the error that says what to do.
[[nodiscard]] Result<> bring_up_to_date(Connection& db, bool migrate, UnixMillis now);

/// All migrations as one script that makes the newest schema, recorded as if octroi had applied
/// them. For who may not let a program change the schema.
[[nodiscard]] std::string schema_script(std::span<const Migration> known, Engine engine);

/// The text of a migration as `engine` takes it. They are written for SQLite: BLOB and
/// `INTEGER PRIMARY KEY AUTOINCREMENT` are translated; what only SQLite may see stands between
/// `/*sqlite*/` and `/**/`, what only PostgreSQL may see in a comment that begins with `pg`.
[[nodiscard]] std::string in_dialect(std::string_view sql, Engine engine);

}  // namespace octroi::sql
