#include "octroi/paywall/limits.h"

#include <algorithm>

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
  Place place;
  if (max_ <= 0) {
    place.granted = true;
    return place;
  }
  const std::string key = key_of(client, scheme);
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  // A client that never comes back would leave its entry for ever: look at all of them now and
  // then.
  if (++shard.touches % 1024 == 0) sweep(shard, now);
  auto& held = shard.clients[key];
  std::erase_if(held, [now](const Held& h) { return h.expires <= now; });
  if (held.size() >= static_cast<std::size_t>(max_)) {
    UnixMillis first = held.front().expires;
    for (const Held& h : held) first = std::min(first, h.expires);
    place.retry_after = first - now;
    return place;
  }
  place.granted = true;
  place.ticket = shard.next_ticket++;
  held.push_back({place.ticket, expires, std::nullopt});
  return place;
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
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  if (auto entry = shard.clients.find(key); entry != shard.clients.end()) {
    std::erase_if(entry->second, [&](const Held& h) { return h.ticket == place.ticket; });
  }
}

void UnpaidBound::settled(const PaymentHash& hash) {
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
