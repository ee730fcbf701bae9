// octroi/net/loop.h: one thread's event loop: readiness, timers, and work posted from other
// threads.
//
// epoll is the reactor, hidden in loop_epoll.cc. A worker has one loop; whatever lives on it
// (streams, tasks, pools) is touched by that thread only.
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

class DeferQueue;

/// Work to do once the callback that runs now has returned to the loop: how a stream wakes a waiter
/// without running it inside close(). An intrusive node; destroying it takes it out of the queue.
class Deferred {
 public:
  using Callback = void (*)(Deferred&);
  explicit Deferred(Callback run) noexcept : run_(run) {}
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  ~Deferred() { cancel(); }
  void cancel() noexcept {
    if (prev_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }
  [[nodiscard]] bool queued() const noexcept { return prev_ != nullptr; }

 private:
  friend class DeferQueue;
  Callback run_;
  Deferred* prev_ = nullptr;
  Deferred* next_ = nullptr;
};

/// A ring of Deferred nodes around a sentinel, in order of arrival.
class DeferQueue {
 public:
  DeferQueue() noexcept : end_(nullptr) { end_.prev_ = end_.next_ = &end_; }
  ~DeferQueue() {
    while (!empty()) end_.next_->cancel();
    end_.prev_ = end_.next_ = nullptr;
  }
  DeferQueue(const DeferQueue&) = delete;
  DeferQueue& operator=(const DeferQueue&) = delete;
  [[nodiscard]] bool empty() const noexcept { return end_.next_ == &end_; }
  void push(Deferred& node) noexcept {
    node.cancel();
    node.prev_ = end_.prev_;
    node.next_ = &end_;
    end_.prev_->next_ = &node;
    end_.prev_ = &node;
  }
  /// Runs what is queued now; what its callbacks add waits for the next call.
  void run();

 private:
  Deferred end_;
};

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
  /// The loop that the calling thread runs; null outside one. What awaits across threads (the
  /// store, the nodes) resumes its caller here.
  [[nodiscard]] static Loop* current() noexcept;
  /// True on the thread that runs (or first ran) this loop.
  [[nodiscard]] bool on_thread() const noexcept;

  /// Monotonic milliseconds from the kernel's coarse clock (a few ms behind). The loop's thread
  /// only.
  [[nodiscard]] Millis now() const noexcept;
  /// The wheel, told the time and ticking.
  [[nodiscard]] TimerWheel& timers() noexcept;
  /// Runs the node after the current callback. The loop's thread only.
  void defer(Deferred& node) noexcept;
  /// Runs the node when every event that has come by now has been told: what one connection has to
  /// say to several events then goes out at once. The loop's thread only.
  void defer_to_end(Deferred& node) noexcept;

  /// Resumes after `delay`, with the wheel's resolution (10 ms).
  Task<void> sleep(Millis delay);
  /// Resumes in the next iteration: lets others run in a long computation.
  Task<void> yield();

  /// Tasks that live as long as the loop; cancelled when it is destroyed.
  [[nodiscard]] TaskGroup& tasks() noexcept;

  struct Impl;  // seen by loop_epoll.cc only
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
      if (!state_) return;
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
