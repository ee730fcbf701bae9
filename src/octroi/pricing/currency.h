// octroi/pricing/currency.h: how many digits of a currency stand after the point.
//
// An amount on the wire is a whole number of minor units ("100" of usd is one dollar, of jpy a
// hundred yen, of bhd a tenth of a dinar); guessing the exponent would be wrong by powers of ten,
// so a currency without an entry is refused. Source   ISO 4217 (list one); "sat" and "msat" are
// ours and have no minor unit. Thread   pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/money/money.h"

namespace octroi::pricing {

enum class Errc : std::uint8_t {
  unknown_currency,  // no entry in the table
  bad_amount,        // not digits with at most the currency's decimals
  no_conversion,     // known, but there is no rate from it to bitcoin
  no_price,          // the price source has none for this request
  unavailable,       // the price source cannot be asked now
};
ErrorInfo error_info(Errc e);

/// Digits after the point: 0 (JPY), 2 (USD), 3 (BHD), 4 (CLF). Any case.
[[nodiscard]] Result<int> minor_digits(std::string_view currency);

/// "1.5" usd → 150; strict: digits, at most one point, no more decimals than the currency has.
[[nodiscard]] Result<std::int64_t> to_minor_units(std::string_view amount,
                                                  std::string_view currency);
/// 150 usd → "1.50".
[[nodiscard]] Result<std::string> from_minor_units(std::int64_t units, std::string_view currency);

/// What an amount in minor units costs in bitcoin, rounded up: sat and msat as they are, usd by the
/// dated rate (stale: refused); other currencies have no rate.
[[nodiscard]] Result<Msat> to_msat_ceil(std::int64_t units, std::string_view currency,
                                        const std::optional<Rate>& rate, UnixMillis now);

}  // namespace octroi::pricing
