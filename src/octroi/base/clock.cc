#include "octroi/base/clock.h"

#include <optional>

#include <fmt/compile.h>
#include <fmt/format.h>

namespace octroi {

ErrorInfo error_info(TimeErrc e) {
  switch (e) {
    case TimeErrc::bad_timestamp:
      return {"base.bad_timestamp", ErrorKind::invalid};
  }
  return {"base.unknown", ErrorKind::internal};
}

namespace {

using std::chrono::sys_days;

struct Civil {
  std::int64_t year = 0;
  unsigned month = 1;
  unsigned day = 1;
  unsigned weekday = 0;  // 0 is Sunday
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
};

/// The years that the text forms can hold: 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
constexpr std::int64_t kFirstSecond = -62'167'219'200;
constexpr std::int64_t kLastSecond = 253'402'300'799;

Civil civil(UnixMillis t) {
  const std::int64_t s = std::clamp(t.seconds(), kFirstSecond, kLastSecond);
  const std::int64_t days = s / 86400 - (s % 86400 < 0 ? 1 : 0);
  const auto in_day = static_cast<unsigned>(s - days * 86400);
  const sys_days date{std::chrono::days(days)};
  const std::chrono::year_month_day ymd{date};
  return {static_cast<int>(ymd.year()),
          static_cast<unsigned>(ymd.month()),
          static_cast<unsigned>(ymd.day()),
          std::chrono::weekday(date).c_encoding(),
          in_day / 3600,
          in_day / 60 % 60,
          in_day % 60};
}

/// Reads a text from left to right; every step fails on anything but what is asked for.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return text_.empty(); }
  [[nodiscard]] std::optional<unsigned> number(std::size_t digits) {
    if (text_.size() < digits) return std::nullopt;
    unsigned value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(text_[i])) return std::nullopt;
      value = value * 10 + static_cast<unsigned>(text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }
  [[nodiscard]] bool one_of(std::string_view chars, char& which) {
    if (text_.empty() || chars.find(text_.front()) == std::string_view::npos) return false;
    which = text_.front();
    text_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool one_of(std::string_view chars) {
    char ignored = 0;
    return one_of(chars, ignored);
  }
  /// One or more digits; what is beyond a millisecond is cut off.
  [[nodiscard]] std::optional<unsigned> fraction_millis() {
    unsigned value = 0;
    std::size_t digits = 0;
    for (; !text_.empty() && is_digit(text_.front()); text_.remove_prefix(1), ++digits) {
      if (digits < 3) value = value * 10 + static_cast<unsigned>(text_.front() - '0');
    }
    if (digits == 0) return std::nullopt;
    for (; digits < 3; ++digits) value *= 10;
    return value;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  std::string_view text_;
};

/// "Z" or a signed hh:mm, in seconds east of UTC.
std::optional<std::int64_t> read_offset(Reader& in) {
  char sign = 0;
  if (!in.one_of("Zz+-", sign)) return std::nullopt;
  if (sign == 'Z' || sign == 'z') return 0;
  const auto hours = in.number(2);
  if (!hours || !in.one_of(":")) return std::nullopt;
  const auto minutes = in.number(2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::int64_t seconds = std::int64_t{*hours} * 3600 + std::int64_t{*minutes} * 60;
  return sign == '-' ? -seconds : seconds;
}

std::optional<UnixMillis> read_rfc3339(std::string_view text) {
  Reader in(text);
  const auto year = in.number(4);
  if (!year || !in.one_of("-")) return std::nullopt;
  const auto month = in.number(2);
  if (!month || !in.one_of("-")) return std::nullopt;
  const auto day = in.number(2);
  if (!day || !in.one_of("Tt")) return std::nullopt;
  const auto hour = in.number(2);
  if (!hour || !in.one_of(":")) return std::nullopt;
  const auto minute = in.number(2);
  if (!minute || !in.one_of(":")) return std::nullopt;
  const auto second = in.number(2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  unsigned millis = 0;
  if (in.one_of(".")) {
    const auto fraction = in.fraction_millis();
    if (!fraction) return std::nullopt;
    millis = *fraction;
  }
  const auto offset = read_offset(in);
  if (!offset || !in.done()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = sys_days(date).time_since_epoch().count();
  const std::int64_t seconds = days * 86400 + std::int64_t{*hour} * 3600 +
                               std::int64_t{*minute} * 60 + std::int64_t{*second} - *offset;
  return UnixMillis{seconds * 1000 + millis};
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] UnixMillis now() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<Millis>(since).count()};
  }
};

}  // namespace

std::string to_rfc3339(UnixMillis t) {
  const Civil c = civil(t);
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z"), c.year, c.month, c.day,
                     c.hour, c.minute, c.second);
}

Result<UnixMillis> from_rfc3339(std::string_view text) {
  if (const auto t = read_rfc3339(text)) return *t;
  return fail(TimeErrc::bad_timestamp,
              "not an RFC 3339 date-time; write it as 2026-11-21T03:40:00Z");
}

std::string to_http_date(UnixMillis t) {
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                            "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil c = civil(t);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[c.weekday], c.day,
                     kMonths[c.month - 1], c.year, c.hour, c.minute, c.second);
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace octroi
