#include "octroi/adapters/sim/database.h"

#include <sqlite3.h>

#include "octroi/base/file.h"

namespace octroi::sim {
namespace {

constexpr int kBusyTimeoutMillis = 5000;

}  // namespace

Query::~Query() {
  if (stmt_ == nullptr) return;
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);
}

Query& Query::arg(std::int64_t value) {
  sqlite3_bind_int64(stmt_, ++bound_, value);
  return *this;
}
Query& Query::arg(std::string_view value) {
  sqlite3_bind_text(stmt_, ++bound_, value.data(), static_cast<int>(value.size()),
                    SQLITE_TRANSIENT);
  return *this;
}
Query& Query::arg(ByteView value) {
  sqlite3_bind_blob(stmt_, ++bound_, value.data(), static_cast<int>(value.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

Result<bool> Query::step() {
  switch (sqlite3_step(stmt_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return db_->error();
  }
}

Result<> Query::run() {
  OCTROI_CHECK(step());
  return {};
}

std::int64_t Query::int64(int column) const { return sqlite3_column_int64(stmt_, column); }
std::string Query::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt_, column));
  return text == nullptr
             ? std::string()
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
}
Bytes Query::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(stmt_, column));
  return data == nullptr ? Bytes() : Bytes(data, data + sqlite3_column_bytes(stmt_, column));
}
bool Query::is_null(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }

void Database::CloseDatabase::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
void Database::FinalizeStatement::operator()(sqlite3_stmt* stmt) const noexcept {
  sqlite3_finalize(stmt);
}

tl::unexpected<Error> Database::error() const {
  return fail(lightning::Errc::unavailable, std::string("sim file: ") + sqlite3_errmsg(db_.get()));
}

namespace {
tl::unexpected<Error> refused(const Error& e) {
  return fail(lightning::Errc::unavailable, "sim.file: " + std::string(e.message()));
}
}  // namespace

Result<Database> Database::open(const std::string& file) {
  // SQLite would make the file readable for everybody; its journal files take the mode of this one.
  if (auto made = make_private_file(file); !made) return refused(made.error());
  // SQLite answers "locked" at once to the second of two that turn a new file to WAL.
  auto turn = FileLock::wait_for(file + ".lock");
  if (!turn) return refused(turn.error());
  sqlite3* raw = nullptr;
  const int rc =
      sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db(raw);
  if (rc != SQLITE_OK) return fail(lightning::Errc::unavailable, "sim.file: SQLite cannot open it");
  sqlite3_busy_timeout(raw, kBusyTimeoutMillis);
  OCTROI_CHECK(db.execute("PRAGMA journal_mode=WAL"));
  OCTROI_CHECK(db.execute("PRAGMA synchronous=NORMAL"));
  OCTROI_CHECK(db.execute("PRAGMA foreign_keys=ON"));
  return db;
}

Result<Query> Database::query(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* stmt = nullptr;
    if (sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &stmt, nullptr) != SQLITE_OK) {
      return error();
    }
    found = statements_.emplace(sql, std::unique_ptr<sqlite3_stmt, FinalizeStatement>(stmt)).first;
  }
  return Query(*this, found->second.get());
}

Result<> Database::execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return {};
}

std::int64_t Database::last_rowid() const { return sqlite3_last_insert_rowid(db_.get()); }
std::int64_t Database::changes() const { return sqlite3_changes64(db_.get()); }

}  // namespace octroi::sim
