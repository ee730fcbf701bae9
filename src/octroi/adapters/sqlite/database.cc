#include "octroi/adapters/sqlite/database.h"

#include <memory>

#include <sqlite3.h>

#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

using ledger::Errc;

/// Only the statement is at fault, and SQLite has undone just that statement.
bool refuses_statement_only(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH;
}

int remember_wal_frames(void* frames, sqlite3* /*db*/, const char* /*name*/, int count) {
  *static_cast<int*>(frames) = count;
  return SQLITE_OK;
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  if (cached_) {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  } else {
    sqlite3_finalize(statement_);
  }
}

Query& Query::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_, next_++, value);
  return *this;
}

Query& Query::bind(std::string_view text) {
  // A view of nothing has a null pointer, which SQLite would take for NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  sqlite3_bind_text64(statement_, next_++, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Query& Query::bind(ByteView blob) {
  if (blob.empty()) {
    sqlite3_bind_zeroblob(statement_, next_++, 0);
  } else {
    sqlite3_bind_blob64(statement_, next_++, blob.data(), blob.size(), SQLITE_STATIC);
  }
  return *this;
}

Query& Query::bind(std::nullptr_t) {
  sqlite3_bind_null(statement_, next_++);
  return *this;
}

Result<bool> Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return db_->failure(code);
}

Result<> Query::run() {
  for (;;) {
    OCTROI_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

ByteView Query::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

std::string Query::text(int column) const { return std::string(as_text(blob(column))); }

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Database::Database(sqlite3* handle, std::string path)
    : handle_(handle), path_(std::move(path)), wal_frames_(std::make_unique<int>(0)) {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
  // Checkpoints are ours to time: never between a commit and the callers that wait for it.
  sqlite3_wal_hook(handle_, remember_wal_frames, wal_frames_.get());
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      path_(std::move(other.path_)),
      cache_(std::move(other.cache_)),
      wal_frames_(std::move(other.wal_frames_)),
      broken_(other.broken_),
      was_busy_(other.was_busy_) {
  other.cache_.clear();
}

Database::~Database() {
  for (const auto& [sql, statement] : cache_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Result<Database> Database::open(const std::string& path, Access access, const std::string& vfs) {
  sqlite3* handle = nullptr;
  const int flags = access == Access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                      vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) {
    sqlite3_close_v2(handle);
    return fail(Errc::unavailable, fmt::format("{}: {}", path, sqlite3_errstr(code)));
  }
  Database db(handle, path);
  OCTROI_CHECK(
      db.script("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;"));
  return db;
}

Result<Query> Database::prepare(std::string_view sql, bool cached) {
  if (cached) {
    if (const auto it = cache_.find(sql); it != cache_.end()) return Query(*this, it->second, true);
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      cached ? SQLITE_PREPARE_PERSISTENT : 0U, &statement, nullptr);
  if (code != SQLITE_OK) return failure(code);
  if (cached) cache_.emplace(sql, statement);
  return Query(*this, statement, cached);
}

Result<> Database::script(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Result<> Database::checkpoint() {
  *wal_frames_ = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // A reader in the way is no failure: the next checkpoint goes further.
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
    return {};
  }
  return failure(code);
}

tl::unexpected<Error> Database::failure(int code) {
  was_busy_ = (code & 0xff) == SQLITE_BUSY;
  if (refuses_statement_only(code)) {
    return fail(Errc::corrupt, fmt::format("{}: the store refused a row: {} (SQLite {})", path_,
                                           sqlite3_errstr(code), code));
  }
  if (!was_busy_) broken_ = true;
  return fail(Errc::unavailable,
              fmt::format("{}: {} (SQLite {})", path_, sqlite3_errstr(code), code));
}

Result<Savepoint> Savepoint::begin(Database& db) {
  OCTROI_CHECK(db.run("SAVEPOINT operation"));
  return Savepoint(db);
}

Result<> Savepoint::keep() {
  return std::exchange(db_, nullptr)->run("RELEASE SAVEPOINT operation");
}

Savepoint::~Savepoint() {
  if (db_ == nullptr || !db_->in_transaction()) return;
  // A failure here leaves the connection broken, and the batch is rolled back as a whole.
  if (db_->run("ROLLBACK TO SAVEPOINT operation")) {
    static_cast<void>(db_->run("RELEASE SAVEPOINT operation"));
  }
}

}  // namespace octroi::sqlite
