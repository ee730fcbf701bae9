#include "octroi/net/timer.h"

#include <algorithm>
#include <utility>

namespace octroi::net {

namespace {
constexpr std::int64_t tick_of(Millis t) {
  return t.count() / TimerWheel::kTickMillis;  // raw: milliseconds to ticks
}
}  // namespace

void Timer::stop() noexcept {
  if (wheel_ != nullptr) wheel_->unlink(*this);
}

TimerWheel::~TimerWheel() {
  for (Timer*& slot : slots_) {
    while (slot != nullptr) unlink(*slot);
  }
  while (firing_ != nullptr) unlink(*firing_);
}

void TimerWheel::insert(Timer*& head, Timer& timer) noexcept {
  timer.wheel_ = this;
  timer.link_ = &head;
  timer.next_ = head;
  if (head != nullptr) head->link_ = &timer.next_;
  head = &timer;
  ++count_;
}

void TimerWheel::unlink(Timer& timer) noexcept {
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  timer.wheel_ = nullptr;
  timer.link_ = nullptr;
  timer.next_ = nullptr;
  --count_;
}

void TimerWheel::observe(Millis now) noexcept {
  observed_tick_ = std::max(observed_tick_, tick_of(now));
}

void TimerWheel::start(Timer& timer, Millis delay) noexcept {
  timer.stop();
  const std::int64_t ticks =
      tick_of(std::max(delay, Millis(0)) + Millis(kTickMillis - 1));  // rounded up
  // One tick because the current one has partly passed, one because the coarse clock lags.
  timer.due_tick_ = observed_tick_ + ticks + 2;
  insert(slots_[static_cast<std::size_t>(timer.due_tick_) % kSlots], timer);
}

void TimerWheel::advance(Millis now) {
  observe(now);
  const std::int64_t target = observed_tick_;
  // After a long pause each slot needs one visit only: what is due shows by its due_tick_.
  tick_ = std::max(tick_, target - static_cast<std::int64_t>(kSlots));
  while (tick_ < target && count_ != 0) {
    ++tick_;
    if (Timer*& slot = slots_[static_cast<std::size_t>(tick_) % kSlots]; slot != nullptr) {
      fire_due(slot);
    }
  }
  tick_ = std::max(tick_, target);
}

void TimerWheel::fire_due(Timer*& slot) {
  // Callbacks may start timers into this very slot, so it is emptied first.
  firing_ = std::exchange(slot, nullptr);
  firing_->link_ = &firing_;
  while (firing_ != nullptr) {
    Timer& timer = *firing_;
    const bool due = timer.due_tick_ <= tick_;
    unlink(timer);
    if (due) {
      timer.on_fire_(timer);
    } else {
      insert(slots_[static_cast<std::size_t>(timer.due_tick_) % kSlots], timer);
    }
  }
}

}  // namespace octroi::net
