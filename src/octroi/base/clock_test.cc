#include "octroi/base/clock.h"

#include <limits>

#include <gtest/gtest.h>

namespace octroi {
namespace {

struct ParseRow {
  const char* name;
  const char* text;
  std::int64_t millis;
};

TEST(Rfc3339, Parses) {
  const std::vector<ParseRow> rows = {
      {"epoch", "1970-01-01T00:00:00Z", 0},
      {"whole second", "2026-11-21T03:40:00Z", 1795232400000},
      {"lower-case letters", "2026-11-21t03:40:00z", 1795232400000},
      {"one digit of fraction", "1970-01-01T00:00:00.5Z", 500},
      {"nanoseconds are cut", "1970-01-01T00:00:00.123987654Z", 123},
      {"east", "1970-01-01T05:30:00+05:30", 0},
      {"west", "1969-12-31T16:00:00-08:00", 0},
      {"minus zero", "1970-01-01T00:00:00-00:00", 0},
      {"leap second", "2016-12-31T23:59:60Z", 1483228800000},
      {"leap day", "2024-02-29T00:00:00Z", 1709164800000},
      {"before the epoch", "1969-12-31T23:59:59.999Z", -1},
      {"first year", "0000-01-01T00:00:00Z", -62167219200000},
      {"last second", "9999-12-31T23:59:59Z", 253402300799000},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto t = from_rfc3339(row.text);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->value, row.millis);
  }
}

TEST(Rfc3339, Refuses) {
  for (const char* text : {"",
                           "2026-11-21",
                           "2026-11-21T03:40:00",
                           "2026-11-21 03:40:00Z",
                           "2026-11-21T03:40Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-02-29T00:00:00Z",
                           "2026-04-31T00:00:00Z",
                           "2026-11-00T00:00:00Z",
                           "2026-11-21T24:00:00Z",
                           "2026-11-21T03:60:00Z",
                           "2026-11-21T03:40:61Z",
                           "2026-11-21T03:40:00.Z",
                           "2026-11-21T03:40:00+24:00",
                           "2026-11-21T03:40:00+01:60",
                           "2026-11-21T03:40:00+0100",
                           "2026-11-21T03:40:00Z ",
                           " 2026-11-21T03:40:00Z",
                           "2026-11-21T03:40:00Zx",
                           "+2026-11-21T03:40:00Z",
                           "2026-1-21T03:40:00Z",
                           "2026-11-21T3:40:00Z"}) {
    SCOPED_TRACE(text);
    const auto t = from_rfc3339(text);
    ASSERT_FALSE(t);
    EXPECT_EQ(t.error().code(), "base.bad_timestamp");
  }
}

TEST(Rfc3339, WritesWhatItReads) {
  for (std::int64_t s = -62'167'219'200; s < 253'402'300'799; s += 86'399L * 997) {
    const UnixMillis t = from_unix_seconds(s);
    ASSERT_EQ(from_rfc3339(to_rfc3339(t)).value(), t);
  }
  EXPECT_EQ(to_rfc3339({-1}), "1969-12-31T23:59:59Z");
  EXPECT_EQ(to_rfc3339({1795232400999}), "2026-11-21T03:40:00Z");
}

TEST(Rfc3339, ClampsWhatNoTextCanSay) {
  EXPECT_EQ(to_rfc3339({std::numeric_limits<std::int64_t>::max()}), "9999-12-31T23:59:59Z");
  EXPECT_EQ(to_rfc3339({std::numeric_limits<std::int64_t>::min()}), "0000-01-01T00:00:00Z");
}

TEST(HttpDate, IsImfFixdate) {
  EXPECT_EQ(to_http_date({784111777000}), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(to_http_date({0}), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(to_http_date({1709164800000}), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST(UnixMillis, RoundsDownAndSaturates) {
  EXPECT_EQ(UnixMillis{1999}.seconds(), 1);
  EXPECT_EQ(UnixMillis{-1}.seconds(), -1);
  EXPECT_EQ(UnixMillis{-1000}.seconds(), -1);
  EXPECT_EQ(UnixMillis{-1001}.seconds(), -2);
  EXPECT_EQ(UnixMillis{std::numeric_limits<std::int64_t>::min()}.seconds(), -9223372036854776);
  EXPECT_GT(from_unix_seconds(std::numeric_limits<std::int64_t>::max()).value,
            9'000'000'000'000'000'000);
  EXPECT_LT(from_unix_seconds(std::numeric_limits<std::int64_t>::min()).value,
            -9'000'000'000'000'000'000);
}

TEST(Clock, ManualTurnsByHand) {
  ManualClock clock(from_unix_seconds(10));
  clock.advance(Millis(1500));
  EXPECT_EQ(clock.now().value, 11500);
  clock.set({5});
  EXPECT_EQ(clock.now().value, 5);
  EXPECT_EQ(UnixMillis{5} + Seconds(1), UnixMillis{1005});
}

TEST(Clock, SystemIsAfterThisWasWritten) {
  EXPECT_GT(system_clock().now(), from_rfc3339("2024-01-01T00:00:00Z").value());
}

}  // namespace
}  // namespace octroi
