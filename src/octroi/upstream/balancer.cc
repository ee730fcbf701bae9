#include "octroi/upstream/balancer.h"

#include <array>
#include <bit>

namespace octroi::upstream {

namespace {

/// Calls f(address) for each in the set.
template <class F>
void each(AddressSet set, F f) {
  for (; set != 0; set &= set - 1) f(static_cast<std::size_t>(std::countr_zero(set)));
}

}  // namespace

Balancer::Balancer(std::shared_ptr<const Group> group, std::size_t turn, const Balancer* before)
    : group_(std::move(group)), turn_(turn) {
  lanes_.resize(group_->addresses.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].weight = group_->weights[i];
    for (std::size_t k = 0; before != nullptr && k < before->size(); ++k) {
      if (before->group_->addresses[k] != group_->addresses[i]) continue;
      lanes_[i].under_way = before->lanes_[k].under_way;
      lanes_[i].credit = before->lanes_[k].credit;
    }
    if (!lanes_[i].under_way) lanes_[i].under_way = std::make_shared<std::int64_t>(0);
  }
  if (before == nullptr && size() > 1) {
    for (std::size_t i = 0; i < turn % size(); ++i) std::ignore = in_turn(all());
  }
}

std::optional<std::size_t> Balancer::pick(AddressSet tried, UnixMillis now) {
  const AddressSet left = all() & ~tried;
  if (left == 0) return std::nullopt;
  const AddressSet among = std::has_single_bit(left) ? left : best_standing(left, now);
  if (std::has_single_bit(among)) return static_cast<std::size_t>(std::countr_zero(among));
  switch (group_->policy.balance) {
    case Balance::round_robin:
      return in_turn(among);
    case Balance::least_requests:
      return least_busy(among);
  }
  return std::nullopt;
}

AddressSet Balancer::best_standing(AddressSet among, UnixMillis now) const {
  std::array<AddressSet, 3> by_standing{};
  each(among, [&](std::size_t i) {
    by_standing[static_cast<std::size_t>(state(i).standing(now))] |= bit(i);
  });
  for (const AddressSet set : by_standing) {
    if (set != 0) return set;
  }
  return among;
}

/// Smooth weighted round robin: each turn everybody earns its weight, and who has most pays for
/// all. Equal weights make it plain rotation.
std::size_t Balancer::in_turn(AddressSet among) {
  std::int64_t earned = 0;
  std::size_t best = static_cast<std::size_t>(std::countr_zero(among));
  each(among, [&](std::size_t i) {
    lanes_[i].credit += lanes_[i].weight;
    earned += lanes_[i].weight;
    if (lanes_[i].credit > lanes_[best].credit) best = i;
  });
  lanes_[best].credit -= earned;
  return best;
}

std::size_t Balancer::least_busy(AddressSet among) {
  // Equally busy ones take turns.
  const std::size_t start = turn_++ % size();
  std::optional<std::size_t> best;
  for (std::size_t k = 0; k < size(); ++k) {
    const std::size_t i = (start + k) % size();
    if ((among & bit(i)) == 0) continue;
    // Fewest a unit of weight, compared without dividing.
    if (!best || under_way(i) * lanes_[*best].weight < under_way(*best) * lanes_[i].weight)
      best = i;
  }
  return *best;
}

bool Balancer::enter(std::size_t address) noexcept {
  if (!state(address).enter(group_->policy.max_connections)) return false;
  ++*lanes_[address].under_way;
  return true;
}

void Balancer::leave(std::size_t address) noexcept {
  state(address).leave(group_->policy.max_connections);
  --*lanes_[address].under_way;
}

}  // namespace octroi::upstream
