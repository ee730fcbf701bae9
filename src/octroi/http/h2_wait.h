// octroi/http/h2_wait.h: one coroutine that waits for something to happen to its stream, with a
// deadline. Internal to http.
//
// Waking   from the loop, never inside wake(): a session's callback may call it.
// Destroy  a waiter that is destroyed leaves; who waits for a Wait that is destroyed never resumes.
// Thread   one loop's.
#pragma once

#include <coroutine>

#include "octroi/net/loop.h"
#include "octroi/net/timer.h"

namespace octroi::http::h2 {

class Wait {
 public:
  Wait() = default;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() {
    if (waiting_ != nullptr) waiting_->leave();
  }

  class Until : net::Deferred, net::Timer {
   public:
    Until(Wait& wait, net::Loop& loop, Millis timeout)
        : Deferred([](Deferred& d) { static_cast<Until&>(d).resume(false); }),
          Timer([](Timer& t) { static_cast<Until&>(t).resume(true); }),
          wait_(&wait),
          loop_(loop),
          timeout_(timeout) {}
    Until(const Until&) = delete;
    Until& operator=(const Until&) = delete;
    ~Until() { leave(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      handle_ = h;
      wait_->waiting_ = this;
      if (timeout_ > Millis(0)) loop_.timers().start(*this, timeout_);
    }
    /// False when the deadline passed.
    [[nodiscard]] bool await_resume() const noexcept { return !late_; }

   private:
    friend class Wait;
    void leave() noexcept {
      Timer::stop();
      Deferred::cancel();
      if (wait_ != nullptr && wait_->waiting_ == this) wait_->waiting_ = nullptr;
      wait_ = nullptr;
    }
    void resume(bool late) {
      leave();
      late_ = late;
      handle_.resume();
    }
    Wait* wait_;
    net::Loop& loop_;
    Millis timeout_;
    std::coroutine_handle<> handle_;
    bool late_ = false;
  };

  /// co_await wait.until(loop, timeout): true when woken. Zero: no deadline. One waiter at a time.
  [[nodiscard]] Until until(net::Loop& loop, Millis timeout) { return {*this, loop, timeout}; }
  void wake() noexcept {
    if (waiting_ != nullptr && !waiting_->queued()) waiting_->loop_.defer(*waiting_);
  }

 private:
  Until* waiting_ = nullptr;
};

}  // namespace octroi::http::h2
