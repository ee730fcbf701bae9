// octroi/task/sync.h: how tasks of one loop wait for each other: Event, Semaphore, Channel<T>.
//
// Cancel   a waiter that is destroyed leaves the queue by itself, also when it was already woken:
//          what was handed to it (a permit, the turn at a channel) passes to the next one.
// Destroy  who still waits for something that is destroyed is never resumed.
// Waking   queues the waiter (octroi/task/ready.h): it runs when the waker has suspended or
// returned. Thread   one loop. Across threads use net::Loop::post or net::Remote<T>.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "octroi/task/ready.h"
#include "octroi/task/task.h"

namespace octroi {

/// Set once; every present and later waiter goes on.
class Event {
 public:
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  void set() {
    const RunScope scope;
    set_ = true;
    while (detail::make_ready(queue_) != nullptr) {
    }
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

/// Counts permits; acquire waits for one, release gives one back. First come, first served.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore() { detail::forget_ready(this); }

  auto acquire() noexcept { return Awaiter(*this); }
  void release() {
    const RunScope scope;
    if (queue_.empty()) {
      ++permits_;
    } else {
      detail::make_ready(queue_);  // the permit passes to the waiter
    }
  }
  [[nodiscard]] std::size_t available() const noexcept { return permits_; }

  /// Gives back on destruction a permit that was acquired, so that a cancelled task loses none:
  ///   co_await slots.acquire();
  ///   const Semaphore::Permit permit(slots);
  class Permit {
   public:
    explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (semaphore_ != nullptr) semaphore_->release();
    }

   private:
    Semaphore* semaphore_;
  };

 private:
  struct Awaiter : detail::WaitQueue::Waiter {
    explicit Awaiter(Semaphore& s) noexcept { owner = &s; }
    ~Awaiter() {
      // Woken, but destroyed before it ran: the permit was handed over and must go on.
      if (owner == nullptr || !detail::is_ready(*this)) return;
      queue->remove(*this);
      static_cast<Semaphore*>(owner)->release();
    }
    bool await_ready() const noexcept {
      auto& sem = *static_cast<Semaphore*>(owner);
      if (sem.permits_ == 0) return false;
      --sem.permits_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> h) noexcept {
      handle = h;
      static_cast<Semaphore*>(owner)->queue_.push(*this);
    }
    void await_resume() const noexcept {}
  };

  std::size_t permits_;  // 0 whenever somebody waits
  detail::WaitQueue queue_;
};

/// A bounded queue between tasks; closing it lets receivers drain what is left.
template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { detail::forget_ready(this); }

  /// False when the channel is closed: the value was not taken.
  Task<bool> send(T value) {
    while (!closed_ && items_.size() >= capacity_) co_await Wait(*this, senders_);
    if (closed_) co_return false;
    push(std::move(value));
    co_return true;
  }
  /// False when full or closed.
  bool try_send(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    push(std::move(value));
    return true;
  }
  /// Empty when the channel is closed and drained.
  Task<std::optional<T>> receive() {
    while (items_.empty() && !closed_) co_await Wait(*this, receivers_);
    if (items_.empty()) co_return std::nullopt;
    co_return pop();
  }
  void close() {
    const RunScope scope;
    closed_ = true;
    while (detail::make_ready(receivers_) != nullptr) {
    }
    while (detail::make_ready(senders_) != nullptr) {
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

 private:
  struct Wait : detail::WaitQueue::Waiter {
    detail::WaitQueue& side;
    Wait(Channel& channel, detail::WaitQueue& s) noexcept : side(s) { owner = &channel; }
    ~Wait() {
      // Woken, but destroyed before it ran: the item or the room that it was woken for is still
      // there, and somebody else on this side may be waiting for it.
      if (owner == nullptr || !detail::is_ready(*this)) return;
      const RunScope scope;
      queue->remove(*this);
      detail::make_ready(side);
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept {
      handle = h;
      side.push(*this);
    }
    void await_resume() const noexcept {}
  };

  void push(T value) {
    const RunScope scope;
    items_.push_back(std::move(value));
    detail::make_ready(receivers_);
  }
  std::optional<T> pop() {
    const RunScope scope;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    detail::make_ready(senders_);
    return value;
  }

  std::size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  detail::WaitQueue senders_;
  detail::WaitQueue receivers_;
};

}  // namespace octroi
