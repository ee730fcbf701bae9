// octroi/ledger/shared_state.h: counters that replicas share, as a port: rate limits and the bound
// on unpaid challenges. Nothing here is money, and nothing here is sold or spent once: that is the
// Store's, which never forgets.
//
// Atomic   each operation is one step, whichever replica asks.
// Time     the keeper's own clock; callers give durations, so that theirs may differ.
// Errors   SharedErrc::unavailable: nobody knows, and the caller fails closed. It heals by itself.
// Forgets  a keeper that lost its memory starts its buckets empty, not full, and is told again by
//          each replica which challenges it has out.
// Thread   any; a Task resumes on its caller's loop.
// Source   architecture 3.6, 4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

enum class SharedErrc : std::uint8_t {
  unavailable,  // cannot be reached, or has just lost its memory
};
ErrorInfo error_info(SharedErrc e);

/// A token bucket: `requests` per `per`, at most `burst` (0: `requests`) at once.
struct RateBucket {
  std::string name;  // of the rule and of who is counted: the same on each replica
  std::int64_t requests = 0;
  Millis per{60'000};
  std::int64_t burst = 0;
};

/// Whether there was room, and if not, how long until there is.
struct Room {
  bool granted = true;
  Millis retry_after{};
};

/// A challenge that is out, as the replica knows it that made it.
struct UnpaidPlace {
  std::string client;
  std::string ticket;               // unlike any other's, of any replica
  std::optional<PaymentHash> hash;  // once it has an invoice
  Millis left{};                    // until it expires
};

class SharedState {
 public:
  virtual ~SharedState() = default;

  /// One token of every bucket, or none of any. A rule without requests has always room.
  virtual Task<Result<Room>> take_rates(std::vector<RateBucket> buckets) = 0;

  /// A place among the client's unpaid challenges for `place.left`, unless `max` are out.
  virtual Task<Result<Room>> reserve_unpaid(UnpaidPlace place, std::int64_t max) = 0;
  /// The place has an invoice now (place.hash): whoever sees it settle gives it up. These are said
  /// without waiting; what gets lost ends when the place expires.
  virtual void attach_unpaid(UnpaidPlace place) = 0;
  virtual void release_unpaid(UnpaidPlace place) = 0;
  virtual void settle_unpaid(PaymentHash hash) = 0;

  /// Whether it answers now; for /readyz.
  [[nodiscard]] virtual Result<> up() const = 0;
};

}  // namespace octroi::ledger
