// octroi/net/wait_slot.h: the one waiter of a direction of a stream, with its deadline. Internal to
// net.
#pragma once

#include "octroi/net/stream.h"
#include "octroi/net/timer.h"

namespace octroi::net {

class WaitSlot {
 public:
  WaitSlot() = default;
  WaitSlot(const WaitSlot&) = delete;
  WaitSlot& operator=(const WaitSlot&) = delete;

  void arm(Loop& loop, Stream::Waiter& waiter, Millis timeout) {
    waiter_ = &waiter;
    waiter.failed.reset();
    if (timeout > Millis(0)) loop.timers().start(deadline_, timeout);
  }
  void disarm() noexcept {
    deadline_.stop();
    waiter_ = nullptr;
  }
  [[nodiscard]] bool armed() const noexcept { return waiter_ != nullptr; }
  /// Runs the waiter inside the call: the last thing its caller does, as the owner may be gone
  /// after it.
  void wake() {
    if (waiter_ == nullptr) return;
    deadline_.stop();
    std::exchange(waiter_, nullptr)->wake();
  }
  /// Wakes the waiter from the loop.
  void succeed_later(Loop& loop) noexcept {
    if (waiter_ == nullptr) return;
    deadline_.stop();
    loop.defer(*std::exchange(waiter_, nullptr));
  }
  /// Wakes the waiter from the loop, with an error.
  void fail_later(Loop& loop, Errc why) noexcept {
    if (waiter_ == nullptr) return;
    deadline_.stop();
    Stream::Waiter& waiter = *std::exchange(waiter_, nullptr);
    waiter.failed = why;
    loop.defer(waiter);
  }

 private:
  struct Deadline : Timer {
    explicit Deadline(WaitSlot& s)
        : Timer([](Timer& t) { static_cast<Deadline&>(t).slot.expire(); }), slot(s) {}
    WaitSlot& slot;
  };
  void expire() {
    if (waiter_ == nullptr) return;
    Stream::Waiter& waiter = *std::exchange(waiter_, nullptr);
    waiter.failed = Errc::timeout;
    waiter.wake();
  }
  Stream::Waiter* waiter_ = nullptr;
  Deadline deadline_{*this};
};

}  // namespace octroi::net
