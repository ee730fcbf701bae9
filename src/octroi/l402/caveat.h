// octroi/l402/caveat.h: the caveats of an L402 token: `condition=value`.
//
//   services=weather:0,maps:1          what the token opens; names and tiers 0…255
//   weather_capabilities=read,write    what it may do there
//   weather_valid_until=1700000000     unix seconds, exclusive
//   weather_max_requests=100           how many requests the token opens in all; counted by the
//                                      caller
//   weather_meter=token:100000         how many units the token opens in all, and of what; counted
//                                      by the caller
//   max_size=1000                      a constraint: any other condition that the request has a
//                                      Fact for
//
// Attenuation: a condition may be repeated, and every later one may only restrict the one before
// it: `services` and capabilities to a subset (tiers never rise), `valid_until` never later,
// `max_requests` and `meter` never more, and a meter never of another unit; a
// constraint of decimal digits is an upper bound that never rises, any other constraint is a comma
// list of allowed values that never grows. The last one of a condition is what the request must
// satisfy. Conditions about other services, and conditions nobody knows, are skipped, as the field
// does.
//
// Errors   Errc::malformed for a known condition whose value breaks its grammar, Errc::expired,
//          Errc::caveat_denied.
// Thread   pure, any thread; nothing is allocated on success.
// Source   L402 "protocol specification", caveats and their verification.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/l402/error.h"
#include "octroi/l402/macaroon.h"

namespace octroi::l402 {

/// `condition=value`, split at the first '='.
struct Condition {
  std::string_view name;
  std::string_view value;
};
/// Empty when there is no '=' or nothing before it: such a caveat is unknown to everybody.
[[nodiscard]] std::optional<Condition> split_caveat(std::string_view caveat);

/// Something true of the request that a constraint may be about.
struct Fact {
  std::string_view name;  // the constraint's condition
  std::string_view
      value;  // compared as a number when the caveat is one, else as a member of its list
};

/// What the request asks for.
struct ServiceView {
  std::string_view name;
  std::uint8_t tier = 0;                             // the lowest tier that is enough
  std::span<const std::string_view> capabilities{};  // each of them is needed
  std::span<const Fact> facts{};
};

/// What a counted token opens: units of one kind, as many for each copy as its last condition says.
struct MeterGrant {
  std::string_view unit;   // a name; within the macaroon's bytes
  std::int64_t bound = 0;  // of this copy
  std::int64_t first = 0;  // of the first such condition: what was sold, where the seller wrote it
  /// `valid_until` as it stood before the first meter. The seller writes the meter last, so this is
  /// the end of all copies of what it sold.
  std::optional<UnixMillis> sold_until;
};

struct CaveatGrant {
  std::uint8_t tier = 0;
  std::optional<UnixMillis> valid_until;  // exclusive
  std::optional<std::int64_t> max_requests;
  std::optional<MeterGrant> meter;
};

/// Checks every caveat against the request. A token without `services` opens nothing.
[[nodiscard]] Result<CaveatGrant> check_caveats(const CaveatRange& caveats,
                                                const ServiceView& service, UnixMillis now);

/// Whether the text may stand as a service or capability name: not empty, printable ASCII without
/// space, comma, colon, equals sign, double quote and backslash.
[[nodiscard]] bool is_caveat_name(std::string_view text);

}  // namespace octroi::l402
