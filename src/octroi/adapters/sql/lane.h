// octroi/adapters/sql/lane.h: a thread that owns one database connection, and the way a coroutine
// of any loop has something done on it.
//
//   Result<bool> r = co_await lane.call<bool>(key, [](Connection& db) -> Result<bool> { … });
//
// The lane takes whatever has queued, up to max_batch calls, and hands it to its worker, which runs
// each call on its own inside one transaction and commits; only then do the callers go on. One
// commit for all of them, and no wait when nothing else is there. What a failed commit means is the
// worker's to say.
//
// Key      calls over the same thing (a payment hash, a client) have the same key: an adapter with
//          several lanes gives them to the same one and orders a batch by it, so that transactions
//          meet the rows that they share in the same order.
// Posted   what nobody waits for (post()) never makes a commit of its own while others come: it
//          goes with the next one, or alone after a moment. It wakes no lane that has just worked.
// Gather   under load a disk that is faster than the callers would give each its own fsync, and
//          fsyncs cost more than anything else here. When many came a moment ago, the lane waits a
//          little for more; a caller that is alone never waits.
// Thread   call() from any thread. On a loop the caller resumes there, all callers of one loop and
//          batch in one post. Outside a loop (command line tools, tests) the call blocks its
//          thread.
// Life     a call that is cancelled is dropped at its loop, not in the queue: it may still be
//          committed. The lane may be destroyed before or after the loops.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/base/function.h"
#include "octroi/base/result.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::sql {

/// One queued operation and whoever waits for it.
class Call {
 public:
  Call(net::Loop* loop, std::uint64_t key) : loop_(loop), key_(key) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  virtual ~Call() = default;

  /// On the lane's thread: produces the outcome, which nobody sees before it is delivered. False:
  /// the outcome is an error. May be run again.
  virtual bool run(Connection& db) = 0;
  /// Replaces the outcome.
  virtual void refuse(const Error& error) = 0;
  /// The outcome is final. Only for calls that nobody waits for.
  virtual void finish() {}
  [[nodiscard]] std::uint64_t key() const { return key_; }

 protected:
  /// Nobody waits for it.
  explicit Call(std::uint64_t key) : loop_(nullptr), key_(key), posted_(true) {}

 private:
  friend class Lane;
  net::Loop* loop_;
  std::uint64_t key_;
  bool posted_ = false;
  std::coroutine_handle<> waiter_;
  bool abandoned_ = false;  // under the lane's gate, or on the waiter's loop
  bool done_ = false;       // on the waiter's loop; under the gate when there is none
};

template <class R>
class CallOf final : public Call {
 public:
  CallOf(net::Loop* loop, std::uint64_t key, UniqueFunction<R(Connection&)> work)
      : Call(loop, key), work_(std::move(work)) {}
  bool run(Connection& db) override { return outcome_.emplace(work_(db)).has_value(); }
  void refuse(const Error& error) override { outcome_.emplace(fail(error)); }
  R take() { return std::move(*outcome_); }

 private:
  UniqueFunction<R(Connection&)> work_;
  std::optional<R> outcome_;
};

/// A call whose failure is only logged.
class PostedCall final : public Call {
 public:
  PostedCall(std::uint64_t key, std::string_view what, UniqueFunction<Result<>(Connection&)> work,
             UniqueFunction<void(const Error&)> failed)
      : Call(key), what_(what), work_(std::move(work)), failed_(std::move(failed)) {}
  bool run(Connection& db) override { return (outcome_ = work_(db)).has_value(); }
  void refuse(const Error& error) override { outcome_ = fail(error); }
  void finish() override;

 private:
  std::string_view what_;  // a literal
  UniqueFunction<Result<>(Connection&)> work_;
  UniqueFunction<void(const Error&)> failed_;
  Result<> outcome_;
};

using Batch = std::span<const std::shared_ptr<Call>>;

/// What a lane does on its thread; it has the connection.
class Worker {
 public:
  virtual ~Worker() = default;
  /// Runs or refuses every call. They are delivered when this returns.
  virtual void run_batch(Batch batch) = 0;
  /// When nobody waits.
  virtual void after_batch() {}
};

/// How many calls came lately.
class Arrivals {
 public:
  using Clock = std::chrono::steady_clock;
  void note(Clock::time_point now);
  [[nodiscard]] bool many(Clock::time_point now) const;

 private:
  static constexpr std::chrono::milliseconds kWindow{10};
  static constexpr std::size_t kMany = 32;  // in one window
  Clock::time_point start_;
  std::size_t now_ = 0;
  std::size_t before_ = 0;
};

class Lane {
 public:
  struct Options {
    std::size_t max_batch = 256;
    std::size_t max_queue = 65536;  // beyond it calls are refused at once: memory stays bounded
    std::chrono::microseconds gather{0};  // the longest wait for more calls; 0: none
  };
  Lane(std::unique_ptr<Worker> worker, Options options);
  /// Finishes what is queued, then ends the thread.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  template <class T = void>
  Task<Result<T>> call(std::uint64_t key,
                       std::type_identity_t<UniqueFunction<Result<T>(Connection&)>> work) {
    return call_on<Result<T>>(this, key, std::move(work));
  }
  /// Nobody waits; a failure is logged as `what`, a literal, and told to `failed`, on any thread.
  void post(std::uint64_t key, std::string_view what, UniqueFunction<Result<>(Connection&)> work,
            UniqueFunction<void(const Error&)> failed = {}) {
    posted_.fetch_add(1, std::memory_order_relaxed);
    submit(std::make_shared<PostedCall>(key, what, std::move(work), std::move(failed)));
  }
  /// Whether something that was posted is not done yet.
  [[nodiscard]] bool has_posted() const { return posted_.load(std::memory_order_acquire) > 0; }

 private:
  /// What outlives the lane for callers that are still suspended.
  struct Gate {
    std::mutex mutex;
    std::condition_variable delivered;  // for callers outside a loop
  };
  struct Wait {
    Lane& lane;
    std::shared_ptr<Gate> gate;
    std::shared_ptr<Call> call;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      call->waiter_ = h;
      lane.submit(call);
    }
    void await_resume() const noexcept {}
    ~Wait();
  };

  template <class R>
  static Task<R> call_on(Lane* lane, std::uint64_t key, UniqueFunction<R(Connection&)> work) {
    auto call = std::make_shared<CallOf<R>>(net::Loop::current(), key, std::move(work));
    if (net::Loop::current() == nullptr) {
      lane->submit_and_block(call);
    } else {
      co_await Wait{*lane, lane->gate_, call};
    }
    co_return call->take();
  }

  void submit(std::shared_ptr<Call> call);
  void submit_and_block(const std::shared_ptr<Call>& call);

  void serve();
  [[nodiscard]] std::vector<std::shared_ptr<Call>> next_batch();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void gather(std::unique_lock<std::mutex>& lock);
  void deliver(Batch batch);

  const Options options_;
  const std::unique_ptr<Worker> worker_;

  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Call>> queue_;
  std::size_t waited_for_ = 0;  // of the queue: calls that somebody waits for
  // Which calls wake the lane's thread: it sleeps through those that it would only wait with.
  static constexpr std::size_t kNeverWake = static_cast<std::size_t>(-1);
  std::size_t wake_at_ = kNeverWake;
  bool wake_for_posted_ = false;
  std::atomic<std::int64_t> posted_{0};
  Arrivals arrivals_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace octroi::sql
