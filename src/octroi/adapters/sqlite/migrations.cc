#include "octroi/adapters/sqlite/migrations.h"

#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

using ledger::Errc;

constexpr std::string_view kCreateTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,"
    " applied_at BIGINT NOT NULL)";

Result<bool> has_table(Database& db, std::string_view name) {
  OCTROI_TRY(Query q,
             db.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name));
  return q.step();
}

Result<bool> is_empty(Database& db) {
  OCTROI_TRY(Query q, db.query("SELECT count(*) FROM sqlite_master"));
  OCTROI_TRY([[maybe_unused]] const bool row, q.step());
  return q.integer(0) == 0;
}

Result<> check_applied(const Query& row, std::span<const Migration> known) {
  const std::int64_t version = row.integer(0);
  if (version < 1 || version > static_cast<std::int64_t>(known.size())) {
    return fail(Errc::newer_schema,
                fmt::format("the store has schema {}, this octroi knows {}: use the newer octroi, "
                            "or migrate down with it first",
                            version, known.size()));
  }
  if (known[static_cast<std::size_t>(version - 1)].checksum != row.text(1)) {
    return fail(Errc::corrupt,
                fmt::format("migration {} of the store is not the one this octroi has: restore a "
                            "backup, or use the octroi that made it",
                            version));
  }
  return {};
}

Result<> step(Database& db, std::string_view sql, const Migration& m, bool up, UnixMillis now) {
  OCTROI_CHECK(db.run("BEGIN IMMEDIATE"));
  auto work = [&]() -> Result<> {
    OCTROI_CHECK(db.script(std::string(sql)));
    if (up) {
      OCTROI_CHECK(
          db.run("INSERT INTO schema_migrations (version, name, checksum, applied_at) "
                 "VALUES (?, ?, ?, ?)",
                 m.version, m.name, m.checksum, now.value));
    } else {
      OCTROI_CHECK(db.run("DELETE FROM schema_migrations WHERE version = ?", m.version));
    }
    return db.run("COMMIT");
  };
  auto done = work();
  if (!done) {
    if (db.in_transaction()) static_cast<void>(db.run("ROLLBACK"));
    return fail(std::move(done).error().within(
        fmt::format("migration {:03} {} {}", m.version, m.name, up ? "up" : "down")));
  }
  return {};
}

}  // namespace

Result<std::int64_t> schema_version(Database& db, std::span<const Migration> known) {
  OCTROI_TRY(const bool migrated, has_table(db, "schema_migrations"));
  if (!migrated) {
    OCTROI_TRY(const bool empty, is_empty(db));
    if (!empty) return fail(Errc::corrupt, "the file is a database of another program");
    return 0;
  }
  std::int64_t version = 0;
  OCTROI_TRY(Query q,
             db.query("SELECT version, checksum FROM schema_migrations ORDER BY version DESC"));
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return version;
    OCTROI_CHECK(check_applied(q, known));
    if (version == 0) version = q.integer(0);
  }
}

Result<std::vector<MigrationStatus>> migration_status(Database& db,
                                                      std::span<const Migration> known) {
  OCTROI_CHECK(schema_version(db, known));
  std::vector<MigrationStatus> out;
  for (const Migration& m : known) out.push_back({m.version, std::string(m.name), std::nullopt});
  OCTROI_TRY(const bool migrated, has_table(db, "schema_migrations"));
  if (!migrated) return out;
  OCTROI_TRY(Query q, db.query("SELECT version, applied_at FROM schema_migrations"));
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.at(static_cast<std::size_t>(q.integer(0) - 1)).applied = UnixMillis{q.integer(1)};
  }
}

Result<int> migrate_to(Database& db, std::span<const Migration> known, std::int64_t target,
                       UnixMillis now) {
  OCTROI_TRY(std::int64_t at, schema_version(db, known));
  if (target < 0 || target > static_cast<std::int64_t>(known.size())) {
    return fail(Errc::newer_schema, fmt::format("there is no schema {}: this octroi knows 0 to {}",
                                                target, known.size()));
  }
  OCTROI_CHECK(db.run(kCreateTable));
  int steps = 0;
  for (; at < target; ++at, ++steps) {
    const Migration& m = known[static_cast<std::size_t>(at)];
    OCTROI_CHECK(step(db, m.up, m, /*up=*/true, now));
  }
  for (; at > target; --at, ++steps) {
    const Migration& m = known[static_cast<std::size_t>(at - 1)];
    OCTROI_CHECK(step(db, m.down, m, /*up=*/false, now));
  }
  return steps;
}

}  // namespace octroi::sqlite
