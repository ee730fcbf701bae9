// octroi/adapters/sim/database.h: a thin, typed hold on one SQLite connection. Internal to the
// adapter.
//
// Errors  lightning::Errc::unavailable with SQLite's own reason.   Thread: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/lightning/node.h"

struct sqlite3;
struct sqlite3_stmt;

namespace octroi::sim {

class Database;

/// One execution of a prepared statement; gives it back reset when it dies.
class Query {
 public:
  Query(Query&& other) noexcept
      : db_(other.db_), stmt_(std::exchange(other.stmt_, nullptr)), bound_(other.bound_) {}
  Query& operator=(Query&&) = delete;
  Query(const Query&) = delete;
  ~Query();

  /// Binds the next parameter.
  Query& arg(std::int64_t value);
  Query& arg(std::string_view value);
  Query& arg(ByteView value);

  /// True when there is a row, false at the end.
  [[nodiscard]] Result<bool> step();
  /// For statements without rows.
  [[nodiscard]] Result<> run();

  [[nodiscard]] std::int64_t int64(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] Bytes blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  Query(Database& db, sqlite3_stmt* stmt) : db_(&db), stmt_(stmt) {}
  Database* db_;
  sqlite3_stmt* stmt_;
  int bound_ = 0;
};

class Database {
 public:
  /// Makes the file (mode 0600) when it is absent, sets WAL and the busy timeout.
  [[nodiscard]] static Result<Database> open(const std::string& file);
  Database(Database&&) noexcept = default;

  /// `sql` is a literal: the statement is prepared once and kept under it.
  [[nodiscard]] Result<Query> query(std::string_view sql);
  [[nodiscard]] Result<> execute(const char* sql);
  [[nodiscard]] std::int64_t last_rowid() const;
  [[nodiscard]] std::int64_t changes() const;

  /// Runs `work` in one immediate transaction: all of it, or when it fails nothing. `Work` returns
  /// a Result; one whose error must not undo what it wrote returns it inside the value.
  template <class Work>
  auto transact(Work work) -> decltype(work()) {
    OCTROI_CHECK(execute("BEGIN IMMEDIATE"));
    auto result = work();
    if (!result) {
      (void)execute("ROLLBACK");
      return result;
    }
    if (auto committed = execute("COMMIT"); !committed) {
      (void)execute("ROLLBACK");
      return fail(std::move(committed).error());
    }
    return result;
  }

 private:
  friend class Query;
  struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* stmt) const noexcept;
  };
  explicit Database(sqlite3* db) : db_(db) {}
  [[nodiscard]] tl::unexpected<Error> error() const;

  std::unique_ptr<sqlite3, CloseDatabase> db_;
  std::unordered_map<std::string_view, std::unique_ptr<sqlite3_stmt, FinalizeStatement>>
      statements_;
};

}  // namespace octroi::sim
