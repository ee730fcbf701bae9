#include "octroi/policy/time_zone.h"

#include <gtest/gtest.h>

#include "octroi/base/file.h"

namespace octroi::policy {
namespace {

UnixMillis at(std::string_view text) { return from_rfc3339(text).value(); }

ZonePtr zone_of(const std::string& name) {
  auto zone = TimeZone::load(name);
  EXPECT_TRUE(zone) << zone.error().message();
  return zone ? *zone : TimeZone::utc();
}

struct WindowRow {
  std::string_view name, zone, now, starts, ends;
};

TEST(TimeZone, DaysBeginWhereTheyBegin) {
  const WindowRow rows[] = {
      {"utc", "UTC", "2026-11-21T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
      {"its first moment", "UTC", "2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z",
       "2026-11-22T00:00:00Z"},
      {"its last", "UTC", "2026-11-21T23:59:59.999Z", "2026-11-21T00:00:00Z",
       "2026-11-22T00:00:00Z"},
      {"winter", "Europe/Berlin", "2026-11-21T23:30:00Z", "2026-11-21T23:00:00Z",
       "2026-11-22T23:00:00Z"},
      {"23 hours", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z",
       "2026-03-29T22:00:00Z"},
      {"25 hours", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z",
       "2026-10-25T23:00:00Z"},
      {"by the rule, long after the table", "Europe/Berlin", "2055-07-01T12:00:00Z",
       "2055-06-30T22:00:00Z", "2055-07-01T22:00:00Z"},
      {"half an hour", "Asia/Kolkata", "2026-11-21T18:30:00Z", "2026-11-21T18:30:00Z",
       "2026-11-22T18:30:00Z"},
      {"the south", "Australia/Sydney", "2040-01-15T12:59:59Z", "2040-01-14T13:00:00Z",
       "2040-01-15T13:00:00Z"},
      {"midnight is skipped", "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z",
       "2018-11-05T02:00:00Z"},
      {"midnight comes twice", "America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z",
       "2018-02-18T03:00:00Z"},
      {"a minute of the next day comes twice", "America/St_Johns", "2010-11-07T02:45:00Z",
       "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"},
      {"a day that was left out", "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z",
       "2011-12-30T10:00:00Z"},
      {"and the one after it", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z",
       "2011-12-31T10:00:00Z"}};
  for (const WindowRow& row : rows) {
    const Window w = zone_of(std::string(row.zone))->day(at(row.now));
    EXPECT_EQ(to_rfc3339(w.starts), row.starts) << row.name;
    EXPECT_EQ(to_rfc3339(w.ends), row.ends) << row.name;
  }
}

TEST(TimeZone, MonthsBeginWhereTheyBegin) {
  const WindowRow rows[] = {
      {"utc", "UTC", "2026-02-11T12:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
      {"december", "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
      {"over a change", "Europe/Berlin", "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z",
       "2026-03-31T22:00:00Z"},
      {"west", "America/New_York", "2026-11-01T03:59:59Z", "2026-10-01T04:00:00Z",
       "2026-11-01T04:00:00Z"}};
  for (const WindowRow& row : rows) {
    const Window w = zone_of(std::string(row.zone))->month(at(row.now));
    EXPECT_EQ(to_rfc3339(w.starts), row.starts) << row.name;
    EXPECT_EQ(to_rfc3339(w.ends), row.ends) << row.name;
  }
}

/// Every moment is in one day, and the next day begins where it ends.
TEST(TimeZone, DaysLeaveNoGapAndDoNotOverlap) {
  for (const char* name : {"Europe/Berlin", "America/St_Johns", "Pacific/Apia", "America/Sao_Paulo",
                           "Africa/Cairo", "Asia/Tehran", "Australia/Lord_Howe", "UTC"}) {
    const ZonePtr zone = zone_of(name);
    UnixMillis t = at("2005-01-01T00:00:00Z");
    Window w = zone->day(t);
    const UnixMillis end = at("2045-01-01T00:00:00Z");
    while (w.ends < end) {
      ASSERT_LE(w.starts, t);
      ASSERT_LT(t, w.ends);
      ASSERT_EQ(zone->day(w.ends - Millis(1)), w) << name << " " << to_rfc3339(w.ends);
      const Window month = zone->month(t);
      ASSERT_LE(month.starts, w.starts);
      ASSERT_GE(month.ends, w.ends) << name << " " << to_rfc3339(t);
      t = w.ends;
      const Window next = zone->day(t);
      ASSERT_EQ(next.starts, w.ends) << name << " " << to_rfc3339(t);
      w = next;
    }
  }
}

TEST(TimeZone, RefusesWhatIsNoZone) {
  for (const char* name : {"", "/etc/passwd", "../../etc/passwd", "Europe/Nowhere", "Europe/",
                           "Europe/Berlin\n", "posixrules/../UTC"}) {
    EXPECT_FALSE(TimeZone::load(name)) << name;
  }
}

TEST(TimeZone, RefusesEveryFileThatIsCutOff) {
  const auto content = read_file("/usr/share/zoneinfo/Europe/Berlin");
  ASSERT_TRUE(content);
  const ByteView all = as_bytes(*content);
  ASSERT_TRUE(TimeZone::parse("x", all));
  for (std::size_t n = 0; n < all.size(); ++n) {
    EXPECT_FALSE(TimeZone::parse("x", all.subspan(0, n))) << n;
  }
}

TEST(FixedWindow, IsCountedFrom1970) {
  EXPECT_EQ(fixed_window({3'600'001}, std::chrono::hours(1)), (Window{{3'600'000}, {7'200'000}}));
  EXPECT_EQ(fixed_window({3'599'999}, std::chrono::hours(1)), (Window{{0}, {3'600'000}}));
}

}  // namespace
}  // namespace octroi::policy
