// octroi/adapters/sqlite/database.h: one SQLite connection and its statements, in our error terms.
//
// Errors   ledger::Errc::corrupt when the statement itself was refused (a constraint): only that
//          statement is undone. ledger::Errc::unavailable for everything else (disk, memory, a
//          damaged file): the connection is then `broken()` and must not be written to again,
//          because after a failed write or fsync nobody knows what the file holds.
// Thread   one at a time; each lane has its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace octroi::sqlite {

/// A prepared statement in use: bound, stepped, and given back clean when it goes out of scope.
class Query {
 public:
  Query(class Database& db, sqlite3_stmt* statement, bool cached)
      : db_(&db), statement_(statement), cached_(cached) {}
  Query(Query&& other) noexcept
      : db_(other.db_),
        statement_(std::exchange(other.statement_, nullptr)),
        next_(other.next_),
        cached_(other.cached_) {}
  Query& operator=(Query&&) = delete;
  Query(const Query&) = delete;
  ~Query();

  /// Binds the next parameter. Views must live until the last step.
  Query& bind(std::int64_t value);
  Query& bind(std::string_view text);
  Query& bind(ByteView blob);
  Query& bind(std::nullptr_t);
  template <class T>
  Query& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind(nullptr);
  }

  /// True: a row is there to be read. False: done.
  [[nodiscard]] Result<bool> step();
  /// To the end, without looking at rows.
  [[nodiscard]] Result<> run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  /// Valid until the next step.
  [[nodiscard]] ByteView blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  class Database* db_;
  sqlite3_stmt* statement_;
  int next_ = 1;
  bool cached_;
};

enum class Access : std::uint8_t { read_write, read_only };

class Database {
 public:
  /// `vfs` empty: the system's. The file must exist.
  [[nodiscard]] static Result<Database> open(const std::string& path, Access access,
                                             const std::string& vfs);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  Database(const Database&) = delete;
  ~Database();

  /// A statement kept for the life of the connection; `sql` must be a literal.
  template <class... Args>
  [[nodiscard]] Result<Query> query(std::string_view sql, const Args&... args) {
    auto q = prepare(sql, /*cached=*/true);
    if (q) (static_cast<void>(q->bind(args)), ...);
    return q;
  }
  template <class... Args>
  [[nodiscard]] Result<> run(std::string_view sql, const Args&... args) {
    OCTROI_TRY(Query q, query(sql, args...));
    return q.run();
  }
  [[nodiscard]] Result<Query> prepare(std::string_view sql, bool cached);
  /// Any number of statements, without parameters.
  [[nodiscard]] Result<> script(const std::string& sql);

  /// Rows that the last statement changed.
  [[nodiscard]] std::int64_t changes() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] bool broken() const { return broken_; }
  /// The last error was only that another process holds the write lock.
  [[nodiscard]] bool was_busy() const { return was_busy_; }
  /// Frames in the write-ahead log after the last commit.
  [[nodiscard]] int wal_frames() const { return wal_frames_ ? *wal_frames_ : 0; }
  /// Moves what it can from the write-ahead log into the file, without waiting for readers.
  [[nodiscard]] Result<> checkpoint();

  /// The error of a failed call, told without any value that was bound.
  [[nodiscard]] tl::unexpected<Error> failure(int code);

 private:
  Database(sqlite3* handle, std::string path);

  sqlite3* handle_;
  std::string path_;
  std::map<std::string_view, sqlite3_stmt*> cache_;
  std::unique_ptr<int> wal_frames_;
  bool broken_ = false;
  bool was_busy_ = false;
};

/// All or nothing for an operation of several statements inside a batch of others.
class Savepoint {
 public:
  [[nodiscard]] static Result<Savepoint> begin(Database& db);
  Savepoint(Savepoint&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Savepoint& operator=(Savepoint&&) = delete;
  Savepoint(const Savepoint&) = delete;
  /// Undoes the operation unless it was kept.
  ~Savepoint();
  [[nodiscard]] Result<> keep();

 private:
  explicit Savepoint(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace octroi::sqlite
