// octroi/net/timer.h: an intrusive hashed timer wheel, one a loop: starting and stopping a timer is
// linking and unlinking a node, so that every operation can have a deadline for a few instructions.
//
// Resolution 10 ms; a timer never fires early. Thread: its loop's.
#pragma once

#include <array>
#include <cstdint>

#include "octroi/base/clock.h"

namespace octroi::net {

class TimerWheel;

/// Derive from it or hold one; destroying it stops it.
class Timer {
 public:
  using Callback = void (*)(Timer&);
  explicit Timer(Callback on_fire) : on_fire_(on_fire) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { stop(); }
  void stop() noexcept;
  [[nodiscard]] bool running() const noexcept { return wheel_ != nullptr; }

 private:
  friend class TimerWheel;
  Callback on_fire_;
  TimerWheel* wheel_ = nullptr;
  Timer** link_ = nullptr;  // what points at this timer: a slot, or the timer before it
  Timer* next_ = nullptr;
  std::int64_t due_tick_ = 0;
};

class TimerWheel {
 public:
  static constexpr std::int64_t kTickMillis = 10;
  static constexpr std::size_t kSlots = 1024;

  TimerWheel() = default;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  /// Tells the wheel the time (monotonic) from which later delays count, without firing anything.
  void observe(Millis now) noexcept;
  /// (Re)starts the timer; the delay counts from the last time the wheel was told.
  void start(Timer& timer, Millis delay) noexcept;
  /// Fires everything due at `now` (monotonic). A callback may start or stop any timer.
  void advance(Millis now);
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

 private:
  friend class Timer;
  void insert(Timer*& head, Timer& timer) noexcept;
  void unlink(Timer& timer) noexcept;
  void fire_due(Timer*& slot);

  std::array<Timer*, kSlots> slots_{};
  Timer* firing_ = nullptr;         // the slot under advance(), detached while its callbacks run
  std::int64_t tick_ = 0;           // every slot up to here has fired
  std::int64_t observed_tick_ = 0;  // at or after tick_
  std::size_t count_ = 0;
};

}  // namespace octroi::net
