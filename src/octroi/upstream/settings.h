// octroi/upstream/settings.h: what is told about the addresses of one service: where they are, how
// requests are shared out among them, and when one is left alone. Plain data; config fills it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"

namespace octroi::upstream {

/// One place that serves a service.
struct Address {
  std::string host;
  std::uint16_t port = 80;
  std::int64_t weight = 1;
  bool operator==(const Address&) const = default;
};
/// More would make the choice dear for every request; use a name with several records instead.
inline constexpr std::size_t kMaxAddresses = 64;

enum class Balance : std::uint8_t {
  round_robin,     // in turn, by weight
  least_requests,  // the one with the fewest requests under way, by weight
};

struct StatusRange {
  int first = 200;
  int last = 399;
  bool operator==(const StatusRange&) const = default;
};

/// Asking each address regularly how it is.
struct HealthSettings {
  std::string path;  // empty: only whether a connection can be made
  Millis interval{10'000};
  Millis timeout{2'000};
  std::int64_t healthy = 2;    // good answers in a row that bring an address back
  std::int64_t unhealthy = 3;  // bad ones in a row that take it out
  std::vector<StatusRange> status = {{}};
  bool operator==(const HealthSettings&) const = default;
};

/// Learning from the requests themselves.
struct PassiveSettings {
  std::int64_t failures = 5;  // in a row: no connection, a broken one, 502, 503, 504; 0: never
  Millis ejection{10'000};    // doubled each time that nothing got better
  bool operator==(const PassiveSettings&) const = default;
};

struct Policy {
  Balance balance = Balance::round_robin;
  std::optional<HealthSettings> health;
  PassiveSettings passive;
  std::int64_t max_connections = 0;  // requests under way at one address; 0: no bound
};

}  // namespace octroi::upstream
