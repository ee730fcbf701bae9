// octroi/task/sync.h: how tasks of one loop wait for each other: Event, Semaphore, Channel<T>.
//
// A waiter that is destroyed (its scope was cancelled) leaves the queue by itself. Waking resumes the
// waiter inside the call: finish what you were doing before you wake somebody.
// Thread: one loop. Across threads use net::Loop::post or net::Remote<T>.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "octroi/task/task.h"

namespace octroi {

namespace detail {
/// A queue of suspended coroutines, in order of arrival.
class WaitQueue {
 public:
  struct Waiter {
    WaitQueue* queue = nullptr;
    Waiter* prev = nullptr;
    Waiter* next = nullptr;
    std::coroutine_handle<> handle;
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() {
      if (queue != nullptr) queue->remove(*this);
    }
  };
  WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  ~WaitQueue() {
    while (head_ != nullptr) remove(*head_);
  }
  void push(Waiter& w) noexcept {
    w.queue = this;
    w.prev = tail_;
    w.next = nullptr;
    (tail_ != nullptr ? tail_->next : head_) = &w;
    tail_ = &w;
  }
  void remove(Waiter& w) noexcept {
    (w.prev != nullptr ? w.prev->next : head_) = w.next;
    (w.next != nullptr ? w.next->prev : tail_) = w.prev;
    w.queue = nullptr;
  }
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  void move_to(WaitQueue& other) noexcept {
    while (Waiter* w = head_) {
      remove(*w);
      other.push(*w);
    }
  }
  /// Takes the first waiter out; the caller resumes it.
  [[nodiscard]] std::coroutine_handle<> pop() noexcept {
    if (head_ == nullptr) return {};
    std::coroutine_handle<> h = head_->handle;
    remove(*head_);
    return h;
  }

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};
}  // namespace detail

/// Set once; every present and later waiter goes on.
class Event {
 public:
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  void set() {
    set_ = true;
    // The waiters move to a queue on the stack first: one that resumes may destroy this event, or
    // another waiter, which then takes itself out of that queue.
    detail::WaitQueue ready;
    queue_.move_to(ready);
    while (auto h = ready.pop()) h.resume();
  }
  auto wait() noexcept {
    struct Awaiter : detail::WaitQueue::Waiter {
      Event& event;
      explicit Awaiter(Event& e) : event(e) {}
      bool await_ready() const noexcept { return event.set_; }
      void await_suspend(std::coroutine_handle<> h) noexcept {
        handle = h;
        event.queue_.push(*this);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter(*this);
  }

 private:
  bool set_ = false;
  detail::WaitQueue queue_;
};

/// Counts permits; acquire waits for one, release gives one back.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}
  auto acquire() noexcept {
    struct Awaiter : detail::WaitQueue::Waiter {
      Semaphore& sem;
      explicit Awaiter(Semaphore& s) : sem(s) {}
      bool await_ready() const noexcept {
        if (sem.permits_ == 0) return false;
        --sem.permits_;
        return true;
      }
      void await_suspend(std::coroutine_handle<> h) noexcept {
        handle = h;
        sem.queue_.push(*this);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter(*this);
  }
  void release() {
    if (auto h = queue_.pop()) {
      h.resume();  // the permit passes to the waiter
    } else {
      ++permits_;
    }
  }

 private:
  std::size_t permits_;
  detail::WaitQueue queue_;
};

/// A bounded queue between tasks; closing it lets receivers drain what is left.
template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

  /// False when the channel is closed: the value was not taken.
  Task<bool> send(T value) {
    while (!closed_ && items_.size() >= capacity_) co_await Wait(senders_);
    if (closed_) co_return false;
    items_.push_back(std::move(value));
    if (auto h = receivers_.pop()) h.resume();
    co_return true;
  }
  /// False when full or closed.
  bool try_send(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    if (auto h = receivers_.pop()) h.resume();
    return true;
  }
  /// Empty when the channel is closed and drained.
  Task<std::optional<T>> receive() {
    while (items_.empty() && !closed_) co_await Wait(receivers_);
    if (items_.empty()) co_return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    if (auto h = senders_.pop()) h.resume();
    co_return value;
  }
  void close() {
    closed_ = true;
    while (auto h = receivers_.pop()) h.resume();
    while (auto h = senders_.pop()) h.resume();
  }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

 private:
  struct Wait : detail::WaitQueue::Waiter {
    detail::WaitQueue& target;
    explicit Wait(detail::WaitQueue& q) : target(q) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept {
      handle = h;
      target.push(*this);
    }
    void await_resume() const noexcept {}
  };
  std::size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  detail::WaitQueue senders_;
  detail::WaitQueue receivers_;
};

}  // namespace octroi
