// octroi/base/clock.h: the only door to the time of day, so that tests can own it.
//
// Thread: implementations are callable from any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi {

using Seconds = std::chrono::seconds;
using Millis = std::chrono::milliseconds;

/// Milliseconds since the Unix epoch, UTC.
struct UnixMillis {
  std::int64_t value = 0;
  auto operator<=>(const UnixMillis&) const = default;
  /// Whole seconds, rounded down also before 1970.
  [[nodiscard]] std::int64_t seconds() const { return value / 1000 - (value % 1000 < 0 ? 1 : 0); }
};
inline UnixMillis operator+(UnixMillis t, Millis d) { return {t.value + d.count()}; }
inline UnixMillis operator-(UnixMillis t, Millis d) { return {t.value - d.count()}; }
inline Millis operator-(UnixMillis a, UnixMillis b) { return Millis(a.value - b.value); }
/// Seconds that no UnixMillis can hold become the nearest that it can: they may come from outside.
[[nodiscard]] constexpr UnixMillis from_unix_seconds(std::int64_t s) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1000;
  return {std::clamp(s, -kMost, kMost) * 1000};
}

enum class TimeErrc : std::uint8_t {
  bad_timestamp,  // not an RFC 3339 date-time
};
ErrorInfo error_info(TimeErrc e);

/// RFC 3339 with whole seconds and "Z": "2026-11-21T03:40:00Z".
[[nodiscard]] std::string to_rfc3339(UnixMillis t);
/// RFC 3339 with any offset and any number of fractional digits; leap seconds count as the next
/// second.
[[nodiscard]] Result<UnixMillis> from_rfc3339(std::string_view text);
/// RFC 9110 IMF-fixdate for the Date field.
[[nodiscard]] std::string to_http_date(UnixMillis t);

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixMillis now() const = 0;
};

/// The machine's clock.
[[nodiscard]] Clock& system_clock();

/// A clock that a test turns by hand.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(UnixMillis start) : now_(start.value) {}
  [[nodiscard]] UnixMillis now() const override { return {now_.load()}; }
  void set(UnixMillis t) { now_.store(t.value); }
  void advance(Millis d) { now_.fetch_add(d.count()); }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace octroi
