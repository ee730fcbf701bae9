// octroi/vault/freshness.h: until when what is published of keys and policies may be relied on.
//
// Another replica may have revoked a key or tightened a policy. Whoever asks the store says until
// when its answer holds; who is about to forward a call looks at the time itself. So nothing has to
// arrive for a call to be refused: also when the thread that asks, or the database, stands still.
//
// Time     the loop's: monotonic milliseconds (net::Loop::now).
// Thread   any.
#pragma once

#include <atomic>
#include <limits>

#include "octroi/base/clock.h"

namespace octroi::vault {

class Freshness {
 public:
  /// As long as nobody says otherwise: no other process writes to the store.
  static constexpr Millis kForever{std::numeric_limits<Millis::rep>::max()};
  /// From now on nothing may be relied on.
  static constexpr Millis kNever{std::numeric_limits<Millis::rep>::min()};

  void set_until(Millis last) noexcept { until_.store(last.count(), std::memory_order_release); }
  [[nodiscard]] bool at(Millis now) const noexcept {
    return now.count() <= until_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<Millis::rep> until_{kNever.count()};
};

}  // namespace octroi::vault
