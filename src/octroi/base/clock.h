// octroi/base/clock.h: the only door to the time of day, so that tests can own it.
//
// Thread: implementations are callable from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
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
  [[nodiscard]] std::int64_t seconds() const { return value >= 0 ? value / 1000 : -((-value + 999) / 1000); }
};
inline UnixMillis operator+(UnixMillis t, Millis d) { return {t.value + d.count()}; }
inline UnixMillis operator-(UnixMillis t, Millis d) { return {t.value - d.count()}; }
inline Millis operator-(UnixMillis a, UnixMillis b) { return Millis(a.value - b.value); }
[[nodiscard]] inline UnixMillis from_unix_seconds(std::int64_t s) { return {s * 1000}; }

enum class TimeErrc : std::uint8_t {
  bad_timestamp,  // not an RFC 3339 date-time
};
ErrorInfo error_info(TimeErrc e);

/// RFC 3339 with whole seconds and "Z": "2026-11-21T03:40:00Z".
[[nodiscard]] std::string to_rfc3339(UnixMillis t);
/// RFC 3339 with any offset and any number of fractional digits; leap seconds count as the next second.
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
