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
#include <memory>
#include <string>
#include <string_view>

#include "octroi/adapters/sql/call_buffer.h"
#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/offer_index.h"
#include "octroi/base/result.h"

struct sqlite3;

namespace octroi::sqlite {

using sql::Query;

enum class Access : std::uint8_t { read_write, read_only };

class Database final : public sql::Connection {
 public:
  /// `vfs` empty: the system's. The file must exist.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                              Access access,
                                                              const std::string& vfs);
  ~Database() override;

  [[nodiscard]] sql::Engine engine() const override { return sql::Engine::sqlite; }
  [[nodiscard]] Result<> script(const std::string& sql) override;
  [[nodiscard]] std::int64_t changes() override;
  [[nodiscard]] std::int64_t last_row_id() override;
  /// Takes the write lock.
  [[nodiscard]] Result<> begin() override;
  [[nodiscard]] Result<> commit() override;
  void rollback() override;
  [[nodiscard]] bool in_transaction() const override;
  /// The write lock is enough.
  [[nodiscard]] Result<> lock_schema() override { return {}; }
  [[nodiscard]] Result<bool> has_table(std::string_view name) override;
  [[nodiscard]] Result<bool> is_empty() override;

  /// The writer's, once it was filled: its offers have no index.
  [[nodiscard]] sql::OfferIndex* offer_index() override { return offers_.get(); }
  [[nodiscard]] Result<> keep_offer_index();

  /// The writer's, in eager manner: calls are kept before their tables. Who undoes an operation by
  /// itself must know where it wrote.
  [[nodiscard]] sql::CallBuffer* call_buffer() override {
    return manner_ == Manner::eager ? calls_.get() : nullptr;
  }
  /// That of any manner, null when there is none.
  [[nodiscard]] sql::CallBuffer* calls() { return calls_.get(); }
  void keep_calls() { calls_ = std::make_unique<sql::CallBuffer>(*this); }

  /// How an operation is undone that says no after it has written.
  enum class Manner : std::uint8_t {
    careful,  // to its own savepoint, for which SQLite keeps a copy of every page that it touches
    eager,    // by nobody but whoever began the transaction, when undo_wanted()
  };
  void set_manner(Manner manner) { manner_ = manner; }
  /// In eager manner, since begin(): the transaction must be rolled back.
  [[nodiscard]] bool undo_wanted() const { return undo_wanted_; }
  /// Whether anything was changed since begin().
  [[nodiscard]] bool has_written() const;

  [[nodiscard]] bool broken() const { return broken_; }
  /// The last error was only that another process holds the write lock.
  [[nodiscard]] bool was_busy() const { return was_busy_; }
  /// Frames in the write-ahead log after the last commit.
  [[nodiscard]] int wal_frames() const { return wal_frames_; }
  /// Moves what it can from the write-ahead log into the file, without waiting for readers.
  [[nodiscard]] Result<> checkpoint();

  /// The error of a failed call, told without any value that was bound.
  [[nodiscard]] tl::unexpected<Error> failure(int code);

 private:
  class Prepared;
  Database(sqlite3* handle, std::string path);

  [[nodiscard]] Result<sql::Statement*> cached(std::string_view sql) override;
  [[nodiscard]] Result<std::unique_ptr<sql::Statement>> once(std::string_view sql) override;
  [[nodiscard]] Result<std::unique_ptr<Prepared>> compile(std::string_view sql, bool keep);
  [[nodiscard]] Result<> nest() override;
  [[nodiscard]] Result<> keep_nested() override;
  void undo_nested() override;

  sqlite3* const handle_;
  const std::string path_;
  std::map<std::string_view, std::unique_ptr<Prepared>> cache_;
  std::unique_ptr<sql::OfferIndex> offers_;
  std::unique_ptr<sql::CallBuffer> calls_;
  std::int64_t changes_before_ = 0;  // ever, when the transaction began
  int wal_frames_ = 0;
  Manner manner_ = Manner::careful;
  bool undo_wanted_ = false;
  bool broken_ = false;
  bool was_busy_ = false;
};

}  // namespace octroi::sqlite
