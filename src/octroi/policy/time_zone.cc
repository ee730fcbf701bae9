#include "octroi/policy/time_zone.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "octroi/base/file.h"
#include "octroi/policy/currency.h"

namespace octroi::policy {
namespace {

constexpr std::int64_t kDaySeconds = 86400;
constexpr std::int64_t kMaxOffset = 26 * 3600;
constexpr std::size_t kMaxZoneFile = 64U << 10;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

struct Date {
  std::int64_t year = 1970;
  int month = 1;
  int day = 1;
};

/// Days since 1970 of a date of the Gregorian calendar, counted in eras of 400 years that begin in
/// March, so that the leap day is the last one of a year.
std::int64_t day_of(const Date& date) {
  const std::int64_t y = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floor_div(y, 400);
  const std::int64_t of_era = y - era * 400;
  const std::int64_t month = (date.month + 9) % 12;  // March is 0
  const std::int64_t of_year = (153 * month + 2) / 5 + date.day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

Date date_of(std::int64_t day) {
  const std::int64_t z = day + 719468;
  const std::int64_t era = floor_div(z, 146097);
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  return {yoe + era * 400 + (month <= 2 ? 1 : 0), month,
          static_cast<int>(doy - (153 * mp + 2) / 5 + 1)};
}

bool is_leap(std::int64_t y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

int days_in(std::int64_t year, int month) {
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays.at(static_cast<std::size_t>(month - 1)) + (month == 2 && is_leap(year) ? 1 : 0);
}

tl::unexpected<Error> bad(std::string_view what) {
  return fail(Errc::bad_zone, fmt::format("time zone: {}", what));
}

/// Big-endian numbers of a file, never beyond its end.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] bool has(std::size_t n) const { return n <= bytes_.size(); }
  [[nodiscard]] ByteView take(std::size_t n) {
    const ByteView out = bytes_.subspan(0, n);
    bytes_ = bytes_.subspan(n);
    return out;
  }
  [[nodiscard]] std::int64_t integer(std::size_t n) {
    std::uint64_t value = 0;
    for (const std::uint8_t b : take(n)) value = (value << 8U) | b;
    if (n < 8 && ((value >> (8 * n - 1)) & 1U) != 0) value |= ~std::uint64_t{0} << (8 * n);
    return static_cast<std::int64_t>(value);
  }
  [[nodiscard]] ByteView rest() const { return bytes_; }

 private:
  ByteView bytes_;
};

struct Counts {
  std::size_t utc = 0, standard = 0, leap = 0, changes = 0, types = 0, names = 0;
  [[nodiscard]] std::size_t bytes(std::size_t width) const {
    return changes * (width + 1) + types * 6 + names + leap * (width + 4) + standard + utc;
  }
};

struct Header {
  int version = 1;
  Counts counts;
};

Result<Header> read_header(Reader& in) {
  if (!in.has(44)) return bad("the file is cut off");
  if (as_text(in.take(4)) != "TZif") return bad("not a TZif file");
  Header out;
  const std::uint8_t version = in.take(1).front();
  out.version = version == 0 ? 1 : version - '0';
  static_cast<void>(in.take(15));
  for (std::size_t* count : {&out.counts.utc, &out.counts.standard, &out.counts.leap,
                             &out.counts.changes, &out.counts.types, &out.counts.names}) {
    const std::int64_t n = in.integer(4);
    if (n < 0 || n > 65536) return bad("a count makes no sense");
    *count = static_cast<std::size_t>(n);
  }
  if (out.counts.types == 0) return bad("no kind of local time");
  if (out.counts.leap != 0) return bad("a file that counts leap seconds");
  return out;
}

/// The text forms of a POSIX rule.
class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return text_.empty(); }
  bool skip(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool name() {
    if (skip('<')) {
      const std::size_t end = text_.find('>');
      if (end == std::string_view::npos || end < 3) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    std::size_t n = 0;
    while (n < text_.size() && ((text_[n] | 0x20) >= 'a' && (text_[n] | 0x20) <= 'z')) ++n;
    text_.remove_prefix(n);
    return n >= 3;
  }
  [[nodiscard]] std::optional<int> number(int most) {
    int value = 0;
    std::size_t n = 0;
    while (n < text_.size() && n < 3 && text_[n] >= '0' && text_[n] <= '9') {
      value = value * 10 + (text_[n++] - '0');
    }
    text_.remove_prefix(n);
    if (n == 0 || value > most) return std::nullopt;
    return value;
  }
  /// [+-]hh[:mm[:ss]] in seconds.
  [[nodiscard]] std::optional<std::int64_t> clock(int hours) {
    const bool minus = skip('-');
    if (!minus) skip('+');
    const auto h = number(hours);
    if (!h) return std::nullopt;
    std::int64_t seconds = *h * 3600;
    for (const int unit : {60, 1}) {
      if (!skip(':')) break;
      const auto part = number(59);
      if (!part) return std::nullopt;
      seconds += *part * unit;
    }
    return minus ? -seconds : seconds;
  }

 private:
  std::string_view text_;
};

}  // namespace

// --- reading ---

Result<TimeZone::Rule> TimeZone::parse_rule(std::string_view text) {
  const auto day = [](RuleReader& in) -> std::optional<RuleDay> {
    RuleDay out;
    std::optional<int> n;
    if (in.skip('M')) {
      out.form = RuleDay::Form::month_week_day;
      const auto month = in.number(12);
      const bool dot = in.skip('.');
      const auto week = in.number(5);
      if (!month || *month < 1 || !dot || !week || *week < 1 || !in.skip('.')) return std::nullopt;
      out.month = *month;
      out.week = *week;
      n = in.number(6);
    } else if (in.skip('J')) {
      n = in.number(365);
      if (n && *n < 1) return std::nullopt;
    } else {
      out.form = RuleDay::Form::zero_based;
      n = in.number(365);
    }
    if (!n) return std::nullopt;
    out.day = *n;
    if (in.skip('/')) {
      const auto time = in.clock(167);
      if (!time) return std::nullopt;
      out.time = *time;
    }
    return out;
  };
  RuleReader in(text);
  Rule rule;
  if (!in.name()) return bad("its rule has no name");
  const auto standard = in.clock(24);
  if (!standard) return bad("its rule has no offset");
  rule.standard = -*standard;
  if (in.done()) return rule;
  rule.has_daylight = true;
  rule.daylight = rule.standard + 3600;
  if (!in.name()) return bad("its rule ends in something unknown");
  if (!in.skip(',')) {
    const auto daylight = in.clock(24);
    if (!daylight || !in.skip(',')) return bad("its rule does not say when clocks change");
    rule.daylight = -*daylight;
  }
  const auto begins = day(in);
  const bool comma = in.skip(',');
  const auto ends = day(in);
  if (!begins || !comma || !ends || !in.done()) {
    return bad("its rule does not say when clocks change");
  }
  rule.begins = *begins;
  rule.ends = *ends;
  return rule;
}

Result<ZonePtr> TimeZone::parse(std::string name, ByteView tzif) {
  Reader in(tzif);
  OCTROI_TRY(Header header, read_header(in));
  std::size_t width = 4;
  if (header.version >= 2) {
    const std::size_t skipped = header.counts.bytes(4);
    if (!in.has(skipped)) return bad("the file is cut off");
    static_cast<void>(in.take(skipped));
    OCTROI_TRY(header, read_header(in));
    width = 8;
  }
  const Counts& counts = header.counts;
  if (!in.has(counts.bytes(width))) return bad("the file is cut off");
  auto zone = std::make_shared<TimeZone>();
  zone->name_ = std::move(name);
  for (std::size_t i = 0; i < counts.changes; ++i) {
    const std::int64_t at = in.integer(width);
    if (!zone->changes_.empty() && at <= zone->changes_.back().at) return bad("out of order");
    zone->changes_.push_back({at, 0});
  }
  const ByteView kinds = in.take(counts.changes);
  std::vector<std::int64_t> offsets;
  for (std::size_t i = 0; i < counts.types; ++i) {
    offsets.push_back(in.integer(4));
    if (offsets.back() < -kMaxOffset || offsets.back() > kMaxOffset) return bad("an offset");
    static_cast<void>(in.take(2));
  }
  for (std::size_t i = 0; i < counts.changes; ++i) {
    if (kinds[i] >= offsets.size()) return bad("a kind of local time that is not there");
    zone->changes_[i].offset = offsets[kinds[i]];
  }
  zone->first_offset_ = offsets.front();
  if (header.version < 2) return ZonePtr(std::move(zone));
  static_cast<void>(in.take(counts.names + counts.standard + counts.utc));
  const std::string_view footer = as_text(in.rest());
  if (footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') {
    return bad("the file is cut off");
  }
  const std::string_view rule = footer.substr(1, footer.size() - 2);
  if (!rule.empty()) {
    OCTROI_TRY(zone->rule_, parse_rule(rule));
    zone->has_rule_ = true;
  }
  return ZonePtr(std::move(zone));
}

ZonePtr TimeZone::utc() {
  static const ZonePtr kUtc = [] {
    auto zone = std::make_shared<TimeZone>();
    zone->name_ = "UTC";
    return ZonePtr(std::move(zone));
  }();
  return kUtc;
}

Result<ZonePtr> TimeZone::load(const std::string& name, const std::string& folder) {
  if (name == "UTC") return utc();
  const bool plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  });
  if (!plain || name.empty() || name.size() > 64 || name.front() == '/' || name.back() == '/') {
    return bad("written like Europe/Berlin, or UTC");
  }
  auto content = read_file(folder + "/" + name, kMaxZoneFile);
  if (!content) {
    return bad(
        fmt::format("\"{}\" is not in the system's database: install tzdata, or write UTC", name));
  }
  return parse(name, as_bytes(*content));
}

