#include "octroi/task/group.h"

#include <exception>
#include <utility>

namespace octroi {

// A coroutine that owns one Task and its place in the group's list. It destroys itself when the task
// ends; the group destroys it when it is cancelled first.
struct TaskGroup::Runner {
  struct promise_type {
    Runner get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
      static bool await_ready() noexcept { return false; }
      // The frame is destroyed before the joiner runs, so that the joiner may destroy the group.
      static std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
        std::coroutine_handle<> next = h.promise().next;
        h.destroy();
        return next;
      }
      static void await_resume() noexcept {}
    };
    static Final final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }

    std::coroutine_handle<> next = std::noop_coroutine();
  };
  std::coroutine_handle<promise_type> handle;
};

namespace {
/// Gives a coroutine its own promise without suspending.
template <class Promise>
struct ThisPromise {
  Promise* promise = nullptr;
  static bool await_ready() noexcept { return false; }
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    promise = &h.promise();
    return false;
  }
  Promise* await_resume() const noexcept { return promise; }
};
}  // namespace

TaskGroup::Runner TaskGroup::run(TaskGroup* group, Node node, Task<void> task) {
  auto* promise = co_await ThisPromise<Runner::promise_type>{};
  node.handle = std::coroutine_handle<Runner::promise_type>::from_promise(*promise);
  group->link(node);
  {
    Task<void> running = std::move(task);
    co_await std::move(running);
  }
  group->unlink(node);
  if (group->size_ == 0 && group->joiner_) promise->next = std::exchange(group->joiner_, {});
}

void TaskGroup::start(Task<void> task) { run(this, Node{}, std::move(task)).handle.resume(); }

void TaskGroup::cancel() noexcept {
  while (head_ != nullptr) {
    std::coroutine_handle<> handle = head_->handle;
    unlink(*head_);
    handle.destroy();
  }
}

void TaskGroup::link(Node& node) noexcept {
  node.prev = nullptr;
  node.next = head_;
  if (head_ != nullptr) head_->prev = &node;
  head_ = &node;
  ++size_;
}

void TaskGroup::unlink(Node& node) noexcept {
  (node.prev != nullptr ? node.prev->next : head_) = node.next;
  if (node.next != nullptr) node.next->prev = node.prev;
  --size_;
}

}  // namespace octroi
