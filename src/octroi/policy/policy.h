// octroi/policy/policy.h: what a vault key may do, and the one text form of it.
//
// Deny     is the default: an operation that no endpoint names is refused, a policy without
//          endpoints allows nothing, and `expires` ends everything.
// Lists    customers, recipients, countries and senders: everything that a call names must be in
//          them. A call that should name one and does not is refused.
// Text     JSON with the keys of the configuration (docs/policy.md). Its canonical form (RFC 8785,
//          amounts and durations in one spelling, lists in their order, nothing that is default) is
//          what is hashed, stored and shown; a policy is the same policy if and only if the hash
//          is.
// Version  counts the changes of a policy of this name; it is no part of the text.
// Thread   immutable once parsed; share it as a snapshot.
// Errors   Errc::bad_policy, with the path of the field and what to write instead.
// Source   architecture 3.3, issue 6 "Policy".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/money/money.h"
#include "octroi/policy/call.h"
#include "octroi/policy/time_zone.h"

namespace octroi::policy {

/// What an `endpoints` entry names: "charges.create", "customers.*", "*", "GET /v1/charges/**",
/// "* /v1/refunds". In paths `*` is one segment and `**` any number of them at the end.
struct Endpoint {
  std::string method;  // of a path: upper case, or "*"; empty: `pattern` is an operation
  std::string pattern;
  [[nodiscard]] bool is_path() const { return !method.empty(); }
  bool operator==(const Endpoint&) const = default;
};

/// How long a cap counts.
enum class Period : std::uint8_t { hour, day, month, run, lifetime };
[[nodiscard]] std::string_view to_string(Period p);

/// Whose calls a cap counts together.
enum class CountedBy : std::uint8_t {
  policy,    // all keys of the policy
  key,       // each key alone
  agent,     // each agent; a call without one is refused
  run,       // each run; likewise
  customer,  // each customer that is named; likewise
};
[[nodiscard]] std::string_view to_string(CountedBy b);

/// At most `usd` and at most `calls` in a period. One of them is there.
struct Cap {
  Period period = Period::day;
  std::optional<Direction> direction;  // empty: every direction
  CountedBy by = CountedBy::policy;
  std::string budget;  // policies that name the same one count together; empty: this policy alone
  std::optional<MicroUsd> usd;
  std::optional<std::int64_t> calls;
  bool operator==(const Cap&) const = default;
};

/// What a field of the request must be.
enum class FieldTest : std::uint8_t {
  one_of,    // its value is one of these
  none_of,   // it is none of them, or absent
  like,      // it matches one of these patterns, `*` for anything
  at_most,   // an integer up to this
  at_least,  // an integer from this on
  present,
  absent,
};
[[nodiscard]] std::string_view to_string(FieldTest t);

struct FieldRule {
  std::string field;  // as sent: "metadata[order]", "transfer_data.destination"; `*` for anything
  FieldTest test = FieldTest::one_of;
  std::vector<std::string> values;  // one_of, none_of, like
  std::int64_t bound = 0;           // at_most, at_least
  std::vector<Endpoint> endpoints;  // only there; empty: everywhere but reads
  bool operator==(const FieldRule&) const = default;
};

/// What too many calls in a short time do.
enum class BrakeAction : std::uint8_t { deny, pause };

/// A brake for loops: attempts count, also those that the vendor refused.
struct Brake {
  std::optional<std::int64_t> calls;
  std::optional<MicroUsd> usd;
  Millis per{};
  BrakeAction then = BrakeAction::deny;
  CountedBy by = CountedBy::key;
  bool operator==(const Brake&) const = default;
};

/// What to do with a call whose amount or customer is not in the request.
enum class WhenUnknown : std::uint8_t {
  deny,
  lookup,      // ask the vendor with the real key, then judge again
  assume_max,  // amounts only: count the most that one call may move
};
[[nodiscard]] std::string_view to_string(WhenUnknown w);

enum class Mode : std::uint8_t {
  enforce,
  shadow,  // let everything through that the vendor's pack knows, and say what would be refused
};
[[nodiscard]] std::string_view to_string(Mode m);

/// Most that one call may move in one direction.
struct DirectionLimit {
  Direction direction = Direction::charge;
  MicroUsd usd;
  bool operator==(const DirectionLimit&) const = default;
};

struct Policy {
  std::string name;
  std::string vendor;
  Mode mode = Mode::enforce;
  std::vector<Endpoint> endpoints;
  std::optional<MicroUsd> max_amount;
  std::vector<DirectionLimit> max_amounts;  // tighter ones; at most one a direction
  std::vector<Cap> caps;
  ZonePtr time_zone = TimeZone::utc();  // of days and months
  std::vector<std::string> customers;   // empty: any, and none is needed; likewise the next three
  std::vector<std::string> recipients;  // patterns
  std::vector<std::string> countries;
  std::vector<std::string> senders;  // domains
  std::vector<FieldRule> fields;
  std::optional<Brake> velocity;
  std::optional<MicroUsd> approve_over;  // more than this waits for a human
  std::vector<Endpoint> approve;         // so does every call of these
  Millis dedupe{};                       // zero: off
  WhenUnknown unknown_amount = WhenUnknown::deny;
  WhenUnknown unknown_customer = WhenUnknown::deny;
  std::optional<UnixMillis> expires;

  std::int64_t version = 1;
  std::string text;                     // canonical
  std::array<std::uint8_t, 32> hash{};  // SHA-256 of `text`
  /// "3 (5f2a…)" for people: version and eight digits of the hash.
  [[nodiscard]] std::string shown_version() const;
};

/// 1 to 64 letters, digits, '-', '_' and '.'.
[[nodiscard]] bool is_policy_name(std::string_view name);

/// Finds time zones by name.
using ZoneFinder = std::function<Result<ZonePtr>(const std::string& name)>;
/// Those of the system.
[[nodiscard]] inline Result<ZonePtr> system_zone(const std::string& name) {
  return TimeZone::load(name);
}

/// Parses and checks, and fills `text` and `hash`.
[[nodiscard]] Result<Policy> parse_policy(std::string name, const json::Value& document,
                                          const ZoneFinder& zones);
[[nodiscard]] Result<Policy> parse_policy(std::string name, std::string_view json_text,
                                          const ZoneFinder& zones = system_zone);
/// The canonical text of what it says now.
[[nodiscard]] std::string to_text(const Policy& policy);

/// "charges.create", "customers.*", "GET /v1/charges/**".
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] std::string format(const Endpoint& endpoint);
/// Only a path can name an operation that the pack does not know.
[[nodiscard]] bool matches(const Endpoint& endpoint, const Call& call);
/// `*` stands for any text, also none. Case counts.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

/// What should be looked at: a policy that allows nothing, charges without a cap, and so on.
[[nodiscard]] std::vector<std::string> advice(const Policy& policy);

}  // namespace octroi::policy
