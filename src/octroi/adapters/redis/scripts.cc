#include "octroi/adapters/redis/scripts.h"

namespace octroi::redis {
namespace {

// An epoch is "<number> <born> <random>". The first one of a deployment has born 0: there was
// nothing to forget. Later ones carry the moment from which buckets fill.
constexpr std::string_view kClaimEpoch = R"lua(
local known = redis.call('GET', KEYS[1])
local newest = tonumber(ARGV[1])
if known then
  local number = tonumber(string.match(known, '^(%d+) '))
  if number and number >= newest then return known end
end
local born = 0
if newest > 0 then
  local t = redis.call('TIME')
  born = t[1] * 1000 + math.floor(t[2] / 1000)
end
local fresh = string.format('%.0f %.0f %s', newest + 1, born, ARGV[2])
redis.call('SET', KEYS[1], fresh)
return fresh
)lua";

// A bucket is "<level> <ms>": tokens times unit at that time. One token is `unit` of level, and
// each millisecond adds `requests`. A bucket that is not there is full, unless the epoch is younger
// than what it takes to fill: then nobody knows what was taken from it before.
constexpr std::string_view kTakeRates = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local born = tonumber(ARGV[2])
local wait = 0
local levels = {}
for i = 2, #KEYS do
  local a = (i - 2) * 3 + 3
  local requests, unit, full = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local level = full
  if born > 0 then level = math.min(full, math.max(0, now - born) * requests) end
  local kept = redis.call('GET', KEYS[i])
  if kept then
    local had, at = string.match(kept, '^(%d+) (%d+)$')
    if had then level = math.min(full, had + math.max(0, now - at) * requests) end
  end
  levels[i] = level - unit
  if level < unit then wait = math.max(wait, math.ceil((unit - level) / requests)) end
end
if wait > 0 then return {0, wait} end
for i = 2, #KEYS do
  local a = (i - 2) * 3 + 3
  local fills = math.ceil((tonumber(ARGV[a + 2]) - levels[i]) / tonumber(ARGV[a])) + 1000
  redis.call('SET', KEYS[i], string.format('%.0f %.0f', levels[i], now),
             'PX', string.format('%.0f', fills))
end
return {1, 0}
)lua";

// A client is a sorted set of its places by the moment they expire. Right after memory was lost
// the replicas are still telling which places they gave away.
constexpr std::string_view kReserveUnpaid = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local settled = tonumber(ARGV[2]) + 1000
if tonumber(ARGV[2]) > 0 and now < settled then return {-2, settled - now} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  return {0, tonumber(first[2]) - now}
end
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[5])), ARGV[3])
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', tonumber(last[2])))
return {1, 0}
)lua";

// From here on the place is known by its invoice, to every replica.
constexpr std::string_view kAttachUnpaid = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local expires = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not expires then return {0, 0} end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[2], expires, ARGV[3])
redis.call('SET', KEYS[3], KEYS[2])
redis.call('PEXPIREAT', KEYS[3], string.format('%.0f', tonumber(expires)))
return {1, 0}
)lua";

constexpr std::string_view kReleaseUnpaid = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
redis.call('ZREM', KEYS[2], ARGV[2])
return {1, 0}
)lua";

constexpr std::string_view kSettleUnpaid = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local client = redis.call('GET', KEYS[2])
if not client then return {0, 0} end
redis.call('ZREM', client, ARGV[2])
redis.call('DEL', KEYS[2])
return {1, 0}
)lua";

constexpr std::string_view kRestoreUnpaid = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local t = redis.call('TIME')
local expires = t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(ARGV[4])
local member = ARGV[2]
if ARGV[3] ~= '' then
  member = ARGV[3]
  redis.call('SET', KEYS[3], KEYS[2])
  redis.call('PEXPIREAT', KEYS[3], string.format('%.0f', expires))
end
redis.call('ZADD', KEYS[2], string.format('%.0f', expires), member)
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', tonumber(last[2])))
return {1, 0}
)lua";

}  // namespace

std::string_view source_of(Script s) {
  switch (s) {
    case Script::claim_epoch:
      return kClaimEpoch;
    case Script::take_rates:
      return kTakeRates;
    case Script::reserve_unpaid:
      return kReserveUnpaid;
    case Script::attach_unpaid:
      return kAttachUnpaid;
    case Script::release_unpaid:
      return kReleaseUnpaid;
    case Script::settle_unpaid:
      return kSettleUnpaid;
    case Script::restore_unpaid:
      return kRestoreUnpaid;
  }
  return {};
}

std::string_view name_of(Script s) {
  switch (s) {
    case Script::claim_epoch:
      return "claim_epoch";
    case Script::take_rates:
      return "take_rates";
    case Script::reserve_unpaid:
      return "reserve_unpaid";
    case Script::attach_unpaid:
      return "attach_unpaid";
    case Script::release_unpaid:
      return "release_unpaid";
    case Script::settle_unpaid:
      return "settle_unpaid";
    case Script::restore_unpaid:
      return "restore_unpaid";
  }
  return {};
}

}  // namespace octroi::redis
