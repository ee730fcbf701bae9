#include "octroi/adapters/sql/lane.h"

#include <algorithm>
#include <map>
#include <utility>

#include "octroi/ledger/store.h"

namespace octroi::sql {

Lane::Lane(std::unique_ptr<Worker> worker, Options options)
    : options_(options), worker_(std::move(worker)), thread_([this] { serve(); }) {}

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
    worker_->run_batch(batch);
    deliver(batch);
    worker_->after_batch();
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

}  // namespace octroi::sql
