#include "octroi/app/stores.h"

#include "octroi/adapters/postgres/store.h"
#include "octroi/adapters/sql/store.h"
#include "octroi/adapters/sqlite/store.h"
#include "octroi/config/load.h"

namespace octroi::app {
namespace {

sqlite::SqliteOptions sqlite_of(const config::Config& config) {
  sqlite::SqliteOptions options;
  options.path = config::sqlite_path(config);
  return options;
}

tl::unexpected<Error> only_sqlite(std::string_view what, std::string_view tool) {
  return fail(
      StoreErrc::wrong_engine,
      fmt::format("store {}: a PostgreSQL database is kept by its own tools: use {}", what, tool));
}

}  // namespace

ErrorInfo error_info(StoreErrc e) {
  switch (e) {
    case StoreErrc::wrong_engine:
      return {"cli.wrong-engine", ErrorKind::invalid};
  }
  return {"cli.unknown", ErrorKind::internal};
}

postgres::SessionOptions session_of(const config::Config& config) {
  postgres::SessionOptions options;
  options.url = config.store;
  options.password = config.store_password;
  return options;
}

bool is_shared(const config::Config& config) { return config::is_postgres(config); }

Result<std::unique_ptr<ledger::Store>> open_store(const config::Config& config) {
  if (!config::is_postgres(config)) {
    return sqlite::open_sqlite_store(sqlite_of(config), system_clock());
  }
  postgres::PostgresOptions options;
  options.session = session_of(config);
  return postgres::open_postgres_store(std::move(options), system_clock());
}

Task<Result<int>> tell_sales(ledger::Store& store, int limit) {
  auto* const engine = dynamic_cast<sql::SqlStore*>(&store);
  if (engine == nullptr) co_return 0;
  co_return co_await engine->tell_sales(limit);
}

Result<std::vector<sql::MigrationStatus>> store_status(const config::Config& config) {
  if (config::is_postgres(config)) return postgres::postgres_migration_status(session_of(config));
  return sqlite::sqlite_migration_status(sqlite_of(config));
}

Result<int> migrate_store(const config::Config& config, std::int64_t target) {
  if (config::is_postgres(config)) {
    return postgres::migrate_postgres(session_of(config), target, system_clock());
  }
  return sqlite::migrate_sqlite(sqlite_of(config), target < 0 ? sqlite::kLatestSchema : target,
                                system_clock());
}

Result<std::string> schema_of(sql::Engine engine) {
  switch (engine) {
    case sql::Engine::sqlite:
      return sqlite::sqlite_schema();
    case sql::Engine::postgresql:
      return sql::schema_script(sql::embedded_migrations(), engine);
  }
  return std::string();
}

Result<> backup_store(const config::Config& config, const std::string& to) {
  if (config::is_postgres(config)) return only_sqlite("backup", "pg_dump");
  return sqlite::backup_sqlite(sqlite_of(config), to);
}

Result<> restore_store(const config::Config& config, const std::string& from) {
  if (config::is_postgres(config)) return only_sqlite("restore", "pg_restore or psql");
  return sqlite::restore_sqlite(sqlite_of(config), from);
}

}  // namespace octroi::app
