// octroi/paywall/freshness.h: how old what this replica knows of the others may be.
//
// Another replica may have revoked a token. A replica that shares its ledger asks it again and
// again; one that got no answer for kLimit does not know any more what holds, and whoever needs to
// know is refused (503) rather than served.
//
// Time    the loop's: monotonic milliseconds (net::Loop::now, std::chrono::steady_clock).
// Thread  any.
// Source  architecture 3.6.
#pragma once

#include <atomic>
#include <chrono>

#include "octroi/base/clock.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

class Freshness {
 public:
  static constexpr Millis kLimit{200};
  /// A machine that is busy answers late: as long as this a request waits before it is refused.
  static constexpr Millis kPatience{300};

  /// What is published was true when the ledger was asked, at `asked`.
  void confirm(Millis asked) noexcept {
    auto before = confirmed_.load(std::memory_order_relaxed);
    while (before < asked.count() &&
           !confirmed_.compare_exchange_weak(before, asked.count(), std::memory_order_release)) {
    }
  }
  [[nodiscard]] bool at(Millis now) const noexcept {
    return now.count() - confirmed_.load(std::memory_order_acquire) <= kLimit.count();
  }
  /// False: it did not become fresh within the patience. Nothing is allocated when it is.
  [[nodiscard]] Task<bool> wait(net::Loop& loop) const {
    if (at(loop.now())) return Task<bool>::done(true);
    return wait_for_it(&loop);
  }
  [[nodiscard]] static Millis now() {
    return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch());
  }

 private:
  Task<bool> wait_for_it(net::Loop* loop) const {
    const Millis until = loop->now() + kPatience;
    while (loop->now() < until) {
      co_await loop->sleep(Millis(10));
      if (at(loop->now())) co_return true;
    }
    co_return false;
  }
  std::atomic<Millis::rep> confirmed_{-1'000'000'000};
};

}  // namespace octroi::paywall
