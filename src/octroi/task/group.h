// octroi/task/group.h: a scope that owns running Tasks: the only way to start one without awaiting
// it.
//
//   TaskGroup group;
//   group.start(serve(std::move(connection)));
//   co_await group.join();          // or let the destructor cancel what still runs
//
// Thread: one loop.
#pragma once

#include <coroutine>
#include <cstddef>

#include "octroi/task/ready.h"
#include "octroi/task/task.h"

namespace octroi {

class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  /// Destroys every Task that has not finished. Who joins is never resumed.
  ~TaskGroup() { destroy_all(); }

  /// Runs the task until its first suspension and keeps it until it ends. An exception that escapes
  /// it ends the process: nothing may be lost silently.
  void start(Task<void> task);

  /// Destroys every unfinished Task now, and lets the joiner go on. Not callable from one of them.
  void cancel() noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Resumes when no task is left. One waiter at a time.
  auto join() noexcept {
    struct Awaiter : detail::WaitQueue::Waiter {
      TaskGroup& group;
      explicit Awaiter(TaskGroup& g) noexcept : group(g) {}
      bool await_ready() const noexcept { return group.size_ == 0; }
      void await_suspend(std::coroutine_handle<> h) noexcept {
        handle = h;
        group.joiners_.push(*this);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter(*this);
  }

 private:
  struct Runner;
  struct Node {
    Node* prev = nullptr;
    Node* next = nullptr;
    std::coroutine_handle<> handle;
  };
  static Runner run(TaskGroup* group, Node node, Task<void> task);
  void link(Node& node) noexcept;
  void unlink(Node& node) noexcept;
  void destroy_all() noexcept;
  void wake_joiner_if_done() noexcept;

  Node* head_ = nullptr;
  std::size_t size_ = 0;
  detail::WaitQueue joiners_;
};

}  // namespace octroi
