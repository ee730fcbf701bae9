// octroi/adapters/sqlite/workers.h: what the lanes of a SQLite file do.
//
// The writer commits a whole batch with one fsync. It runs the calls without savepoints, because
// almost none is ever undone; when one has to be, the batch is rolled back and run again with them.
// When a commit fails all its calls fail, and so does every later one: after a failed fsync only a
// restart can tell what the file holds. The reader runs each call by itself.
#pragma once

#include <memory>
#include <optional>

#include "octroi/adapters/sql/lane.h"
#include "octroi/adapters/sqlite/database.h"

namespace octroi::sqlite {

class Writer final : public sql::Worker {
 public:
  /// `checkpoint_frames`: pages in the log before they are moved into the file.
  Writer(std::unique_ptr<Database> db, int checkpoint_frames)
      : db_(std::move(db)), checkpoint_frames_(checkpoint_frames) {}
  void run_batch(sql::Batch batch) override;
  /// Moves the log into the file.
  void after_batch() override;

 private:
  void commit_batch(sql::Batch batch);
  /// False: a call wants to be undone and others were run with it.
  [[nodiscard]] bool try_batch(sql::Batch batch, Database::Manner manner);
  void give_up(sql::Batch batch, const Error& why);

  const std::unique_ptr<Database> db_;
  const int checkpoint_frames_;
  std::optional<Error> dead_;
};

class Reader final : public sql::Worker {
 public:
  explicit Reader(std::unique_ptr<Database> db) : db_(std::move(db)) {}
  void run_batch(sql::Batch batch) override;

 private:
  const std::unique_ptr<Database> db_;
};

}  // namespace octroi::sqlite
