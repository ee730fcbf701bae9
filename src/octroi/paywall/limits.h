// octroi/paywall/limits.h: bounds that are exact over all workers of the process: unpaid challenges
// a client, and token-bucket rates. Replicas that share a SharedState keep the first there too,
// and the second only there.
//
// Both are sharded by the hash of their key, one mutex a shard, held for a look-up and never across
// a suspension. Memory is bounded: the oldest keys are dropped when a shard is full (rates),
// expired ones at every touch (unpaid). Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/ledger/shared_state.h"
#include "octroi/net/address.h"
#include "octroi/paywall/settings.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

/// Counts challenges that were handed out, are not settled and have not expired, a client and
/// scheme.
class UnpaidBound {
 public:
  explicit UnpaidBound(std::int64_t max) : max_(max) {}
  /// From now on the bound is that of all who share `state`; `mark` is this process's own. What is
  /// out here is kept still, to tell it again to a state that forgot. Before anything else.
  void share(ledger::SharedState& state, std::string mark) {
    state_ = &state;
    mark_ = std::move(mark);
  }

  /// A place under the bound, or how long until one becomes free.
  struct Place {
    bool granted = false;
    std::uint64_t ticket = 0;
    Millis retry_after{};
  };
  [[nodiscard]] Place reserve(const net::IpAddress& client, OfferScheme scheme, UnixMillis now,
                              UnixMillis expires);
  /// The same under the bound that is shared, where one is; an error: nobody knows it.
  [[nodiscard]] Task<Result<Place>> reserve_of_all(net::IpAddress client, OfferScheme scheme,
                                                   UnixMillis now, UnixMillis expires);
  /// The place belongs to this invoice from now on, until it settles or expires.
  void attach(const Place& place, const net::IpAddress& client, OfferScheme scheme,
              const PaymentHash& hash);
  /// No challenge came of it.
  void release(const Place& place, const net::IpAddress& client, OfferScheme scheme);
  void settled(const PaymentHash& hash);
  /// Everything that is out.
  [[nodiscard]] std::vector<ledger::UnpaidPlace> places(UnixMillis now);
  [[nodiscard]] std::size_t count(const net::IpAddress& client, OfferScheme scheme, UnixMillis now);

 private:
  struct Held {
    std::uint64_t ticket;
    UnixMillis expires;
    std::optional<PaymentHash> hash;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<Held>> clients;
    std::uint32_t touches = 0;
  };
  struct Owner {
    std::string client;
    UnixMillis expires;
  };
  struct HashShard {
    std::mutex mutex;
    std::unordered_map<PaymentHash, Owner> owners;
    std::uint32_t touches = 0;
  };
  static constexpr std::size_t kShards = 64;
  static std::string key_of(const net::IpAddress& client, OfferScheme scheme);
  Shard& shard_of(const std::string& key);
  HashShard& shard_of(const PaymentHash& hash);
  void forget(const std::string& key, std::uint64_t ticket);
  static void sweep(Shard& shard, UnixMillis now);
  Place reserve_under(std::int64_t max, const std::string& key, UnixMillis now, UnixMillis expires);
  Task<Result<Place>> ask_all(net::IpAddress client, OfferScheme scheme, UnixMillis now,
                              UnixMillis expires);
  [[nodiscard]] ledger::UnpaidPlace shown(const std::string& key, std::uint64_t ticket) const;

  std::int64_t max_;
  ledger::SharedState* state_ = nullptr;
  std::string mark_;
  std::atomic<std::uint64_t> next_ticket_{1};
  std::array<Shard, kShards> shards_;
  std::array<HashShard, kShards> hashes_;
};

/// Token buckets. A rule of N requests per T with burst B fills at N/T and holds at most B.
class RateLimiter {
 public:
  explicit RateLimiter(std::size_t max_keys = 100'000) : max_keys_(max_keys) {}
  struct Verdict {
    bool allowed = true;
    Millis retry_after{};
  };
  /// Takes one token of the bucket (rule, client).
  [[nodiscard]] Verdict take(std::uint64_t rule, std::string_view client, const RateLimit& limit,
                             UnixMillis now);
  /// Gives one back: another rule refused the same request.
  void give_back(std::uint64_t rule, std::string_view client);

 private:
  struct Bucket {
    std::string key;
    std::int64_t level = 0;  // in units of 1/per tokens: exact, no floating point
    std::int64_t unit = 1;
    std::int64_t full = 0;
    UnixMillis filled;
  };
  struct Shard {
    std::mutex mutex;
    std::list<Bucket> recent;  // front: last used
    std::unordered_map<std::string_view, std::list<Bucket>::iterator> index;
  };
  static constexpr std::size_t kShards = 64;
  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>{}(key) % kShards];
  }
  static std::string key_of(std::uint64_t rule, std::string_view client);

  std::size_t max_keys_;
  std::array<Shard, kShards> shards_;
};

}  // namespace octroi::paywall
