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
  if (auto begun = db_->begin(); !begun) {
    // Another program that holds the write lock has done nothing to our data: these calls fail,
    // later ones may succeed.
    if (db_->broken()) return give_up(batch, begun.error());
    for (const auto& call : batch) call->refuse(begun.error());
    return;
  }
  for (const auto& call : batch) {
    call->run(*db_);
    if (db_->broken() || !db_->in_transaction()) {
      return give_up(batch, Error(ledger::Errc::unavailable, "a write failed"));
    }
  }
  if (auto committed = db_->commit(); !committed) give_up(batch, committed.error());
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
