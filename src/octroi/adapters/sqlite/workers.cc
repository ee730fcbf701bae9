#include "octroi/adapters/sqlite/workers.h"

#include "octroi/base/log.h"
#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

Error read_only_since(const Error& why) {
  return {
      ledger::Errc::unavailable,
      fmt::format("the store is read-only since a commit failed ({}): mend the disk and restart",
                  why.message())};
}

}  // namespace

void Writer::run_batch(sql::Batch batch) {
  if (dead_) {
    for (const auto& call : batch) call->refuse(*dead_);
  } else {
    commit_batch(batch);
  }
}

void Writer::commit_batch(sql::Batch batch) {
  if (try_batch(batch, Database::Manner::eager)) return;
  // With savepoints each call is undone by itself, so this is the end of it.
  static_cast<void>(try_batch(batch, Database::Manner::careful));
}

bool Writer::try_batch(sql::Batch batch, Database::Manner manner) {
  const auto end = [&](const Error& why) {
    give_up(batch, why);
    return true;
  };
  db_->set_manner(manner);
  if (auto begun = db_->begin(); !begun) {
    // Another program that holds the write lock has done nothing to our data: these calls fail,
    // later ones may succeed.
    if (db_->broken()) return end(begun.error());
    for (const auto& call : batch) call->refuse(begun.error());
    return true;
  }
  for (const auto& call : batch) {
    const bool good = call->run(*db_);
    if (db_->broken() || !db_->in_transaction()) {
      return end(Error(ledger::Errc::unavailable, "a write failed"));
    }
    if (manner == Database::Manner::careful || !db_->undo_wanted()) continue;
    db_->rollback();
    if (db_->in_transaction()) return end(Error(ledger::Errc::unavailable, "a rollback failed"));
    return batch.size() == 1 && !good;  // it said no, and nothing of it is left
  }
  if (auto committed = db_->commit(); !committed) return end(committed.error());
  return true;
}

void Writer::give_up(sql::Batch batch, const Error& why) {
  db_->rollback();
  OCTROI_LOG(error, "store", "read_only", {{"reason", why.message()}});
  dead_ = read_only_since(why);
  for (const auto& call : batch) call->refuse(*dead_);
}

void Writer::after_batch() {
  if (dead_ || db_->wal_frames() < checkpoint_frames_) return;
  if (auto done = db_->checkpoint(); !done) give_up({}, done.error());
}

void Reader::run_batch(sql::Batch batch) {
  for (const auto& call : batch) call->run(*db_);
}

}  // namespace octroi::sqlite
