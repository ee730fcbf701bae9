#include "octroi/policy/currency.h"

#include <algorithm>

#include "octroi/ledger/spend_ledger.h"

namespace octroi::policy {

__extension__ using Wide = __int128;

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::bad_policy:
      return {"policy.bad_policy", ErrorKind::invalid};
    case Errc::unknown_currency:
      return {"policy.unknown_currency", ErrorKind::refused};
    case Errc::no_rate:
      return {"policy.no_rate", ErrorKind::refused};
    case Errc::stale_rate:
      return {"policy.stale_rate", ErrorKind::refused};
    case Errc::bad_rate:
      return {"policy.bad_rate", ErrorKind::invalid};
    case Errc::bad_amount:
      return {"policy.bad_amount", ErrorKind::refused};
    case Errc::bad_zone:
      return {"policy.bad_zone", ErrorKind::invalid};
  }
  return {"policy.unknown", ErrorKind::internal};
}

namespace {

constexpr std::int64_t kNanosOfUsd = 1'000'000'000;
/// A rate's date is a day somewhere; it may be tomorrow's here.
constexpr Millis kDayAhead = std::chrono::hours(24);

// ISO 4217, by the digits of the smallest unit.
constexpr std::string_view kNoDigits =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
constexpr std::string_view kThreeDigits = "BHD IQD JOD KWD LYD OMR TND";
constexpr std::string_view kTwoDigits =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
    "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT "
    "TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG";

bool lists(std::string_view codes, std::string_view code) {
  for (std::size_t i = 0; i + 3 <= codes.size(); i += 4) {
    if (codes.substr(i, 3) == code) return true;
  }
  return false;
}

std::string capitals(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::int64_t power_of_ten(int digits) {
  std::int64_t out = 1;
  for (; digits > 0; --digits) out *= 10;
  return out;
}

Wide divide_up(Wide a, Wide b) { return (a + b - 1) / b; }

Result<NanoUsd> rate_of(const std::string& code, const Rates& rates, UnixMillis now) {
  const auto rate = rates.per_unit.find(code);
  if (rate == rates.per_unit.end()) {
    return fail(Errc::no_rate, fmt::format("no rate for {}: add it to vault.rates.usd", code));
  }
  if (now - rates.as_of > rates.max_age || rates.as_of - now > kDayAhead) {
    return fail(Errc::stale_rate,
                fmt::format("the rate of {} is of {}, and may be used for {} s", code,
                            to_rfc3339(rates.as_of), rates.max_age.count() / 1000));
  }
  return rate->second;
}

}  // namespace

std::optional<int> minor_digits(std::string_view code, MinorUnits units) {
  if (code.size() != 3) return std::nullopt;
  const std::string name = capitals(code);
  if (units == MinorUnits::stripe) {
    if (name == "ISK" || name == "UGX") return 2;
    if (name == "MGA") return 0;
  }
  if (lists(kTwoDigits, name)) return 2;
  if (lists(kNoDigits, name)) return 0;
  if (lists(kThreeDigits, name)) return 3;
  return std::nullopt;
}

Result<NanoUsd> parse_nano_usd(std::string_view text) {
  const auto bad = [] {
    return fail(Errc::bad_rate, "a rate is written like \"1.085 usd\", with up to nine digits");
  };
  constexpr std::string_view kUnit = " usd";
  if (!text.ends_with(kUnit)) return bad();
  text.remove_suffix(kUnit.size());
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  const auto digits = [](std::string_view s) {
    return std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (whole.empty() || whole.size() > 9 || part.size() > 9 || !digits(whole) || !digits(part)) {
    return bad();
  }
  if (point != std::string_view::npos && part.empty()) return bad();
  std::int64_t value = 0;
  for (const char c : whole) value = value * 10 + (c - '0');
  for (std::size_t i = 0; i < 9; ++i) value = value * 10 + (i < part.size() ? part[i] - '0' : 0);
  if (value == 0) return fail(Errc::bad_rate, "a rate of zero makes every amount free");
  return NanoUsd{value};
}

std::string format(NanoUsd rate) {
  std::string part = fmt::format("{:09}", rate.value % kNanosOfUsd);
  while (!part.empty() && part.back() == '0') part.pop_back();
  return fmt::format("{}{}{} usd", rate.value / kNanosOfUsd, part.empty() ? "" : ".", part);
}

Result<MicroUsd> to_usd(const MinorAmount& amount, const Rates& rates, UnixMillis now) {
  const std::optional<int> digits = minor_digits(amount.currency, amount.units);
  if (!digits) {
    return fail(Errc::unknown_currency, "the currency of this call is not known");
  }
  if (amount.minor < 0) return fail(Errc::bad_amount, "an amount below zero");
  if (amount.minor > ledger::kMaxSpend) {
    return fail(Errc::bad_amount, "an amount that is too large to count");
  }
  const std::string code = capitals(amount.currency);
  Wide nanos = static_cast<Wide>(amount.minor);
  if (code == "USD") {
    nanos *= kNanosOfUsd;
  } else {
    OCTROI_TRY(const NanoUsd rate, rate_of(code, rates, now));
    nanos = divide_up(nanos * rate.value * (100 + rates.haircut_percent), 100);
  }
  const Wide micros = divide_up(nanos, static_cast<Wide>(power_of_ten(*digits)) * 1000);
  if (micros > ledger::kMaxSpend) {
    return fail(Errc::bad_amount, "an amount that is too large to count");
  }
  return MicroUsd::from_raw(static_cast<std::int64_t>(micros));
}

std::string format(const MinorAmount& amount) {
  const int digits = minor_digits(amount.currency, amount.units).value_or(0);
  const std::int64_t unit = power_of_ten(digits);
  std::string out = fmt::format("{}", amount.minor / unit);
  if (digits > 0) out += fmt::format(".{:0{}}", amount.minor % unit, digits);
  return out + " " + capitals(amount.currency);
}

}  // namespace octroi::policy
