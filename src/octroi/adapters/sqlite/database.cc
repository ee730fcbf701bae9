#include "octroi/adapters/sqlite/database.h"

#include <memory>

#include <sqlite3.h>

#include "octroi/adapters/sql/operations.h"
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

/// Before anything else is asked of the library: without counting its memory it takes no lock for
/// each piece that it allocates.
void quicken_sqlite() {
  static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(once);
}

}  // namespace

class Database::Prepared final : public sql::Statement {
 public:
  Prepared(Database& db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() override { sqlite3_finalize(statement_); }

  void bind_integer(int index, std::int64_t value) override {
    sqlite3_bind_int64(statement_, index, value);
  }
  void bind_text(int index, std::string_view text) override {
    // A view of nothing has a null pointer, which SQLite would take for NULL.
    const char* data = text.data() == nullptr ? "" : text.data();
    sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void bind_blob(int index, ByteView blob) override {
    if (blob.empty()) {
      sqlite3_bind_zeroblob(statement_, index, 0);
    } else {
      sqlite3_bind_blob64(statement_, index, blob.data(), blob.size(), SQLITE_STATIC);
    }
  }
  void bind_null(int index, sql::ValueType /*type*/) override {
    sqlite3_bind_null(statement_, index);
  }

  Result<bool> step() override {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return db_.failure(code);
  }
  Result<> run() override {
    for (;;) {
      OCTROI_TRY(const bool row, step());
      if (!row) return {};
    }
  }

  std::int64_t integer(int column) const override {
    return sqlite3_column_int64(statement_, column);
  }
  ByteView bytes(int column) const override {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    if (data == nullptr || size <= 0) return {};
    return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
  }
  bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  void reset() override {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

 private:
  Database& db_;
  sqlite3_stmt* const statement_;
};

Database::Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
  // Checkpoints are ours to time: never between a commit and the callers that wait for it.
  sqlite3_wal_hook(handle_, remember_wal_frames, &wal_frames_);
}

Database::~Database() {
  cache_.clear();
  sqlite3_close_v2(handle_);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Access access,
                                                 const std::string& vfs) {
  quicken_sqlite();
  sqlite3* handle = nullptr;
  const int flags = access == Access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                      vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) {
    sqlite3_close_v2(handle);
    return fail(Errc::unavailable, fmt::format("{}: {}", path, sqlite3_errstr(code)));
  }
  std::unique_ptr<Database> db(new Database(handle, path));  // its constructor is private
  OCTROI_CHECK(
      db->script("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                 "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;"));
  return db;
}

Result<std::unique_ptr<Database::Prepared>> Database::compile(std::string_view sql, bool keep) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      keep ? SQLITE_PREPARE_PERSISTENT : 0U, &statement, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return std::make_unique<Prepared>(*this, statement);
}

Result<sql::Statement*> Database::cached(std::string_view sql) {
  if (const auto it = cache_.find(sql); it != cache_.end()) return it->second.get();
  OCTROI_TRY(auto made, compile(sql, /*keep=*/true));
  return cache_.emplace(sql, std::move(made)).first->second.get();
}

Result<std::unique_ptr<sql::Statement>> Database::once(std::string_view sql) {
  OCTROI_TRY(auto made, compile(sql, /*keep=*/false));
  return std::unique_ptr<sql::Statement>(std::move(made));
}

Result<> Database::script(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

std::int64_t Database::changes() { return sqlite3_changes64(handle_); }
std::int64_t Database::last_row_id() { return sqlite3_last_insert_rowid(handle_); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Result<> Database::begin() {
  note_transaction();
  undo_wanted_ = false;
  changes_before_ = sqlite3_total_changes64(handle_);
  return run("BEGIN IMMEDIATE");
}

bool Database::has_written() const { return sqlite3_total_changes64(handle_) != changes_before_; }

Result<> Database::commit() { return run("COMMIT"); }

void Database::rollback() {
  // Whether it worked is told by in_transaction().
  if (in_transaction()) static_cast<void>(run("ROLLBACK"));
}

Result<bool> Database::has_table(std::string_view name) {
  OCTROI_TRY(Query q, query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name));
  return q.step();
}

Result<bool> Database::is_empty() {
  OCTROI_TRY(Query q, query("SELECT count(*) FROM sqlite_master"));
  OCTROI_TRY([[maybe_unused]] const bool row, q.step());
  return q.integer(0) == 0;
}

Result<> Database::checkpoint() {
  wal_frames_ = 0;
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

Result<> Database::nest() {
  if (manner_ == Manner::eager) return {};
  return run("SAVEPOINT operation");
}

Result<> Database::keep_nested() {
  if (manner_ == Manner::eager) return {};
  return run("RELEASE SAVEPOINT operation");
}

void Database::undo_nested() {
  if (manner_ == Manner::eager) {
    undo_wanted_ = true;
    return;
  }
  if (!in_transaction()) return;
  // A failure here leaves the connection broken, and the batch is rolled back as a whole.
  if (run("ROLLBACK TO SAVEPOINT operation")) static_cast<void>(run("RELEASE SAVEPOINT operation"));
}

Result<> Database::keep_offer_index() {
  auto index = std::make_unique<sql::OfferIndex>();
  OCTROI_CHECK(sql::fill_offer_index(*this, *index));
  offers_ = std::move(index);
  return {};
}

}  // namespace octroi::sqlite
