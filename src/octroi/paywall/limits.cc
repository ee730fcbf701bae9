#include "octroi/paywall/limits.h"

#include <algorithm>
#include <limits>

namespace octroi::paywall {

// ---------------------------------------------------------------------------------------------
// UnpaidBound

std::string UnpaidBound::key_of(const net::IpAddress& client, OfferScheme scheme) {
  std::string key(1, static_cast<char>(scheme));
  key += as_text(client.bytes());
  return key;
}
UnpaidBound::Shard& UnpaidBound::shard_of(const std::string& key) {
  return shards_[std::hash<std::string>{}(key) % kShards];
}
UnpaidBound::HashShard& UnpaidBound::shard_of(const PaymentHash& hash) {
  return hashes_[std::hash<PaymentHash>{}(hash) % kShards];
}

void UnpaidBound::sweep(Shard& shard, UnixMillis now) {
  for (auto it = shard.clients.begin(); it != shard.clients.end();) {
    std::erase_if(it->second, [now](const Held& h) { return h.expires <= now; });
    it = it->second.empty() ? shard.clients.erase(it) : std::next(it);
  }
}

UnpaidBound::Place UnpaidBound::reserve(const net::IpAddress& client, OfferScheme scheme,
                                        UnixMillis now, UnixMillis expires) {
  if (max_ <= 0) return {true, 0, {}};
  return reserve_under(max_, key_of(client, scheme), now, expires);
}

UnpaidBound::Place UnpaidBound::reserve_under(std::int64_t max, const std::string& key,
                                              UnixMillis now, UnixMillis expires) {
  Place place;
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  // A client that never comes back would leave its entry for ever: look at all of them now and
  // then.
  if (++shard.touches % 1024 == 0) sweep(shard, now);
  auto& held = shard.clients[key];
  std::erase_if(held, [now](const Held& h) { return h.expires <= now; });
  if (held.size() >= static_cast<std::size_t>(max)) {
    UnixMillis first = held.front().expires;
    for (const Held& h : held) first = std::min(first, h.expires);
    place.retry_after = first - now;
    return place;
  }
  place.granted = true;
  place.ticket = next_ticket_.fetch_add(1, std::memory_order_relaxed);
  held.push_back({place.ticket, expires, std::nullopt});
  return place;
}

Task<Result<UnpaidBound::Place>> UnpaidBound::reserve_of_all(net::IpAddress client,
                                                             OfferScheme scheme, UnixMillis now,
                                                             UnixMillis expires) {
  if (state_ == nullptr || max_ <= 0) {
    return Task<Result<Place>>::done(reserve(client, scheme, now, expires));
  }
  return ask_all(client, scheme, now, expires);
}

/// Kept here first: a state that loses its memory while it is asked is told of it.
Task<Result<UnpaidBound::Place>> UnpaidBound::ask_all(net::IpAddress client, OfferScheme scheme,
                                                      UnixMillis now, UnixMillis expires) {
  const std::string key = key_of(client, scheme);
  Place place = reserve_under(std::numeric_limits<std::int64_t>::max(), key, now, expires);
  auto wanted = shown(key, place.ticket);
  wanted.left = expires - now;
  const auto room = co_await state_->reserve_unpaid(std::move(wanted), max_);
  if (room && room->granted) co_return place;
  forget(key, place.ticket);
  if (!room) co_return fail(room.error());
  co_return Place{false, 0, room->retry_after};
}

ledger::UnpaidPlace UnpaidBound::shown(const std::string& key, std::uint64_t ticket) const {
  return {key, fmt::format("{}:{}", mark_, ticket), std::nullopt, {}};
}

std::vector<ledger::UnpaidPlace> UnpaidBound::places(UnixMillis now) {
  std::vector<ledger::UnpaidPlace> out;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, held] : shard.clients) {
      for (const Held& h : held) {
        if (h.expires <= now) continue;
        out.push_back(shown(key, h.ticket));
        out.back().hash = h.hash;
        out.back().left = h.expires - now;
      }
    }
  }
  return out;
}

