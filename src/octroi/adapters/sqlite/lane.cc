#include "octroi/adapters/sqlite/lane.h"

#include <algorithm>
#include <map>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/ledger/store.h"

namespace octroi::sqlite {
namespace {

using Batch = std::span<const std::shared_ptr<Call>>;

Error read_only_since(const Error& why) {
  return {
      ledger::Errc::unavailable,
      fmt::format("the store is read-only since a commit failed ({}): mend the disk and restart",
                  why.message())};
}

}  // namespace

Lane::Lane(Kind kind, Database db, Options options)
    : kind_(kind), options_(options), db_(std::move(db)), thread_([this] { serve(); }) {}

Lane::~Lane() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

Lane::Wait::~Wait() {
  if (call->done_) return;
  // Taking the gate means that the lane is not posting to this loop just now, and never will again
  // for this call: the loop may be destroyed next.
  const std::scoped_lock lock(gate->mutex);
  call->abandoned_ = true;
}

void Lane::submit(std::shared_ptr<Call> call) {
  {
    const std::scoped_lock lock(mutex_);
    if (!stopping_ && queue_.size() < options_.max_queue) {
      queue_.push_back(std::move(call));
    }
  }
  if (!call) {
    work_.notify_one();
    return;
  }
  call->refuse({ledger::Errc::unavailable, "the store has too much to do"});
  deliver({&call, 1});
}

void Lane::submit_and_block(const std::shared_ptr<Call>& call) {
  submit(call);
  std::unique_lock lock(gate_->mutex);
  gate_->delivered.wait(lock, [&] { return call->done_; });
}

void Lane::serve() {
  for (;;) {
    const std::vector<std::shared_ptr<Call>> batch = next_batch();
    if (batch.empty()) return;
    run_batch(batch);
    deliver(batch);
    if (kind_ == Kind::writer) tidy_log();
  }
}

std::vector<std::shared_ptr<Call>> Lane::next_batch() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.max_batch));
  std::vector<std::shared_ptr<Call>> batch(std::make_move_iterator(queue_.begin()),
                                           std::make_move_iterator(queue_.begin() + count));
  queue_.erase(queue_.begin(), queue_.begin() + count);
  return batch;
}

void Lane::run_batch(Batch batch) {
  if (dead_) {
    for (const auto& call : batch) call->refuse(*dead_);
  } else if (kind_ == Kind::writer) {
    commit_batch(batch);
  } else {
    for (const auto& call : batch) call->run(db_);
  }
}

void Lane::commit_batch(Batch batch) {
  if (auto begun = db_.run("BEGIN IMMEDIATE"); !begun) {
    // Another program that holds the write lock has done nothing to our data: these calls fail,
    // later ones may succeed.
    if (db_.broken()) return give_up(batch, begun.error());
    for (const auto& call : batch) call->refuse(begun.error());
    return;
  }
  for (const auto& call : batch) {
    call->run(db_);
    if (db_.broken() || !db_.in_transaction()) {
      return give_up(batch, Error(ledger::Errc::unavailable, "a write failed"));
    }
  }
  if (auto committed = db_.run("COMMIT"); !committed) give_up(batch, committed.error());
}

void Lane::give_up(Batch batch, const Error& why) {
  if (db_.in_transaction()) static_cast<void>(db_.run("ROLLBACK"));
  OCTROI_LOG(error, "store", "read_only", {{"reason", why.message()}});
  dead_ = read_only_since(why);
  for (const auto& call : batch) call->refuse(*dead_);
}

void Lane::tidy_log() {
  if (dead_ || db_.wal_frames() < options_.checkpoint_frames) return;
  if (auto done = db_.checkpoint(); !done) give_up({}, done.error());
}

void Lane::deliver(Batch batch) {
  std::map<net::Loop*, std::vector<std::shared_ptr<Call>>> by_loop;
  const std::scoped_lock lock(gate_->mutex);
  for (const auto& call : batch) {
    if (call->loop_ == nullptr) {
      call->done_ = true;
    } else if (!call->abandoned_) {
      by_loop[call->loop_].push_back(call);
    }
  }
  for (auto& [loop, calls] : by_loop) {
    loop->post([resumed = std::move(calls)] {
      for (const auto& call : resumed) {
        // One that resumes may cancel another of the same batch.
        if (call->abandoned_) continue;
        call->done_ = true;
        call->waiter_.resume();
      }
    });
  }
  gate_->delivered.notify_all();
}

}  // namespace octroi::sqlite