// --- offsets ---

std::int64_t TimeZone::rule_second(const RuleDay& day, std::int64_t year) {
  const std::int64_t first = day_of({year, 1, 1});
  switch (day.form) {
    case RuleDay::Form::julian: {  // 1 to 365; the leap day is never counted
      const bool after_leap_day = is_leap(year) && day.day >= 60;
      return (first + day.day - 1 + (after_leap_day ? 1 : 0)) * kDaySeconds + day.time;
    }
    case RuleDay::Form::zero_based:
      return (first + day.day) * kDaySeconds + day.time;
    case RuleDay::Form::month_week_day: {
      const std::int64_t month = day_of({year, day.month, 1});
      const std::int64_t weekday = ((month + 4) % 7 + 7) % 7;  // 1970 began on a Thursday
      std::int64_t n = (day.day - weekday + 7) % 7 + (day.week - 1) * 7;
      if (n >= days_in(year, day.month)) n -= 7;
      return (month + n) * kDaySeconds + day.time;
    }
  }
  return first * kDaySeconds;
}

std::vector<TimeZone::Change> TimeZone::changes_between(std::int64_t from, std::int64_t to) const {
  std::vector<Change> out;
  for (auto c = std::ranges::upper_bound(changes_, from, {}, &Change::at);
       c != changes_.end() && c->at <= to; ++c) {
    out.push_back(*c);
  }
  if (!has_rule_ || !rule_.has_daylight) return out;
  const std::int64_t last =
      changes_.empty() ? std::numeric_limits<std::int64_t>::min() : changes_.back().at;
  const std::int64_t years = date_of(floor_div(to, kDaySeconds)).year + 1;
  std::vector<Change> ruled;
  for (std::int64_t y = date_of(floor_div(from, kDaySeconds)).year - 1; y <= years; ++y) {
    // An end that coincides with a beginning comes first: daylight saving without a gap.
    ruled.push_back({rule_second(rule_.ends, y) - rule_.daylight, rule_.standard});
    ruled.push_back({rule_second(rule_.begins, y) - rule_.standard, rule_.daylight});
  }
  std::ranges::sort(ruled, {},
                    [&](const Change& c) { return std::pair(c.at, c.offset == rule_.daylight); });
  for (const Change& c : ruled) {
    if (c.at > last && c.at > from && c.at <= to) out.push_back(c);
  }
  return out;
}

