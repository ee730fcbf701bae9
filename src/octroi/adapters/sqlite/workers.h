// octroi/adapters/sqlite/workers.h: what the lanes of a SQLite file do.
//
// The writer commits a whole batch with one fsync. It runs the calls without savepoints, because
// almost none is ever undone; when one has to be, the batch is rolled back and run again with them.
// When a commit fails all its calls fail, and so does every later one: after a failed fsync only a
// restart can tell what the file holds. The reader runs each call by itself.
//
// What calls of the vault change is committed by the log of calls (call_log.h), unless the batch
// writes tables as well: then it goes into them, and one commit has it all.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "octroi/adapters/sql/lane.h"
#include "octroi/adapters/sqlite/call_log.h"
#include "octroi/adapters/sqlite/database.h"

namespace octroi::sqlite {

class Writer final : public sql::Worker {
 public:
  /// `db` keeps calls, and the tables have all that is in `log`; null: it keeps none.
  /// `checkpoint_frames`: pages in the write-ahead log before they are moved into the file.
  Writer(std::unique_ptr<Database> db, std::unique_ptr<CallLog> log, int checkpoint_frames)
      : db_(std::move(db)), log_(std::move(log)), checkpoint_frames_(checkpoint_frames) {}
  /// Writes out what calls changed.
  ~Writer() override;
  void run_batch(sql::Batch batch) override;
  /// Moves the log into the file.
  void after_batch() override;

 private:
  void commit_batch(sql::Batch batch);
  /// False: a call wants to be undone and others were run with it.
  [[nodiscard]] bool try_batch(sql::Batch batch, Database::Manner manner);
  [[nodiscard]] Result<> commit();
  [[nodiscard]] Result<> restore_calls();
  [[nodiscard]] Result<> write_out();
  void give_up(sql::Batch batch, const Error& why);

  const std::unique_ptr<Database> db_;
  const std::unique_ptr<CallLog> log_;
  const int checkpoint_frames_;
  std::optional<Error> dead_;
};

/// Brings what the log has into the tables that do not have it, in a transaction of its own.
[[nodiscard]] Result<> replay_calls(Database& db, CallLog& log);
/// The same with frames that were read before; nothing when the tables are of another generation.
[[nodiscard]] Result<> replay_frames(Database& db, std::int64_t generation,
                                     std::span<const Bytes> frames);

class Reader final : public sql::Worker {
 public:
  explicit Reader(std::unique_ptr<Database> db) : db_(std::move(db)) {}
  void run_batch(sql::Batch batch) override;

 private:
  const std::unique_ptr<Database> db_;
};

}  // namespace octroi::sqlite
