#include "octroi/adapters/sql/migrations.h"

#include <algorithm>

#include "octroi/ledger/store.h"

namespace octroi::sql {
namespace {

using ledger::Errc;

constexpr std::string_view kCreateTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,"
    " applied_at BIGINT NOT NULL)";

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

/// One step and its row, inside the caller's transaction.
Result<> step(Connection& db, const Migration& m, bool up, UnixMillis now) {
  OCTROI_CHECK(db.script(in_dialect(up ? m.up : m.down, db.engine())));
  if (up) {
    return db.run(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
        " VALUES (?, ?, ?, ?)",
        m.version, m.name, m.checksum, now.value);
  }
  return db.run("DELETE FROM schema_migrations WHERE version = ?", m.version);
}

/// At most one step towards `target`, in one transaction, alone among all processes. True when
/// there was one to take.
Result<bool> step_towards(Connection& db, std::span<const Migration> known, std::int64_t target,
                          UnixMillis now) {
  OCTROI_CHECK(db.lock_schema());
  OCTROI_TRY(const std::int64_t at, schema_version(db, known));
  OCTROI_CHECK(db.script(std::string(kCreateTable)));
  if (at == target) return false;
  const bool up = at < target;
  const Migration& m = known[static_cast<std::size_t>(up ? at : at - 1)];
  if (auto done = step(db, m, up, now); !done) {
    return fail(std::move(done).error().within(
        fmt::format("migration {:03} {} {}", m.version, m.name, up ? "up" : "down")));
  }
  return true;
}

Result<bool> step_in_transaction(Connection& db, std::span<const Migration> known,
                                 std::int64_t target, UnixMillis now) {
  OCTROI_CHECK(db.begin());
  auto moved = step_towards(db, known, target, now);
  if (!moved) {
    db.rollback();
    return moved;
  }
  OCTROI_CHECK(db.commit());
  return moved;
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

Result<std::int64_t> schema_version(Connection& db, std::span<const Migration> known) {
  // In this order: outside a transaction another replica may migrate between the two looks, and
  // what was empty may be migrated by the second.
  OCTROI_TRY(const bool empty, db.is_empty());
  OCTROI_TRY(const bool migrated, db.has_table("schema_migrations"));
  if (!migrated) {
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

Result<std::vector<MigrationStatus>> migration_status(Connection& db,
                                                      std::span<const Migration> known) {
  OCTROI_CHECK(schema_version(db, known));
  std::vector<MigrationStatus> out;
  for (const Migration& m : known) out.push_back({m.version, std::string(m.name), std::nullopt});
  OCTROI_TRY(const bool migrated, db.has_table("schema_migrations"));
  if (!migrated) return out;
  OCTROI_TRY(Query q, db.query("SELECT version, applied_at FROM schema_migrations"));
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.at(static_cast<std::size_t>(q.integer(0) - 1)).applied = UnixMillis{q.integer(1)};
  }
}

Result<int> migrate_to(Connection& db, std::span<const Migration> known, std::int64_t target,
                       UnixMillis now) {
  if (target < 0 || target > static_cast<std::int64_t>(known.size())) {
    return fail(Errc::newer_schema, fmt::format("there is no schema {}: this octroi knows 0 to {}",
                                                target, known.size()));
  }
  for (int steps = 0;; ++steps) {
    OCTROI_TRY(const bool moved, step_in_transaction(db, known, target, now));
    if (!moved) return steps;
  }
}

Result<> bring_up_to_date(Connection& db, bool migrate, UnixMillis now) {
  const auto known = embedded_migrations();
  const auto newest = static_cast<std::int64_t>(known.size());
  OCTROI_TRY(const std::int64_t at, schema_version(db, known));
  if (at == newest) return {};
  if (!migrate) {
    return fail(
        Errc::unavailable,
        fmt::format("the store has schema {} and needs {}: run octroi migrate", at, newest));
  }
  OCTROI_CHECK(migrate_to(db, known, newest, now));
  return {};
}

std::string schema_script(std::span<const Migration> known, Engine engine) {
  std::string out = "BEGIN;\n\n" + std::string(kCreateTable) + ";\n";
  for (const Migration& m : known) {
    out += fmt::format("\n-- {:03} {}\n\n{}", m.version, m.name, in_dialect(m.up, engine));
    if (!out.ends_with('\n')) out += '\n';
    out += fmt::format(
        "\nINSERT INTO schema_migrations (version, name, checksum, applied_at)\n"
        "VALUES ({}, '{}', '{}', 0);\n",
        m.version, m.name, m.checksum);
  }
  return out + "\nCOMMIT;\n";
}

std::string in_dialect(std::string_view sql, Engine engine) {
  if (engine == Engine::sqlite) return std::string(sql);
  constexpr std::string_view kOnlySqlite = "/*sqlite*/";
  constexpr std::string_view kOnlyEnd = "/**/";
  constexpr std::string_view kOnlyPostgres = "/*pg";
  constexpr std::string_view kIdentity = "INTEGER PRIMARY KEY AUTOINCREMENT";
  std::string out;
  for (std::size_t i = 0; i < sql.size();) {
    const std::string_view rest = sql.substr(i);
    if (rest.starts_with(kIdentity)) {
      out += "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
      i += kIdentity.size();
    } else if (is_word(rest.front())) {
      const auto* const end = std::ranges::find_if_not(rest, is_word);
      const std::string_view word(rest.begin(), end);
      out += word == "BLOB" ? "BYTEA" : word;
      i += word.size();
    } else if (rest.starts_with(kOnlySqlite)) {
      const std::size_t end = rest.find(kOnlyEnd);
      i = end == std::string_view::npos ? sql.size() : i + end + kOnlyEnd.size();
    } else if (rest.starts_with(kOnlyPostgres)) {
      const std::size_t end = rest.find("*/");
      out += rest.substr(kOnlyPostgres.size(),
                         end == std::string_view::npos ? end : end - kOnlyPostgres.size());
      i = end == std::string_view::npos ? sql.size() : i + end + 2;
    } else if (rest.starts_with("--")) {
      const std::string_view comment = rest.substr(0, rest.find('\n'));
      out += comment;
      i += comment.size();
    } else {
      out += rest.front();
      ++i;
    }
  }
  return out;
}

}  // namespace octroi::sql
