// octroi/money/money.h: amounts. Integers in strong types; no floating point, no implicit
// conversion, no operator that can overflow unseen. The only code that touches raw amounts.
//
// Msat      millisatoshi: every amount inside octroi.
// Sat       whole satoshi: only at protocol edges. What someone must pay rounds up (to_sat_ceil),
//           what is given back rounds down (to_sat_floor).
// MicroUsd  millionths of a US dollar.
// Rate      price of one bitcoin in MicroUsd, with the moment it was true.
// Thread: values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"

namespace octroi {

enum class MoneyErrc : std::uint8_t {
  overflow,      // the result does not fit, or exceeds 21 million bitcoin
  negative,      // the result would be below zero
  bad_amount,    // not "<digits>[.<digits>] <unit>"
  unknown_unit,  // a unit or currency without an entry in the table
  stale_rate,    // the rate is older than allowed
  no_rate,       // a price in usd, but no rate is configured
};
ErrorInfo error_info(MoneyErrc e);

namespace detail {
/// An amount of one unit; never negative.
template <class Tag, std::int64_t Max>
class Amount {
 public:
  constexpr Amount() = default;
  static constexpr std::int64_t kMax = Max;

  /// The raw number, for storage and the wire only. CI greps for its use elsewhere.
  [[nodiscard]] constexpr std::int64_t count() const { return count_; }
  [[nodiscard]] constexpr bool is_zero() const { return count_ == 0; }

  [[nodiscard]] static constexpr Amount from_raw_unchecked(std::int64_t n) {
    Amount a;
    a.count_ = n;
    return a;
  }
  [[nodiscard]] static Result<Amount> from_raw(std::int64_t n) {
    if (n < 0) return fail(MoneyErrc::negative);
    if (n > Max) return fail(MoneyErrc::overflow);
    return from_raw_unchecked(n);
  }

  [[nodiscard]] Result<Amount> plus(Amount other) const {
    if (count_ > Max - other.count_) return fail(MoneyErrc::overflow);
    return from_raw_unchecked(count_ + other.count_);
  }
  [[nodiscard]] Result<Amount> minus(Amount other) const {
    if (count_ < other.count_) return fail(MoneyErrc::negative);
    return from_raw_unchecked(count_ - other.count_);
  }
  [[nodiscard]] Result<Amount> times(std::int64_t factor) const {
    if (factor < 0) return fail(MoneyErrc::negative);
    if (factor != 0 && count_ > Max / factor) return fail(MoneyErrc::overflow);
    return from_raw_unchecked(count_ * factor);
  }
  auto operator<=>(const Amount&) const = default;

 private:
  std::int64_t count_ = 0;
};
}  // namespace detail

inline constexpr std::int64_t kMaxSat = 2'100'000'000'000'000;  // 21 million bitcoin

using Msat = detail::Amount<struct MsatTag, kMaxSat * 1000>;
using Sat = detail::Amount<struct SatTag, kMaxSat>;
using MicroUsd = detail::Amount<struct MicroUsdTag, 9'000'000'000'000'000'000>;

[[nodiscard]] constexpr Msat to_msat(Sat s) { return Msat::from_raw_unchecked(s.count() * 1000); }
/// For what someone must pay: never down to zero.
[[nodiscard]] constexpr Sat to_sat_ceil(Msat m) {
  return Sat::from_raw_unchecked((m.count() + 999) / 1000);
}
/// For what is given back.
[[nodiscard]] constexpr Sat to_sat_floor(Msat m) {
  return Sat::from_raw_unchecked(m.count() / 1000);
}

namespace detail {
/// A literal outside the range of its type does not compile: a throw is no constant expression.
template <class A>
consteval A amount_literal(unsigned long long n, unsigned long long unit) {
  if (n > static_cast<unsigned long long>(A::kMax) / unit) throw "amount literal out of range";
  return A::from_raw_unchecked(static_cast<std::int64_t>(n * unit));
}
}  // namespace detail

inline namespace literals {
consteval Msat operator""_msat(unsigned long long n) { return detail::amount_literal<Msat>(n, 1); }
consteval Sat operator""_sat(unsigned long long n) { return detail::amount_literal<Sat>(n, 1); }
consteval MicroUsd operator""_usd(unsigned long long n) {
  return detail::amount_literal<MicroUsd>(n, 1'000'000);
}
}  // namespace literals

/// Price of one bitcoin.
struct Rate {
  MicroUsd per_btc;
  UnixMillis as_of;
  Millis max_age{};  // beyond it the rate is stale and conversions refuse
};
/// What someone must pay, rounded up to a whole millisatoshi. Refuses a stale or zero rate.
[[nodiscard]] Result<Msat> msat_from_usd_ceil(MicroUsd usd, const Rate& rate, UnixMillis now);
/// Rounded down.
[[nodiscard]] Result<MicroUsd> usd_from_msat_floor(Msat amount, const Rate& rate, UnixMillis now);

/// A price as written: in bitcoin units or in dollars that a rate turns into bitcoin when asked.
struct Price {
  Msat msat;  // when usd is empty
  std::optional<MicroUsd> usd;
  [[nodiscard]] Result<Msat> in_msat(const std::optional<Rate>& rate, UnixMillis now) const;
  [[nodiscard]] bool is_zero() const { return usd ? usd->is_zero() : msat.is_zero(); }
  auto operator<=>(const Price&) const = default;
};

/// "10 sat", "2500 msat", "0.001 btc", "0.05 usd"; one optional space; digits and unit, nothing
/// else.
[[nodiscard]] Result<Price> parse_price(std::string_view text);
/// As parse_price, but only bitcoin units.
[[nodiscard]] Result<Msat> parse_msat(std::string_view text);
/// Only "usd".
[[nodiscard]] Result<MicroUsd> parse_usd(std::string_view text);

/// "1500 msat", or "10 sat" when whole.
[[nodiscard]] std::string format(Msat amount);
[[nodiscard]] std::string format(Sat amount);
/// "0.05 usd": as many digits as needed, at least none.
[[nodiscard]] std::string format(MicroUsd amount);
[[nodiscard]] std::string format(const Price& price);

/// Decimal digits only, no sign, no leading zero (but "0"): the form on the wire.
[[nodiscard]] Result<Sat> sat_from_wire(std::string_view digits);

}  // namespace octroi
