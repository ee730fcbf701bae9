// octroi/task/ready.h: the coroutines of this thread that were woken and wait for their turn.
//
// Why      If waking ran the waiter inside the call, the waiter could end a scope that owns the
//          very coroutine that woke it, and that coroutine would be destroyed while it runs. So
//          inside a RunScope waking only queues; the scope resumes what is queued when the code it
//          surrounds has returned. It also keeps a long chain of wake-ups from growing the stack.
// Use      Whoever resumes coroutines from outside (an event loop, around each callback) opens a
//          RunScope. Without one, waking resumes before it returns.
// Thread   each has its own queue; a waiter belongs to the thread that wakes it.
#pragma once

#include <coroutine>

namespace octroi {

namespace detail {
/// A queue of suspended coroutines, in order of arrival. Intrusive: a waiter that is destroyed
/// takes itself out; a queue that is destroyed lets its waiters go, and they are never resumed.
class WaitQueue {
 public:
  struct Waiter {
    WaitQueue* queue = nullptr;
    Waiter* prev = nullptr;
    Waiter* next = nullptr;
    /// What it waits for; null when that was destroyed, or when the waiter needs it no more.
    void* owner = nullptr;
    std::coroutine_handle<> handle;
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() {
      if (queue != nullptr) queue->remove(*this);
    }
  };

  constexpr WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  ~WaitQueue() {
    while (head_ != nullptr) {
      head_->owner = nullptr;
      remove(*head_);
    }
  }

  void push(Waiter& w) noexcept;
  void remove(Waiter& w) noexcept;
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] Waiter* front() const noexcept { return head_; }
  /// Takes the first waiter out; null when there is none.
  Waiter* pop() noexcept;
  /// Takes out every waiter of `owner`.
  void forget(const void* owner) noexcept;

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};

/// Moves the first waiter to this thread's ready queue; null when there is none. Call in a
/// RunScope.
WaitQueue::Waiter* make_ready(WaitQueue& from) noexcept;
/// Whether the waiter was woken and has not run yet.
[[nodiscard]] bool is_ready(const WaitQueue::Waiter& w) noexcept;
/// For what is being destroyed: its woken waiters are never resumed, like those that still wait.
void forget_ready(const void* owner) noexcept;
/// Whether a RunScope is open on this thread.
[[nodiscard]] bool in_run_scope() noexcept;
}  // namespace detail

/// Surrounds code that may wake coroutines; the outermost one of the thread resumes them at its
/// end.
class RunScope {
 public:
  RunScope() noexcept;
  ~RunScope();
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;
};

}  // namespace octroi
