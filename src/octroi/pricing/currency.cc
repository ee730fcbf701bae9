#include "octroi/pricing/currency.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

namespace octroi::pricing {
namespace {

// Sorted, so that they can be searched by halves. Two digits is the rule; the others are listed
// apart.
constexpr auto kTwo = std::to_array<std::string_view>(
    {"AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN",
     "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY",
     "COP", "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD",
     "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR",
     "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD", "KZT", "LAK", "LBP", "LKR",
     "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK",
     "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP",
     "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP",
     "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY",
     "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VED", "VES", "WST", "XCD", "XCG", "YER",
     "ZAR", "ZMW", "ZWG"});
constexpr auto kZero = std::to_array<std::string_view>(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "MSAT", "PYG", "RWF", "SAT", "UGX",
     "UYI", "VND", "VUV", "XAF", "XOF", "XPF"});
constexpr auto kThree =
    std::to_array<std::string_view>({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"});
constexpr auto kFour = std::to_array<std::string_view>({"CLF", "UYW"});

static_assert(std::is_sorted(kTwo.begin(), kTwo.end()) &&
              std::is_sorted(kZero.begin(), kZero.end()) &&
              std::is_sorted(kThree.begin(), kThree.end()) &&
              std::is_sorted(kFour.begin(), kFour.end()));

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

template <std::size_t N>
bool lists(const std::array<std::string_view, N>& table, std::string_view code) {
  return std::binary_search(table.begin(), table.end(), code);
}

/// Appends one decimal digit; false when the result does not fit.
bool append_digit(std::int64_t& value, int digit) {
  return !__builtin_mul_overflow(value, std::int64_t{10}, &value) &&
         !__builtin_add_overflow(value, std::int64_t{digit}, &value);
}

}  // namespace

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::unknown_currency:
      return {"pricing.unknown_currency", ErrorKind::invalid};
    case Errc::bad_amount:
      return {"pricing.bad_amount", ErrorKind::invalid};
    case Errc::no_conversion:
      return {"pricing.no_conversion", ErrorKind::refused};
    case Errc::no_price:
      return {"pricing.no_price", ErrorKind::not_found};
    case Errc::unavailable:
      return {"pricing.unavailable", ErrorKind::unavailable};
  }
  return {"pricing.unknown", ErrorKind::internal};
}

Result<int> minor_digits(std::string_view currency) {
  const std::string code = upper(currency);
  if (lists(kTwo, code)) return 2;
  if (lists(kZero, code)) return 0;
  if (lists(kThree, code)) return 3;
  if (lists(kFour, code)) return 4;
  return fail(Errc::unknown_currency,
              "this currency is not in the table; use an ISO 4217 code, sat or msat");
}

Result<std::int64_t> to_minor_units(std::string_view amount, std::string_view currency) {
  OCTROI_TRY(const int digits, minor_digits(currency));
  const auto bad = [&] {
    return fail(Errc::bad_amount,
                fmt::format("write digits with at most {} decimals and nothing else", digits));
  };
  const std::size_t point = std::min(amount.find('.'), amount.size());
  const std::string_view whole = amount.substr(0, point);
  const std::string_view decimals =
      point == amount.size() ? std::string_view() : amount.substr(point + 1);
  const bool ends_in_point = point + 1 == amount.size();
  if (whole.empty() || ends_in_point || decimals.size() > static_cast<std::size_t>(digits))
    return bad();
  std::int64_t units = 0;
  for (const std::string_view part : {whole, decimals}) {
    for (const char c : part) {
      if (c < '0' || c > '9' || !append_digit(units, c - '0')) return bad();
    }
  }
  for (std::size_t i = decimals.size(); i < static_cast<std::size_t>(digits); ++i) {
    if (!append_digit(units, 0)) return bad();
  }
  return units;
}

Result<std::string> from_minor_units(std::int64_t units, std::string_view currency) {
  OCTROI_TRY(const int digits, minor_digits(currency));
  if (units < 0) return fail(Errc::bad_amount, "an amount is never negative");
  std::string out = std::to_string(units);
  const auto n = static_cast<std::size_t>(digits);
  if (n == 0) return out;
  if (out.size() <= n) out.insert(0, n + 1 - out.size(), '0');
  out.insert(out.size() - n, 1, '.');
  return out;
}

Result<Msat> to_msat_ceil(std::int64_t units, std::string_view currency,
                          const std::optional<Rate>& rate, UnixMillis now) {
  const std::string code = upper(currency);
  OCTROI_CHECK(minor_digits(code));
  if (code == "MSAT") return Msat::from_raw(units);
  if (code == "SAT") {
    OCTROI_TRY(const Sat sat, Sat::from_raw(units));
    return to_msat(sat);
  }
  if (code != "USD")
    return fail(Errc::no_conversion,
                "there is a rate for usd only; give the price in sat, msat or usd");
  if (!rate) return fail(MoneyErrc::no_rate, "a price in usd needs the `rates` section");
  OCTROI_TRY(const MicroUsd cent, MicroUsd::from_raw(10'000));
  OCTROI_TRY(const MicroUsd usd, cent.times(units));
  return msat_from_usd_ceil(usd, *rate, now);
}

}  // namespace octroi::pricing
