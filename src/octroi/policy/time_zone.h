// octroi/policy/time_zone.h: when a day or a month begins somewhere, as a moment in UTC.
//
// A day is what lies between the first moment at which the local date is that date (or later) and
// the same of the next one: 23, 24 or 25 hours, also where clocks jump over or fold midnight, so
// days never overlap and leave no gap.
//
// Form     TZif versions 1 to 4, with the rule that follows the last change. Names are those of the
//          system's database ("Europe/Berlin"); UTC needs none.
// Thread   immutable once made.
// Errors   Errc::bad_zone.
// Source   RFC 9636 (TZif); POSIX TZ strings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"

namespace octroi::policy {

/// From `starts`, up to and without `ends`.
struct Window {
  UnixMillis starts;
  UnixMillis ends;
  bool operator==(const Window&) const = default;
};

class TimeZone;
using ZonePtr = std::shared_ptr<const TimeZone>;

class TimeZone {
 public:
  [[nodiscard]] static ZonePtr utc();
  [[nodiscard]] static Result<ZonePtr> parse(std::string name, ByteView tzif);
  /// From `folder`, the system's database. Refuses names that lead out of it. Blocking.
  [[nodiscard]] static Result<ZonePtr> load(const std::string& name,
                                            const std::string& folder = "/usr/share/zoneinfo");

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Seconds east of Greenwich at that moment (in seconds since 1970).
  [[nodiscard]] std::int64_t offset_at(std::int64_t utc_seconds) const;

  [[nodiscard]] Window day(UnixMillis now) const;
  [[nodiscard]] Window month(UnixMillis now) const;

 private:
  struct Change {
    std::int64_t at = 0;      // from this second on
    std::int64_t offset = 0;  // this many seconds east
  };
  /// One of the two days of a year on which a rule changes the offset.
  struct RuleDay {
    enum class Form : std::uint8_t { julian, zero_based, month_week_day } form = Form::julian;
    int day = 0, week = 0, month = 0;
    std::int64_t time = 7200;  // seconds after local midnight
  };
  struct Rule {
    std::int64_t standard = 0;
    std::int64_t daylight = 0;
    bool has_daylight = false;
    RuleDay begins, ends;
  };

  [[nodiscard]] static Result<Rule> parse_rule(std::string_view text);
  [[nodiscard]] static std::int64_t rule_second(const RuleDay& day, std::int64_t year);
  [[nodiscard]] std::int64_t rule_offset(std::int64_t utc_seconds) const;
  /// The changes of offset in (from, to], in order.
  [[nodiscard]] std::vector<Change> changes_between(std::int64_t from, std::int64_t to) const;
  /// The first second at which the local date is `day` (since 1970) or later.
  [[nodiscard]] std::int64_t first_second_of(std::int64_t day) const;

  std::string name_;
  std::int64_t first_offset_ = 0;
  std::vector<Change> changes_;
  bool has_rule_ = false;
  Rule rule_;
};

/// The hour of UTC, and any other fixed length counted from 1970.
[[nodiscard]] Window fixed_window(UnixMillis now, Millis length);

}  // namespace octroi::policy
