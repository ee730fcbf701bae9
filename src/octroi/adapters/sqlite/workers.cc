#include "octroi/adapters/sqlite/workers.h"

#include "octroi/adapters/sql/call_frames.h"
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
    if (db_->broken() || !db_->in_transaction() || (log_ != nullptr && db_->calls()->broken())) {
      return end(Error(ledger::Errc::unavailable, "a write failed"));
    }
    if (manner == Database::Manner::careful || !db_->undo_wanted()) continue;
    db_->rollback();
    if (db_->in_transaction()) return end(Error(ledger::Errc::unavailable, "a rollback failed"));
    if (auto restored = restore_calls(); !restored) return end(restored.error());
    return batch.size() == 1 && !good;  // it said no, and nothing of it is left
  }
  if (auto committed = commit(); !committed) return end(committed.error());
  return true;
}

/// What a batch that is rolled back did to calls is forgotten with it; earlier ones are in the log.
Result<> Writer::restore_calls() {
  if (log_ == nullptr) return {};
  db_->calls()->forget();
  OCTROI_CHECK(replay_calls(*db_, *log_));
  db_->calls()->committed();
  return {};
}

/// By the tables, when they changed or the log is full; else by the log.
Result<> Writer::commit() {
  if (log_ == nullptr) return db_->commit();
  sql::CallBuffer& calls = *db_->calls();
  if (!calls.pending()) return db_->commit();
  OCTROI_TRY(const std::int64_t generation, sql::call_generation(*db_));
  const std::string frame = calls.take_frame();
  if (frame.empty() && !db_->has_written()) return db_->commit();
  if (db_->has_written() || !log_->has_room(generation, frame.size())) {
    OCTROI_CHECK(calls.write_out());
    OCTROI_CHECK(db_->commit());
    calls.committed();
    return {};
  }
  OCTROI_CHECK(db_->commit());
  return log_->append(generation, frame);
}

Result<> Writer::write_out() {
  db_->set_manner(Database::Manner::eager);
  OCTROI_CHECK(db_->begin());
  OCTROI_CHECK(db_->calls()->write_out());
  OCTROI_CHECK(db_->commit());
  db_->calls()->committed();
  return {};
}

Writer::~Writer() {
  if (dead_ || log_ == nullptr) return;
  Result<> done;
  if (db_->calls()->pending()) done = write_out();
  if (done) {
    log_->remove();
  } else {  // the next start replays it
    OCTROI_LOG(warn, "store", "calls_left_in_log", {{"reason", done.error().message()}});
  }
}

Result<> replay_calls(Database& db, CallLog& log) {
  OCTROI_TRY(const std::int64_t generation, sql::call_generation(db));
  OCTROI_TRY(const auto frames, log.frames(generation));
  return replay_frames(db, generation, frames);
}

Result<> replay_frames(Database& db, std::int64_t generation, std::span<const Bytes> frames) {
  if (frames.empty()) return {};
  OCTROI_CHECK(db.begin());
  const Result<> replayed = [&]() -> Result<> {
    OCTROI_TRY(const std::int64_t now, sql::call_generation(db));
    if (now == generation) {
      for (const Bytes& frame : frames) OCTROI_CHECK(sql::replay(db, frame));
      OCTROI_CHECK(sql::set_call_generation(db, generation + 1));
    }
    return db.commit();
  }();
  if (!replayed) db.rollback();
  return replayed;
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
