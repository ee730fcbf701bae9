// octroi/config/units.h: durations, sizes and URLs as people write them in a configuration.
//
// Strict: digits and a unit, nothing else; a bare number is refused, because nobody can tell
// whether it was meant in seconds or milliseconds. Thread: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/upstream/settings.h"

namespace octroi::config {

/// "250ms", "15m", "1h30m", "30d"; units ms, s, m, h, d from large to small, each once.
[[nodiscard]] Result<Millis> parse_duration(std::string_view text);
/// In the fewest units that hold it exactly: "15m", "1h30m", "0s".
[[nodiscard]] std::string format_duration(Millis d);

/// "64KiB", "10 MiB", "2GB"; units B, KB, MB, GB (thousands) and KiB, MiB, GiB.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// In the largest unit that holds it exactly, binary ones first: "64KiB", "1000B".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// "5%", "0.1%", "100%", with at most four digits behind the point; in millionths.
[[nodiscard]] Result<std::uint32_t> parse_share(std::string_view text);

/// A URL of a server: scheme, host, port and path; no query and no fragment.
struct Url {
  std::string scheme;      // lower case
  std::string userinfo;    // before '@', without it; may hold a password: never shown
  std::string host;        // lower case; IPv6 without brackets
  std::uint16_t port = 0;  // 0: not written
  std::string path;        // with leading slash, or empty
  /// The port written, or the scheme's own: 80, 443, 6379, 5432, else 0.
  [[nodiscard]] std::uint16_t port_or_default() const;
  /// As written, with user information shown as "***".
  [[nodiscard]] std::string shown() const;
};
[[nodiscard]] Result<Url> parse_url(std::string_view text);
/// What follows `postgresql://` or `postgres://`: a user, hosts, a database and libpq's parameters,
/// without a password.
[[nodiscard]] Result<std::string> check_postgres_url(std::string_view text);

/// `redis://[user@]host[:port][/number]`, without a password.
struct RedisPlace {
  std::string host;
  std::uint16_t port = 6379;
  std::string user;
  int database = 0;
  bool tls = false;
};
[[nodiscard]] Result<RedisPlace> check_redis_url(const Url& url);

/// "204" or "200-299", between 100 and 599.
[[nodiscard]] std::optional<upstream::StatusRange> parse_status_range(std::string_view text);

}  // namespace octroi::config
