// octroi/adapters/sqlite/lane.h: a thread that owns one database connection, and the way a
// coroutine of any loop has something done on it.
//
//   Result<bool> r = co_await lane.call<bool>([](Database& db) -> Result<bool> { … });
//
// The write lane takes whatever has queued, up to 256 calls, runs each on its own inside one
// transaction, commits, and only then lets the callers go on: one fsync for all of them, and no
// wait when nothing else is there. When a commit fails all its calls fail, and so does every later
// one: after a failed fsync only a restart can tell what the file holds. The read lane runs each
// call by itself.
//
// Thread   call() from any thread. On a loop the caller resumes there, all callers of one loop and
//          batch in one post. Outside a loop (command line tools, tests) the call blocks its
//          thread.
// Life     a call that is cancelled is dropped at its loop, not in the queue: it may still be
//          committed. The lane may be destroyed before or after the loops.
#pragma once

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

#include "octroi/adapters/sqlite/database.h"
#include "octroi/base/function.h"
#include "octroi/base/result.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::sqlite {

/// One queued operation and whoever waits for it.
class Call {
 public:
  explicit Call(net::Loop* loop) : loop_(loop) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  virtual ~Call() = default;

  /// On the lane's thread: produces the outcome, which nobody sees before it is delivered.
  virtual void run(Database& db) = 0;
  /// Replaces the outcome.
  virtual void refuse(const Error& error) = 0;

 private:
  friend class Lane;
  net::Loop* loop_;
  std::coroutine_handle<> waiter_;
  bool abandoned_ = false;  // under the lane's gate, or on the waiter's loop
  bool done_ = false;       // on the waiter's loop; under the gate when there is none
};

template <class R>
class CallOf final : public Call {
 public:
  CallOf(net::Loop* loop, UniqueFunction<R(Database&)> work) : Call(loop), work_(std::move(work)) {}
  void run(Database& db) override { outcome_.emplace(work_(db)); }
  void refuse(const Error& error) override { outcome_.emplace(fail(error)); }
  R take() { return std::move(*outcome_); }

 private:
  UniqueFunction<R(Database&)> work_;
  std::optional<R> outcome_;
};

class Lane {
 public:
  enum class Kind : std::uint8_t { writer, reader };
  struct Options {
    std::size_t max_batch = 256;
    std::size_t max_queue = 65536;  // beyond it calls are refused at once: memory stays bounded
    int checkpoint_frames = 1000;   // of the write-ahead log
  };
  Lane(Kind kind, Database db, Options options);
  /// Finishes what is queued, then ends the thread.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  template <class T = void>
  Task<Result<T>> call(std::type_identity_t<UniqueFunction<Result<T>(Database&)>> work) {
    return call_on<Result<T>>(this, std::move(work));
  }

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
  static Task<R> call_on(Lane* lane, UniqueFunction<R(Database&)> work) {
    auto call = std::make_shared<CallOf<R>>(net::Loop::current(), std::move(work));
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
  void run_batch(std::span<const std::shared_ptr<Call>> batch);
  void commit_batch(std::span<const std::shared_ptr<Call>> batch);
  void tidy_log();
  void give_up(std::span<const std::shared_ptr<Call>> batch, const Error& why);
  void deliver(std::span<const std::shared_ptr<Call>> batch);

  const Kind kind_;
  const Options options_;
  Database db_;
  std::optional<Error> dead_;  // the lane's thread only

  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Call>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace octroi::sqlite
