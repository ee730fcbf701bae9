#include "octroi/adapters/sqlite/spend_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include <sys/stat.h>

#include "octroi/adapters/sql/migrations.h"
#include "octroi/base/file.h"
#include "octroi/ledger/spend_journal.h"

namespace octroi::sqlite {

namespace {

using ledger::SpendErrc;

const char* const kSettings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;";

/// What files of the first releases have, and others begin with.
const char* const kSpends =
    "CREATE TABLE IF NOT EXISTS spends("
    " hash BLOB PRIMARY KEY, host TEXT NOT NULL, scheme TEXT NOT NULL,"
    " amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0),"
    " fee_limit_msat INTEGER NOT NULL CHECK(fee_limit_msat >= 0),"
    " fee_msat INTEGER NOT NULL DEFAULT 0 CHECK(fee_msat >= 0),"
    " stage INTEGER NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS spends_at ON spends(at_ms);"
    "CREATE INDEX IF NOT EXISTS spends_stage ON spends(stage);"
    "CREATE TABLE IF NOT EXISTS refunds("
    " hash BLOB PRIMARY KEY, amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0),"
    " at_ms INTEGER NOT NULL);";

const char* const kWho =
    "ALTER TABLE spends ADD COLUMN run TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE spends ADD COLUMN agent TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE spends ADD COLUMN name TEXT NOT NULL DEFAULT '';";

constexpr std::int64_t kNewest = 1;

Error unavailable(const Error& e) {
  return {SpendErrc::unavailable, "the wallet's journal: " + std::string(e.message())};
}

Error store_refused(const Error& e) {
  return {SpendErrc::unavailable, "wallet.store: " + std::string(e.message())};
}

Result<std::int64_t> version_of(Database& db) {
  OCTROI_TRY(Query q, db.query("PRAGMA user_version"));
  OCTROI_TRY(const bool row, q.step());
  return row ? q.integer(0) : 0;
}

/// What the server's store does for its audit, so that there is one text of each statement.
std::string audit_step(std::string_view name) {
  const auto all = sql::embedded_migrations();
  const auto step = std::ranges::find(all, name, &sql::Migration::name);
  return step == all.end() ? std::string() : sql::in_dialect(step->up, sql::Engine::sqlite);
}

Result<bool> has_order(Database& db) {
  OCTROI_TRY(Query q,
             db.query("SELECT 1 FROM pragma_table_info('audit_writers') WHERE name = 'number'"));
  return q.step();
}

Result<> bring_up(Database& db) {
  OCTROI_TRY(const std::int64_t version, version_of(db));
  if (version > kNewest) {
    return fail(SpendErrc::unavailable,
                fmt::format("the file has version {}, this octroi knows {}: use the newer octroi",
                            version, kNewest));
  }
  OCTROI_CHECK(db.script(kSpends));
  if (version < kNewest) {
    OCTROI_CHECK(db.script(kWho + audit_step("audit")));
    OCTROI_CHECK(db.script(fmt::format("PRAGMA user_version={}", kNewest)));
  }
  // A column that an older octroi does without, so it has no version of its own.
  OCTROI_TRY(const bool ordered, has_order(db));
  return ordered ? Result<>() : db.script(audit_step("audit_order"));
}

Result<> make_tables(Database& db) {
  OCTROI_CHECK(db.script(kSettings));
  OCTROI_CHECK(db.begin());
  if (auto made = bring_up(db); !made) {
    db.rollback();
    return made;
  }
  return db.commit();
}

Result<> make_folder(const std::string& path) {
  std::error_code ec;
  const auto folder = std::filesystem::path(path).parent_path();
  if (folder.empty() || std::filesystem::exists(folder, ec)) return {};
  std::filesystem::create_directories(folder.parent_path(), ec);
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(SpendErrc::unavailable,
              "wallet.store: cannot make the folder '" + folder.string() + "'");
}

}  // namespace

Result<std::unique_ptr<Database>> open_spend_file(const std::string& path, const std::string& vfs) {
  OCTROI_CHECK(make_folder(path));
  // SQLite answers "locked" at once to the second of two that turn a new file to WAL.
  auto turn = FileLock::wait_for(path + ".lock");
  if (!turn) return fail(store_refused(turn.error()));
  if (auto made = make_private_file(path); !made) return fail(store_refused(made.error()));
  auto db = Database::open(path, Access::read_write, vfs);
  if (!db) return fail(unavailable(db.error()));
  if (auto made = make_tables(**db); !made) return fail(unavailable(made.error()));
  return std::move(*db);
}

}  // namespace octroi::sqlite
