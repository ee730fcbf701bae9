// octroi/net/loop.h: one thread's event loop: readiness, timers, and work posted from other threads.
//
// Asio is the reactor, hidden in loop_asio.cc. A worker has one loop; whatever lives on it (streams,
// tasks, pools) is touched by that thread only.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>

#include "octroi/base/clock.h"
#include "octroi/base/function.h"
#include "octroi/net/timer.h"
#include "octroi/task/group.h"
#include "octroi/task/task.h"

namespace octroi::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop(). The calling thread becomes the loop's thread.
  void run();
  /// Any thread.
  void stop();
  /// Any thread: runs `work` on the loop's thread, in order, never inside the call.
  void post(UniqueFunction<void()> work);
  /// The loop that the calling thread runs; null outside one. What awaits across threads (the store,
  /// the nodes) resumes its caller here.
  [[nodiscard]] static Loop* current() noexcept;
  /// True on the thread that runs (or first ran) this loop.
  [[nodiscard]] bool on_thread() const noexcept;

  /// Monotonic milliseconds, read once an iteration. The loop's thread only.
  [[nodiscard]] Millis now() const noexcept;
  [[nodiscard]] TimerWheel& timers() noexcept;

  /// Resumes after `delay`, with the wheel's resolution (10 ms).
  Task<void> sleep(Millis delay);
  /// Resumes in the next iteration: lets others run in a long computation.
  Task<void> yield();

  /// Tasks that live as long as the loop; cancelled when it is destroyed.
  [[nodiscard]] TaskGroup& tasks() noexcept;

  struct Impl;  // seen by net/*_asio.cc only
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A value that another thread gives to a task of one loop, once.
///
///   Remote<int> answer(loop);
///   pool.submit([give = answer.giver()]() mutable { give(42); });   // any thread
///   int n = co_await answer.get();                                  // the loop's thread
///
/// When the waiting side is destroyed first, the value is dropped.
template <class T>
class Remote {
  struct State {
    explicit State(Loop& l) : loop(l) {}
    Loop& loop;
    std::optional<T> value;
    std::coroutine_handle<> waiter;
    bool gone = false;
  };

 public:
  explicit Remote(Loop& loop) : state_(std::make_shared<State>(loop)) {}
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;
  ~Remote() {
    state_->gone = true;  // on the loop's thread, as is every reader of it
    state_->waiter = {};
  }

  class Giver {
   public:
    explicit Giver(std::shared_ptr<State> s) : state_(std::move(s)) {}
    void operator()(T value) {
      Loop& loop = state_->loop;
      loop.post([s = std::move(state_), v = std::move(value)]() mutable {
        if (s->gone) return;
        s->value.emplace(std::move(v));
        if (auto h = std::exchange(s->waiter, {})) h.resume();
      });
    }

   private:
    std::shared_ptr<State> state_;
  };
  /// May be copied, but only the first call counts. The loop must outlive it.
  [[nodiscard]] Giver giver() { return Giver(state_); }

  Task<T> get() {
    struct Wait {
      State& s;
      bool await_ready() const noexcept { return s.value.has_value(); }
      void await_suspend(std::coroutine_handle<> h) noexcept { s.waiter = h; }
      void await_resume() const noexcept {}
      ~Wait() { s.waiter = {}; }
    };
    std::shared_ptr<State> s = state_;
    co_await Wait{*s};
    co_return std::move(*s->value);
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace octroi::net
