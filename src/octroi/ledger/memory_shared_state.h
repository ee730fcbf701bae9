// octroi/ledger/memory_shared_state.h: a complete SharedState in memory, for tests: several gates
// that share it are replicas. Can be taken away and made to forget. Thread: any.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/ledger/shared_state.h"

namespace octroi::ledger {

class MemorySharedState final : public SharedState {
 public:
  explicit MemorySharedState(Clock& clock) : clock_(clock) {}

  Task<Result<Room>> take_rates(std::vector<RateBucket> buckets) override;
  Task<Result<Room>> reserve_unpaid(UnpaidPlace place, std::int64_t max) override;
  void attach_unpaid(UnpaidPlace place) override;
  void release_unpaid(UnpaidPlace place) override;
  void settle_unpaid(PaymentHash hash) override;
  [[nodiscard]] Result<> up() const override;

  void set_up(bool up) { up_ = up; }
  /// Everything is forgotten, and known to be.
  void forget();
  [[nodiscard]] std::size_t asked() const { return asked_; }

 private:
  struct Bucket {
    std::int64_t level = 0;
    UnixMillis at;
  };
  struct Held {
    UnixMillis expires;
    std::optional<PaymentHash> hash;
  };
  Clock& clock_;
  std::atomic<bool> up_{true};
  std::atomic<std::size_t> asked_{0};
  std::mutex mutex_;
  std::optional<UnixMillis> born_;  // again, after something was forgotten
  std::map<std::string, Bucket> buckets_;
  std::map<std::string, std::map<std::string, Held>> clients_;
};

}  // namespace octroi::ledger
