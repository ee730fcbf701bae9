// octroi/upstream/balancer.h: which address the next request goes to.
//
// Good addresses before doubtful ones, doubtful ones before those that refused a connection a
// moment ago: when all are bad all are tried, so that a mistaken check, or an outage that is over,
// is no outage of the service. Among equals the policy decides.
//
// Thread  one a worker and service; the standing of addresses is read from shared atomics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "octroi/upstream/group.h"

namespace octroi::upstream {

/// One bit for each address of a group.
using AddressSet = std::uint64_t;
[[nodiscard]] constexpr AddressSet bit(std::size_t address) { return AddressSet{1} << address; }

class Balancer {
 public:
  /// `turn` differs between workers, so that they do not all begin with the same address. What
  /// `before` has under way at an address that stays is still counted.
  Balancer(std::shared_ptr<const Group> group, std::size_t turn, const Balancer* before = nullptr);

  [[nodiscard]] const Group& group() const noexcept { return *group_; }
  [[nodiscard]] std::size_t size() const noexcept { return lanes_.size(); }
  [[nodiscard]] AddressSet all() const noexcept {
    return size() >= 64 ? ~AddressSet{0} : (AddressSet{1} << size()) - 1;
  }
  /// The next address that is not in `tried`; empty when there is none.
  [[nodiscard]] std::optional<std::size_t> pick(AddressSet tried, UnixMillis now);

  /// False when the address has as many requests under way as it may have.
  [[nodiscard]] bool enter(std::size_t address) noexcept;
  void leave(std::size_t address) noexcept;
  /// Of this worker.
  [[nodiscard]] std::int64_t under_way(std::size_t address) const noexcept {
    return *lanes_[address].under_way;
  }
  [[nodiscard]] AddressState& state(std::size_t address) const noexcept {
    return *group_->addresses[address];
  }

 private:
  struct Lane {
    std::int64_t weight = 1;
    std::int64_t credit = 0;                  // round robin: who has waited most has most
    std::shared_ptr<std::int64_t> under_way;  // shared with the balancers before and after
  };
  [[nodiscard]] AddressSet best_standing(AddressSet among, UnixMillis now) const;
  [[nodiscard]] std::size_t in_turn(AddressSet among);
  [[nodiscard]] std::size_t least_busy(AddressSet among);

  std::shared_ptr<const Group> group_;
  std::vector<Lane> lanes_;
  std::size_t turn_;
};

}  // namespace octroi::upstream
