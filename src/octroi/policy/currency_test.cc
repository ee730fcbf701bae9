#include "octroi/policy/currency.h"

#include <gtest/gtest.h>

#include "octroi/policy/policy_testing.h"

namespace octroi::policy {
namespace {

TEST(MinorDigits, AreThoseOfTheCurrencyAndOfTheVendor) {
  struct Row {
    std::string_view code;
    std::optional<int> iso, stripe;
  };
  const Row rows[] = {{"USD", 2, 2},    {"eur", 2, 2},   {"JPY", 0, 0},  {"KRW", 0, 0},
                      {"KWD", 3, 3},    {"BHD", 3, 3},   {"ISK", 0, 2},  {"UGX", 0, 2},
                      {"MGA", 2, 0},    {"XAU", {}, {}}, {"", {}, {}},   {"US", {}, {}},
                      {"USDT", {}, {}}, {"R U", {}, {}}, {" US", {}, {}}};
  for (const Row& row : rows) {
    EXPECT_EQ(minor_digits(row.code, MinorUnits::iso), row.iso) << row.code;
    EXPECT_EQ(minor_digits(row.code, MinorUnits::stripe), row.stripe) << row.code;
  }
}

TEST(NanoUsd, IsParsedStrictly) {
  struct Row {
    std::string_view text;
    std::int64_t value;  // 0: refused
  };
  const Row rows[] = {{"1 usd", 1'000'000'000},
                      {"1.085 usd", 1'085'000'000},
                      {"0.000000001 usd", 1},
                      {"999999999.999999999 usd", 999'999'999'999'999'999},
                      {"0 usd", 0},
                      {"0.0000000001 usd", 0},
                      {"1000000000 usd", 0},
                      {"1. usd", 0},
                      {".5 usd", 0},
                      {"-1 usd", 0},
                      {"1e3 usd", 0},
                      {"1", 0},
                      {"1 eur", 0},
                      {" 1 usd", 0},
                      {"", 0}};
  for (const Row& row : rows) {
    const auto parsed = parse_nano_usd(row.text);
    EXPECT_EQ(parsed.has_value(), row.value != 0) << row.text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->value, row.value) << row.text;
    EXPECT_EQ(parse_nano_usd(format(*parsed)), *parsed) << row.text;
  }
}

Rates some_rates() {
  Rates rates;
  rates.per_unit = {{"EUR", {1'085'000'000}}, {"JPY", {6'700'000}}, {"KWD", {3'250'000'000}}};
  rates.as_of = kNow - std::chrono::hours(10);
  rates.max_age = std::chrono::hours(24);
  return rates;
}

TEST(ToUsd, RoundsUpAndRefusesWhatItDoesNotKnow) {
  struct Row {
    std::string_view name;
    std::int64_t minor;
    std::string currency;
    int haircut;
    std::int64_t micros;  // -1: refused
  };
  const Row rows[] = {{"dollars need no rate", 5000, "usd", 10, 50'000'000},
                      {"one cent", 1, "USD", 0, 10'000},
                      {"euros", 1000, "eur", 0, 10'850'000},
                      {"with a haircut", 1000, "EUR", 5, 11'392'500},
                      {"yen have no cents", 1000, "jpy", 0, 6'700'000},
                      {"dinars have a thousand", 1000, "kwd", 0, 3'250'000},
                      {"a thousandth of a dinar", 1, "kwd", 0, 3'250},
                      {"rounded up", 1, "eur", 1, 10'959},
                      {"no rate", 1, "gbp", 0, -1},
                      {"no such currency", 1, "abc", 0, -1},
                      {"below zero", -1, "usd", 0, -1},
                      {"too large", 1'000'000'000'000'001, "usd", 0, -1},
                      {"too large in dollars", 1'000'000'000'000'000, "usd", 0, -1}};
  for (const Row& row : rows) {
    Rates rates = some_rates();
    rates.haircut_percent = row.haircut;
    const auto usd = to_usd({row.minor, row.currency, MinorUnits::iso}, rates, kNow);
    EXPECT_EQ(usd ? usd->count() : -1, row.micros) << row.name;
  }
}

TEST(ToUsd, RefusesAStaleRate) {
  Rates rates = some_rates();
  const MinorAmount euros{100, "eur", MinorUnits::iso};
  rates.as_of = kNow - std::chrono::hours(24);
  EXPECT_TRUE(to_usd(euros, rates, kNow));
  EXPECT_EQ(to_usd(euros, rates, kNow + Millis(1)).error().code(), "policy.stale_rate");
  rates.as_of = kNow + std::chrono::hours(25);
  EXPECT_EQ(to_usd(euros, rates, kNow).error().code(), "policy.stale_rate");
  EXPECT_EQ(to_usd({100, "sek", MinorUnits::iso}, rates, kNow).error().code(), "policy.no_rate");
}

TEST(MinorAmount, IsShownWithItsDigits) {
  EXPECT_EQ(format(MinorAmount{1234, "eur", MinorUnits::iso}), "12.34 EUR");
  EXPECT_EQ(format(MinorAmount{5, "usd", MinorUnits::iso}), "0.05 USD");
  EXPECT_EQ(format(MinorAmount{500, "jpy", MinorUnits::iso}), "500 JPY");
  EXPECT_EQ(format(MinorAmount{1001, "kwd", MinorUnits::iso}), "1.001 KWD");
}

}  // namespace
}  // namespace octroi::policy
