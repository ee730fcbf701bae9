// octroi/adapters/redis/scripts.h: what Redis does in one step, in its own Lua.
//
// Every script but the first gets the epoch's key as KEYS[1] and the epoch that the caller knows as
// ARGV[1], and answers {-1, 0} without touching anything when Redis knows another one: its memory
// was lost in between. All else is {1, 0} granted, {0, ms} refused for so long.
// Keys   all of one deployment share a hash tag, so that a cluster keeps them on one node.
// Time   Redis's own (TIME), so that replicas whose clocks differ count alike. Version 5 or newer.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace octroi::redis {

enum class Script : std::uint8_t {
  /// KEYS epoch; ARGV the newest number ever seen, a random mark. Answers the epoch, which is made
  /// when there is none, or when it is older than that number.
  claim_epoch,
  /// KEYS epoch, bucket…; ARGV epoch, born, then for each bucket: requests, unit, full.
  take_rates,
  /// KEYS epoch, client; ARGV epoch, born, ticket, max, ms until it expires.
  reserve_unpaid,
  /// KEYS epoch, client, owner of the hash; ARGV epoch, ticket, hash.
  attach_unpaid,
  /// KEYS epoch, client; ARGV epoch, ticket.
  release_unpaid,
  /// KEYS epoch, owner of the hash; ARGV epoch, hash.
  settle_unpaid,
  /// KEYS epoch, client, owner of the hash; ARGV epoch, ticket, hash or "", ms until it expires.
  restore_unpaid,
};
inline constexpr std::size_t kScripts = 7;
inline constexpr std::array<Script, kScripts> kAllScripts = {
    Script::claim_epoch,    Script::take_rates,    Script::reserve_unpaid, Script::attach_unpaid,
    Script::release_unpaid, Script::settle_unpaid, Script::restore_unpaid};

[[nodiscard]] std::string_view source_of(Script s);
/// For metrics: "take_rates".
[[nodiscard]] std::string_view name_of(Script s);

}  // namespace octroi::redis
