#include "octroi/adapters/sql/lane.h"

#include <algorithm>
#include <map>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

namespace {
/// How long a posted call may wait for company.
constexpr std::chrono::milliseconds kPostedWait{5};
/// Enough for one commit: waiting for more would only add to everybody's latency.
constexpr std::size_t kEnough = 24;
}  // namespace

void PostedCall::finish() {
  if (outcome_) return;
  OCTROI_LOG(error, "store", what_, {{"error", outcome_.error().message()}});
  if (failed_) failed_(outcome_.error());
}

void Arrivals::note(Clock::time_point now) {
  if (now - start_ >= kWindow) {
    before_ = now - start_ < 2 * kWindow ? now_ : 0;
    now_ = 0;
    start_ = now;
  }
  ++now_;
}

bool Arrivals::many(Clock::time_point now) const {
  const auto age = now - start_;
  if (age >= 2 * kWindow) return false;
  return now_ >= kMany || (age < kWindow && before_ >= kMany);
}

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
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (!stopping_ && queue_.size() < options_.max_queue) {
      if (!call->posted_) {
        ++waited_for_;
        if (options_.gather.count() > 0) arrivals_.note(Arrivals::Clock::now());
      }
      wake = waited_for_ >= wake_at_ || (queue_.empty() && wake_for_posted_);
      queue_.push_back(std::move(call));
    }
  }
  if (!call) {
    if (wake) work_.notify_one();
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

void Lane::wait_for_work(std::unique_lock<std::mutex>& lock) {
  wake_at_ = 1;
  const auto waited_for = [&] { return stopping_ || waited_for_ > 0; };
  // What is posted mostly follows what was waited for: nobody is woken for it alone.
  if (work_.wait_for(lock, kPostedWait, waited_for) || !queue_.empty()) return;
  wake_for_posted_ = true;
  work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  wake_for_posted_ = false;
  work_.wait_for(lock, kPostedWait, waited_for);
}

void Lane::gather(std::unique_lock<std::mutex>& lock) {
  if (options_.gather.count() == 0 || waited_for_ == 0) return;
  if (!arrivals_.many(Arrivals::Clock::now())) return;
  wake_at_ = kEnough;
  work_.wait_for(lock, options_.gather, [&] { return stopping_ || waited_for_ >= kEnough; });
}

std::vector<std::shared_ptr<Call>> Lane::next_batch() {
  std::unique_lock lock(mutex_);
  wait_for_work(lock);
  gather(lock);
  wake_at_ = kNeverWake;
  const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.max_batch));
  std::vector<std::shared_ptr<Call>> batch(std::make_move_iterator(queue_.begin()),
                                           std::make_move_iterator(queue_.begin() + count));
  queue_.erase(queue_.begin(), queue_.begin() + count);
  for (const auto& call : batch) {
    if (!call->posted_) --waited_for_;
  }
  return batch;
}

void Lane::deliver(Batch batch) {
  std::map<net::Loop*, std::vector<std::shared_ptr<Call>>> by_loop;
  const std::scoped_lock lock(gate_->mutex);
  for (const auto& call : batch) {
    if (call->posted_) {
      call->finish();
      posted_.fetch_sub(1, std::memory_order_release);
    } else if (call->loop_ == nullptr) {
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
