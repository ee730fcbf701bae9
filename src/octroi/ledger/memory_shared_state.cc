#include "octroi/ledger/memory_shared_state.h"

#include <algorithm>

namespace octroi::ledger {

Result<> MemorySharedState::up() const {
  if (up_) return {};
  return fail(SharedErrc::unavailable, "shared: taken away by the test");
}

void MemorySharedState::forget() {
  const std::lock_guard lock(mutex_);
  born_ = clock_.now();
  buckets_.clear();
  clients_.clear();
}

Task<Result<Room>> MemorySharedState::take_rates(std::vector<RateBucket> buckets) {
  ++asked_;
  OCTROI_CO_CHECK(up());
  const std::lock_guard lock(mutex_);
  const UnixMillis now = clock_.now();
  Room room;
  std::map<std::string, std::int64_t> levels;
  for (const RateBucket& b : buckets) {
    if (b.requests <= 0) continue;
    const std::int64_t unit = std::max<std::int64_t>(1, b.per.count());
    const std::string name = fmt::format("{} {} {} {}", b.requests, unit, b.burst, b.name);
    const std::int64_t full = (b.burst > 0 ? b.burst : b.requests) * unit;
    const auto filled = [&](std::int64_t from, UnixMillis since) {
      const auto elapsed =
          std::clamp<std::int64_t>((now - since).count(), 0, full / b.requests + 1);
      return std::min(full, from + elapsed * b.requests);
    };
    std::int64_t level = born_ ? filled(0, *born_) : full;
    if (const auto kept = buckets_.find(name); kept != buckets_.end()) {
      level = filled(kept->second.level, kept->second.at);
    }
    levels[name] = level - unit;
    if (level < unit) {
      room.granted = false;
      room.retry_after =
          std::max(room.retry_after, Millis((unit - level + b.requests - 1) / b.requests));
    }
  }
  if (room.granted) {
    for (const auto& [which, level] : levels) buckets_[which] = {level, now};
  }
  co_return room;
}

Task<Result<Room>> MemorySharedState::reserve_unpaid(UnpaidPlace place, std::int64_t max) {
  ++asked_;
  OCTROI_CO_CHECK(up());
  const std::lock_guard lock(mutex_);
  const UnixMillis now = clock_.now();
  auto& held = clients_[place.client];
  std::erase_if(held, [now](const auto& h) { return h.second.expires <= now; });
  if (held.size() >= static_cast<std::size_t>(max)) {
    UnixMillis first = held.begin()->second.expires;
    for (const auto& [ticket, h] : held) first = std::min(first, h.expires);
    co_return Room{false, first - now};
  }
  held[place.ticket] = {now + place.left, place.hash};
  co_return Room{};
}

void MemorySharedState::attach_unpaid(UnpaidPlace place) {
  const std::lock_guard lock(mutex_);
  auto& held = clients_[place.client];
  if (const auto it = held.find(place.ticket); it != held.end()) it->second.hash = place.hash;
}

void MemorySharedState::release_unpaid(UnpaidPlace place) {
  const std::lock_guard lock(mutex_);
  clients_[place.client].erase(place.ticket);
}

void MemorySharedState::settle_unpaid(PaymentHash hash) {
  const std::lock_guard lock(mutex_);
  for (auto& [client, held] : clients_) {
    std::erase_if(held, [&](const auto& h) { return h.second.hash == hash; });
  }
}

}  // namespace octroi::ledger
