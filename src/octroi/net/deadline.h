// octroi/net/deadline.h: ends a Task that takes too long by destroying it.
//
//   std::optional<Result<Response>> r = co_await net::within(loop, Millis(500), client.fetch(...));
//   if (!r) ...                     // it was cancelled: everything it awaited has been destroyed
//
// Zero or less: no deadline. Thread: the loop's.
#pragma once

#include <optional>
#include <utility>

#include "octroi/net/loop.h"
#include "octroi/net/timer.h"
#include "octroi/task/group.h"
#include "octroi/task/task.h"

namespace octroi::net {

namespace detail {

/// Resumes one coroutine from the loop: when the timer fires or done() was called, whichever is
/// first.
class DeadlineGate : Timer, Deferred {
 public:
  DeadlineGate(Loop& loop, Millis delay)
      : Timer([](Timer& t) { static_cast<DeadlineGate&>(t).done(); }),
        Deferred([](Deferred& d) { static_cast<DeadlineGate&>(d).open(); }),
        loop_(loop) {
    if (delay > Millis(0)) loop.timers().start(*this, delay);
  }
  void done() noexcept {
    Timer::stop();
    opened_ = true;
    if (waiter_) loop_.defer(*this);  // never inside the task that has just ended
  }
  [[nodiscard]] bool await_ready() const noexcept { return opened_; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  void await_resume() noexcept { waiter_ = {}; }

 private:
  void open() {
    if (auto h = std::exchange(waiter_, {})) h.resume();
  }
  Loop& loop_;
  std::coroutine_handle<> waiter_;
  bool opened_ = false;
};

template <class T>
Task<void> run_into(Task<T> task, std::optional<T>* result, DeadlineGate* gate) {
  result->emplace(co_await std::move(task));
  gate->done();
}

}  // namespace detail

template <class T>
Task<std::optional<T>> within(Loop& loop, Millis limit, Task<T> task) {
  std::optional<T> result;
  detail::DeadlineGate gate(loop, limit);
  TaskGroup group;  // destroyed first: cancels what has not finished
  group.start(detail::run_into<T>(std::move(task), &result, &gate));
  co_await gate;
  co_return std::move(result);
}

}  // namespace octroi::net
