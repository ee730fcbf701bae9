#include "octroi/task/ready.h"

namespace octroi {

namespace detail {

void WaitQueue::push(Waiter& w) noexcept {
  w.queue = this;
  w.prev = tail_;
  w.next = nullptr;
  (tail_ != nullptr ? tail_->next : head_) = &w;
  tail_ = &w;
}

void WaitQueue::remove(Waiter& w) noexcept {
  (w.prev != nullptr ? w.prev->next : head_) = w.next;
  (w.next != nullptr ? w.next->prev : tail_) = w.prev;
  w.queue = nullptr;
  w.prev = w.next = nullptr;
}

WaitQueue::Waiter* WaitQueue::pop() noexcept {
  Waiter* first = head_;
  if (first != nullptr) remove(*first);
  return first;
}

void WaitQueue::forget(const void* owner) noexcept {
  for (Waiter* w = head_; w != nullptr;) {
    Waiter* next = w->next;
    if (w->owner == owner) {
      remove(*w);
      w->owner = nullptr;
    }
    w = next;
  }
}

}  // namespace detail

namespace {

/// Without a destructor: tasks in static storage may be destroyed after the thread's own objects.
struct Ready {
  constexpr Ready() : queue() {}
  ~Ready() {}
  union {
    detail::WaitQueue queue;
  };
  int depth = 0;
};
Ready& ready() noexcept {
  constinit static thread_local Ready instance;
  return instance;
}

}  // namespace

namespace detail {

WaitQueue::Waiter* make_ready(WaitQueue& from) noexcept {
  WaitQueue::Waiter* w = from.pop();
  if (w != nullptr) ready().queue.push(*w);
  return w;
}
bool is_ready(const WaitQueue::Waiter& w) noexcept { return w.queue == &ready().queue; }
void forget_ready(const void* owner) noexcept { ready().queue.forget(owner); }
bool in_run_scope() noexcept { return ready().depth > 0; }

}  // namespace detail

RunScope::RunScope() noexcept { ++ready().depth; }

RunScope::~RunScope() {
  Ready& r = ready();
  if (r.depth == 1) {
    while (detail::WaitQueue::Waiter* w = r.queue.pop()) w->handle.resume();
  }
  --r.depth;
}

}  // namespace octroi