void UnpaidBound::attach(const Place& place, const net::IpAddress& client, OfferScheme scheme,
                         const PaymentHash& hash) {
  if (place.ticket == 0) return;
  const std::string key = key_of(client, scheme);
  UnixMillis expires;
  {
    Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    auto entry = shard.clients.find(key);
    if (entry == shard.clients.end()) return;
    auto held = std::find_if(entry->second.begin(), entry->second.end(),
                             [&](const Held& h) { return h.ticket == place.ticket; });
    if (held == entry->second.end()) return;
    held->hash = hash;
    expires = held->expires;
  }
  if (state_ != nullptr) {
    auto told = shown(key, place.ticket);
    told.hash = hash;
    state_->attach_unpaid(std::move(told));
  }
  HashShard& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (++shard.touches % 1024 == 0) {
    std::erase_if(shard.owners,
                  [&](const auto& e) { return e.second.expires <= expires - Millis(3'600'000); });
  }
  shard.owners[hash] = {key, expires};
}

void UnpaidBound::release(const Place& place, const net::IpAddress& client, OfferScheme scheme) {
  if (place.ticket == 0) return;
  const std::string key = key_of(client, scheme);
  forget(key, place.ticket);
  if (state_ != nullptr) state_->release_unpaid(shown(key, place.ticket));
}

void UnpaidBound::forget(const std::string& key, std::uint64_t ticket) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  if (auto entry = shard.clients.find(key); entry != shard.clients.end()) {
    std::erase_if(entry->second, [&](const Held& h) { return h.ticket == ticket; });
    if (entry->second.empty()) shard.clients.erase(entry);
  }
}

void UnpaidBound::settled(const PaymentHash& hash) {
  // Another replica may have made it.
  if (state_ != nullptr && max_ > 0) state_->settle_unpaid(hash);
  std::string key;
  {
    HashShard& shard = shard_of(hash);
    std::lock_guard lock(shard.mutex);
    auto owner = shard.owners.find(hash);
    if (owner == shard.owners.end()) return;
    key = std::move(owner->second.client);
    shard.owners.erase(owner);
  }
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  if (auto entry = shard.clients.find(key); entry != shard.clients.end()) {
    std::erase_if(entry->second, [&](const Held& h) { return h.hash == hash; });
    if (entry->second.empty()) shard.clients.erase(entry);
  }
}

std::size_t UnpaidBound::count(const net::IpAddress& client, OfferScheme scheme, UnixMillis now) {
  const std::string key = key_of(client, scheme);
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  auto entry = shard.clients.find(key);
  if (entry == shard.clients.end()) return 0;
  return static_cast<std::size_t>(std::count_if(entry->second.begin(), entry->second.end(),
                                                [now](const Held& h) { return h.expires > now; }));
}

// ---------------------------------------------------------------------------------------------
// RateLimiter

std::string RateLimiter::key_of(std::uint64_t rule, std::string_view client) {
  std::string key(reinterpret_cast<const char*>(&rule), sizeof rule);
  key += client;
  return key;
}

RateLimiter::Verdict RateLimiter::take(std::uint64_t rule, std::string_view client,
                                       const RateLimit& limit, UnixMillis now) {
  if (limit.requests <= 0) return {};
  // One token is `per` milliseconds' worth of level; each millisecond adds `requests`.
  const std::int64_t unit = std::max<std::int64_t>(1, limit.per.count());
  const std::int64_t full = (limit.burst > 0 ? limit.burst : limit.requests) * unit;
  std::string key = key_of(rule, client);
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  auto found = shard.index.find(key);
  if (found == shard.index.end()) {
    if (shard.index.size() >= std::max<std::size_t>(1, max_keys_ / kShards)) {
      shard.index.erase(shard.recent.back().key);
      shard.recent.pop_back();
    }
    shard.recent.push_front({std::move(key), full, unit, full, now});
    found = shard.index.emplace(shard.recent.front().key, shard.recent.begin()).first;
  } else {
    shard.recent.splice(shard.recent.begin(), shard.recent, found->second);
  }
  Bucket& bucket = *found->second;
  // The time it takes to fill bounds the product below, whatever the clock did.
  const std::int64_t elapsed =
      std::clamp<std::int64_t>((now - bucket.filled).count(), 0, full / limit.requests + 1);
  bucket.level = std::min(full, bucket.level + elapsed * limit.requests);
  bucket.filled = now;
  bucket.unit = unit;
  bucket.full = full;
  if (bucket.level >= unit) {
    bucket.level -= unit;
    return {};
  }
  return {false, Millis((unit - bucket.level + limit.requests - 1) / limit.requests)};
}

void RateLimiter::give_back(std::uint64_t rule, std::string_view client) {
  const std::string key = key_of(rule, client);
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  if (auto found = shard.index.find(key); found != shard.index.end()) {
    Bucket& bucket = *found->second;
    bucket.level = std::min(bucket.full, bucket.level + bucket.unit);
  }
}

}  // namespace octroi::paywall
