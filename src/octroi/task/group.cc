#include "octroi/task/group.h"

#include <exception>
#include <utility>

namespace octroi {

// A coroutine that owns one Task and its place in the group's list. It destroys itself when the
// task ends; the group destroys it when it is cancelled first.
struct TaskGroup::Runner {
  struct promise_type {
    Runner get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    static std::suspend_never final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
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
  // Last: the joiner may destroy the group.
  group->wake_joiner_if_done();
}

void TaskGroup::start(Task<void> task) {
  const RunScope scope;
  run(this, Node{}, std::move(task)).handle.resume();
}

void TaskGroup::cancel() noexcept {
  const RunScope scope;
  destroy_all();
  wake_joiner_if_done();
}

void TaskGroup::destroy_all() noexcept {
  // What the destructors wake runs after the last task is gone, and so never sees half a group.
  const RunScope scope;
  while (head_ != nullptr) {
    const std::coroutine_handle<> handle = head_->handle;
    unlink(*head_);
    handle.destroy();
  }
}

void TaskGroup::wake_joiner_if_done() noexcept {
  if (size_ != 0) return;
  const RunScope scope;
  while (detail::make_ready(joiners_) != nullptr) {
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