std::int64_t TimeZone::rule_offset(std::int64_t t) const {
  if (!rule_.has_daylight) return rule_.standard;
  constexpr std::int64_t kTwoYears = 2 * 366 * kDaySeconds;
  const auto changes = changes_between(t - kTwoYears, t);
  return changes.empty() ? rule_.standard : changes.back().offset;
}

std::int64_t TimeZone::offset_at(std::int64_t t) const {
  if (changes_.empty()) return has_rule_ ? rule_offset(t) : first_offset_;
  if (has_rule_ && t >= changes_.back().at) {
    // The last change stands until the rule's first one after it.
    const auto later = changes_between(std::max(changes_.back().at, t - 2 * 366 * kDaySeconds), t);
    if (!later.empty()) return later.back().offset;
    return rule_.has_daylight ? changes_.back().offset : rule_.standard;
  }
  const auto next = std::ranges::upper_bound(changes_, t, {}, &Change::at);
  return next == changes_.begin() ? first_offset_ : std::prev(next)->offset;
}

// --- windows ---

std::int64_t TimeZone::first_second_of(std::int64_t day) const {
  const std::int64_t midnight = day * kDaySeconds;
  std::int64_t from = midnight - 2 * kDaySeconds;
  std::int64_t offset = offset_at(from);
  for (const Change& c : changes_between(from, midnight + 2 * kDaySeconds)) {
    const std::int64_t first = std::max(from, midnight - offset);
    if (first < c.at) return first;
    from = c.at;
    offset = c.offset;
  }
  return std::max(from, midnight - offset);
}

namespace {
/// Far enough for anything that is real, and for the arithmetic.
constexpr std::int64_t kMostSeconds = 253402300799;  // the end of the year 9999
std::int64_t sane(UnixMillis t) { return std::clamp(t.seconds(), -kMostSeconds, kMostSeconds); }
}  // namespace

Window TimeZone::day(UnixMillis now) const {
  const std::int64_t t = sane(now);
  std::int64_t day = floor_div(t + offset_at(t), kDaySeconds);
  std::int64_t ends = first_second_of(day + 1);
  // Where a fold repeats the end of a day, the next one has begun already.
  while (ends <= t) ends = first_second_of(++day + 1);
  return {from_unix_seconds(first_second_of(day)), from_unix_seconds(ends)};
}

Window TimeZone::month(UnixMillis now) const {
  const std::int64_t t = sane(now);
  std::int64_t day = floor_div(t + offset_at(t), kDaySeconds);
  while (first_second_of(day + 1) <= t) ++day;
  Date date = date_of(day);
  date.day = 1;
  const std::int64_t starts = first_second_of(day_of(date));
  date.year += date.month == 12 ? 1 : 0;
  date.month = date.month % 12 + 1;
  return {from_unix_seconds(starts), from_unix_seconds(first_second_of(day_of(date)))};
}

Window fixed_window(UnixMillis now, Millis length) {
  const std::int64_t n = std::max<std::int64_t>(1, length.count());
  const std::int64_t starts = floor_div(now.value, n) * n;
  return {{starts}, {starts + n}};
}

}  // namespace octroi::policy
