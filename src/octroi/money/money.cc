#include "octroi/money/money.h"

#include <array>

#include <fmt/format.h>

namespace octroi {

ErrorInfo error_info(MoneyErrc e) {
  switch (e) {
    case MoneyErrc::overflow:
      return {"money.overflow", ErrorKind::invalid};
    case MoneyErrc::negative:
      return {"money.negative", ErrorKind::invalid};
    case MoneyErrc::bad_amount:
      return {"money.bad_amount", ErrorKind::invalid};
    case MoneyErrc::unknown_unit:
      return {"money.unknown_unit", ErrorKind::invalid};
    case MoneyErrc::stale_rate:
      return {"money.stale_rate", ErrorKind::unavailable};
    case MoneyErrc::no_rate:
      return {"money.no_rate", ErrorKind::unavailable};
  }
  return {"money.unknown", ErrorKind::internal};
}

namespace {

// Products of two amounts exceed 64 bits before they are divided again.
__extension__ using Wide = unsigned __int128;

constexpr std::int64_t kMsatPerBtc = 100'000'000'000;

constexpr std::string_view kHowToWrite =
    "write an amount as digits and a unit, such as \"10 sat\" or \"0.05 usd\"";

enum class UnitKind : std::uint8_t { bitcoin, dollar };

struct Unit {
  std::string_view name;
  UnitKind kind;
  int places;  // decimal places until the smallest: msat or millionths of a dollar
  std::int64_t max;
};
constexpr std::array<Unit, 4> kUnits = {{
    {"msat", UnitKind::bitcoin, 0, Msat::kMax},
    {"sat", UnitKind::bitcoin, 3, Msat::kMax},
    {"btc", UnitKind::bitcoin, 11, Msat::kMax},
    {"usd", UnitKind::dollar, 6, MicroUsd::kMax},
}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

const Unit* find_unit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

/// Only lower-case letters can name a unit; anything else is a malformed amount.
bool looks_like_unit(std::string_view name) {
  if (name.empty() || name.size() > 8) return false;
  for (const char c : name) {
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) return false;
  }
  return true;
}

/// value * 10 + digit, or false beyond max.
bool push_digit(std::int64_t& value, char digit, std::int64_t max) {
  const std::int64_t d = digit - '0';
  if (value > (max - d) / 10) return false;
  value = value * 10 + d;
  return true;
}

struct Written {
  std::int64_t value = 0;  // in the smallest unit
  UnitKind kind = UnitKind::bitcoin;
};

/// "<digits>[.<digits>][ ]<unit>". Refuses signs, exponents, separators, a bare point, and digits
/// that the smallest unit cannot hold, even when they are zero beyond it.
Result<Written> parse_amount(std::string_view text) {
  const std::string_view whole = take_digits(text);
  if (whole.empty()) return fail(MoneyErrc::bad_amount, std::string(kHowToWrite));
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = take_digits(text);
    if (fraction.empty()) return fail(MoneyErrc::bad_amount, std::string(kHowToWrite));
  }
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (!looks_like_unit(text)) return fail(MoneyErrc::bad_amount, std::string(kHowToWrite));
  const Unit* unit = find_unit(text);
  if (unit == nullptr) {
    return fail(MoneyErrc::unknown_unit,
                fmt::format("unknown unit \"{}\"; use msat, sat, btc or usd", text));
  }
  const auto places = static_cast<std::size_t>(unit->places);
  if (fraction.size() > places) {
    return fail(MoneyErrc::bad_amount,
                fmt::format("{} takes at most {} digits after the point", unit->name, places));
  }
  Written written{0, unit->kind};
  bool fits = true;
  for (const char c : whole) fits = fits && push_digit(written.value, c, unit->max);
  for (const char c : fraction) fits = fits && push_digit(written.value, c, unit->max);
  for (std::size_t i = fraction.size(); i < places; ++i) {
    fits = fits && push_digit(written.value, '0', unit->max);
  }
  if (!fits) {
    return fail(MoneyErrc::overflow, unit->kind == UnitKind::bitcoin
                                         ? "more than 21 million bitcoin"
                                         : "more dollars than an amount can hold");
  }
  return written;
}

/// Whole and fractional part with no zeros at the end: (1500000, 6) is "1.5".
std::string decimal(std::int64_t value, std::int64_t one, int places) {
  std::string out = fmt::format("{}.{:0{}}", value / one, value % one, places);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

Result<> check_rate(const Rate& rate, UnixMillis now) {
  if (rate.per_btc.is_zero()) return fail(MoneyErrc::no_rate, "the rate of one bitcoin is zero");
  // Saturating, since both ends may come from outside; a rate from the future is as suspect as an
  // old one, with as much tolerance.
  std::int64_t age = 0;
  if (__builtin_sub_overflow(now.value, rate.as_of.value, &age) || age > rate.max_age.count() ||
      age < -rate.max_age.count()) {
    return fail(MoneyErrc::stale_rate, "the currency rate is older than allowed");
  }
  return {};
}

}  // namespace

Result<Msat> msat_from_usd_ceil(MicroUsd usd, const Rate& rate, UnixMillis now) {
  OCTROI_CHECK(check_rate(rate, now));
  const Wide product = static_cast<Wide>(usd.count()) * static_cast<Wide>(kMsatPerBtc);
  const Wide divisor = static_cast<Wide>(rate.per_btc.count());
  const Wide msat = (product + divisor - 1) / divisor;
  if (msat > static_cast<Wide>(Msat::kMax)) {
    return fail(MoneyErrc::overflow, "more than 21 million bitcoin");
  }
  return Msat::from_raw_unchecked(static_cast<std::int64_t>(msat));
}

Result<MicroUsd> usd_from_msat_floor(Msat amount, const Rate& rate, UnixMillis now) {
  OCTROI_CHECK(check_rate(rate, now));
  const Wide product = static_cast<Wide>(amount.count()) * static_cast<Wide>(rate.per_btc.count());
  const Wide usd = product / static_cast<Wide>(kMsatPerBtc);
  if (usd > static_cast<Wide>(MicroUsd::kMax)) {
    return fail(MoneyErrc::overflow, "more dollars than an amount can hold");
  }
  return MicroUsd::from_raw_unchecked(static_cast<std::int64_t>(usd));
}

Result<Msat> Price::in_msat(const std::optional<Rate>& rate, UnixMillis now) const {
  if (!usd) return msat;
  if (usd->is_zero()) return Msat{};  // nothing is nothing at any rate
  if (!rate) {
    return fail(MoneyErrc::no_rate, "the price is in usd, but no currency rate is configured");
  }
  return msat_from_usd_ceil(*usd, *rate, now);
}

Result<Price> parse_price(std::string_view text) {
  OCTROI_TRY(const Written written, parse_amount(text));
  if (written.kind == UnitKind::bitcoin) {
    return Price{Msat::from_raw_unchecked(written.value), std::nullopt};
  }
  return Price{Msat{}, MicroUsd::from_raw_unchecked(written.value)};
}

Result<Msat> parse_msat(std::string_view text) {
  OCTROI_TRY(const Written written, parse_amount(text));
  if (written.kind != UnitKind::bitcoin) {
    return fail(MoneyErrc::unknown_unit, "an amount in msat, sat or btc is needed here");
  }
  return Msat::from_raw_unchecked(written.value);
}

Result<MicroUsd> parse_usd(std::string_view text) {
  OCTROI_TRY(const Written written, parse_amount(text));
  if (written.kind != UnitKind::dollar) {
    return fail(MoneyErrc::unknown_unit, "an amount in usd is needed here");
  }
  return MicroUsd::from_raw_unchecked(written.value);
}

std::string format(Msat amount) {
  if (amount.count() % 1000 != 0) return fmt::format("{} msat", amount.count());
  return format(to_sat_floor(amount));
}

std::string format(Sat amount) { return fmt::format("{} sat", amount.count()); }

std::string format(MicroUsd amount) { return decimal(amount.count(), 1'000'000, 6) + " usd"; }

std::string format(const Price& price) {
  return price.usd ? format(*price.usd) : format(price.msat);
}

Result<Sat> sat_from_wire(std::string_view digits) {
  if (digits.empty() || (digits.size() > 1 && digits.front() == '0')) {
    return fail(MoneyErrc::bad_amount, "an amount in satoshi is decimal digits, no leading zero");
  }
  std::int64_t value = 0;
  for (const char c : digits) {
    if (!is_digit(c)) {
      return fail(MoneyErrc::bad_amount, "an amount in satoshi is decimal digits, no sign");
    }
    if (!push_digit(value, c, Sat::kMax)) {
      return fail(MoneyErrc::overflow, "more than 21 million bitcoin");
    }
  }
  return Sat::from_raw_unchecked(value);
}

}  // namespace octroi
