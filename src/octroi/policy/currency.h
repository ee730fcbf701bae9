// octroi/policy/currency.h: amounts of any currency as dollars, for caps. Integers only.
//
// Minor    vendors count in the smallest unit of a currency: cents, but whole yen and thousandths
//          of a dinar. The table says which; a currency that is not in it is refused.
// Rates    from the configuration, with the day on which they were true and how long they may be
//          used. A missing or stale rate refuses: a cap in dollars over an unknown number of
//          dollars is no cap.
// Rounding always up, and by the haircut, so that a call never counts as less than it may cost.
// Thread   values; pure.
// Errors   Errc::unknown_currency, no_rate, stale_rate, bad_rate, bad_amount.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/money/money.h"

namespace octroi::policy {

enum class Errc : std::uint8_t {
  bad_policy,        // a field of a policy that makes no sense; the message names it
  unknown_currency,  // not in the table
  no_rate,           // no rate for this currency
  stale_rate,        // older than it may be, or from the future
  bad_rate,          // not "<digits>[.<digits>] usd", or zero
  bad_amount,        // below zero, or too large
  bad_zone,          // no such time zone, or its file makes no sense
};
ErrorInfo error_info(Errc e);

/// How a vendor writes amounts. Stripe counts two currencies in hundredths that have none.
enum class MinorUnits : std::uint8_t { iso, stripe };

/// Digits after the point in the smallest unit; nothing for a currency that is not in the table.
/// `code` in either case.
[[nodiscard]] std::optional<int> minor_digits(std::string_view code, MinorUnits units);

struct MinorAmount {
  std::int64_t minor = 0;  // in the smallest unit; never negative
  std::string currency;    // three letters, in either case
  MinorUnits units = MinorUnits::iso;
};

/// What one unit (a euro, a yen) costs, in billionths of a dollar.
struct NanoUsd {
  std::int64_t value = 0;
  auto operator<=>(const NanoUsd&) const = default;
};
/// "1.085 usd", "0.0067 usd": up to nine digits after the point.
[[nodiscard]] Result<NanoUsd> parse_nano_usd(std::string_view text);
[[nodiscard]] std::string format(NanoUsd rate);

/// The rates of a configuration. A dollar is a dollar without any.
struct Rates {
  std::map<std::string, NanoUsd> per_unit;  // by code in capitals
  UnixMillis as_of;
  Millis max_age{};
  int haircut_percent = 0;  // added to what is converted, 0 to 100
};

/// Rounded up, haircut included.
[[nodiscard]] Result<MicroUsd> to_usd(const MinorAmount& amount, const Rates& rates,
                                      UnixMillis now);

/// "12.34 EUR"; the digits of its minor unit.
[[nodiscard]] std::string format(const MinorAmount& amount);

}  // namespace octroi::policy
