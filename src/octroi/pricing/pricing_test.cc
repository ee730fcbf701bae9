#include <gtest/gtest.h>

#include "octroi/pricing/price_source.h"

namespace octroi::pricing {
namespace {

constexpr UnixMillis kNow{1'795'000'000'000};
Rate rate_of(std::int64_t dollars, Millis age = Millis(0)) {
  return {MicroUsd::from_raw_unchecked(dollars * 1'000'000), kNow - age, Millis(3'600'000)};
}

struct DigitsRow {
  const char* currency;
  int digits;  // -1: refused
};
class Digits : public testing::TestWithParam<DigitsRow> {};
TEST_P(Digits, are_those_of_the_standard) {
  const auto digits = minor_digits(GetParam().currency);
  EXPECT_EQ(digits ? *digits : -1, GetParam().digits);
}
INSTANTIATE_TEST_SUITE_P(rows, Digits,
                         testing::Values(DigitsRow{"usd", 2}, DigitsRow{"USD", 2},
                                         DigitsRow{"EUR", 2}, DigitsRow{"JPY", 0},
                                         DigitsRow{"KRW", 0}, DigitsRow{"BHD", 3},
                                         DigitsRow{"KWD", 3}, DigitsRow{"CLF", 4},
                                         DigitsRow{"sat", 0}, DigitsRow{"msat", 0},
                                         DigitsRow{"XXX", -1}, DigitsRow{"", -1},
                                         DigitsRow{"US", -1}, DigitsRow{"DOLLAR", -1}));

struct UnitsRow {
  const char* name;
  const char* amount;
  const char* currency;
  std::int64_t units;  // -1: refused
};
class Units : public testing::TestWithParam<UnitsRow> {};
TEST_P(Units, are_strict) {
  const auto units = to_minor_units(GetParam().amount, GetParam().currency);
  EXPECT_EQ(units ? *units : -1, GetParam().units);
  if (units) {
    const auto text = from_minor_units(*units, GetParam().currency);
    ASSERT_TRUE(text);
    EXPECT_EQ(to_minor_units(*text, GetParam().currency).value(), *units);
  }
}
INSTANTIATE_TEST_SUITE_P(
    rows, Units,
    testing::Values(UnitsRow{"dollars", "1.50", "usd", 150},
                    UnitsRow{"one_decimal", "1.5", "usd", 150}, UnitsRow{"whole", "7", "usd", 700},
                    UnitsRow{"yen", "100", "JPY", 100}, UnitsRow{"dinar", "0.001", "BHD", 1},
                    UnitsRow{"zero", "0", "usd", 0}, UnitsRow{"half_a_yen", "0.5", "JPY", -1},
                    UnitsRow{"too_fine", "1.005", "usd", -1},
                    UnitsRow{"ends_in_point", "1.", "usd", -1},
                    UnitsRow{"starts_with_point", ".5", "usd", -1},
                    UnitsRow{"two_points", "1.2.3", "usd", -1}, UnitsRow{"sign", "-1", "usd", -1},
                    UnitsRow{"plus", "+1", "usd", -1}, UnitsRow{"blank", " 1", "usd", -1},
                    UnitsRow{"empty", "", "usd", -1}, UnitsRow{"exponent", "1e3", "usd", -1},
                    UnitsRow{"largest", "92233720368547758.07", "usd", 9223372036854775807},
                    UnitsRow{"overflow", "92233720368547758.08", "usd", -1}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(MinorUnits, are_written_with_all_decimals) {
  EXPECT_EQ(from_minor_units(5, "usd").value(), "0.05");
  EXPECT_EQ(from_minor_units(150, "usd").value(), "1.50");
  EXPECT_EQ(from_minor_units(5, "jpy").value(), "5");
  EXPECT_EQ(from_minor_units(5, "bhd").value(), "0.005");
  EXPECT_FALSE(from_minor_units(-5, "usd"));
}

TEST(ToMsat, rounds_up_and_needs_a_fresh_rate) {
  EXPECT_EQ(to_msat_ceil(10, "sat", std::nullopt, kNow).value(), 10000_msat);
  EXPECT_EQ(to_msat_ceil(10, "msat", std::nullopt, kNow).value(), 10_msat);
  // A cent at 65,000 usd: 15.384615… sat.
  EXPECT_EQ(to_msat_ceil(1, "usd", rate_of(65'000), kNow).value(), 15385_msat);
  EXPECT_TRUE(to_msat_ceil(1, "usd", std::nullopt, kNow).error().is(MoneyErrc::no_rate));
  EXPECT_TRUE(to_msat_ceil(1, "usd", rate_of(65'000, Millis(3'600'001)), kNow)
                  .error()
                  .is(MoneyErrc::stale_rate));
  EXPECT_TRUE(to_msat_ceil(1, "eur", rate_of(65'000), kNow).error().is(Errc::no_conversion));
  EXPECT_TRUE(to_msat_ceil(1, "zzz", rate_of(65'000), kNow).error().is(Errc::unknown_currency));
  EXPECT_FALSE(to_msat_ceil(-1, "sat", std::nullopt, kNow));
  EXPECT_FALSE(to_msat_ceil(std::numeric_limits<std::int64_t>::max(), "usd", rate_of(1), kNow));
}

TEST(StaticPrices, rule_first_then_own) {
  const Price own{7000_msat, std::nullopt};
  const Price dollars{Msat{}, MicroUsd::from_raw_unchecked(10'000)};
  const StaticPrices prices(own, {Price{1000_msat, std::nullopt}, dollars});
  EXPECT_EQ(prices.amount(std::nullopt, std::nullopt, kNow).value(), 7000_msat);
  EXPECT_EQ(prices.amount(0, std::nullopt, kNow).value(), 1000_msat);
  EXPECT_EQ(prices.amount(1, rate_of(65'000), kNow).value(), 15385_msat);
  EXPECT_TRUE(prices.amount(2, std::nullopt, kNow).error().is(Errc::no_price));
  EXPECT_TRUE(StaticPrices(std::nullopt, {})
                  .amount(std::nullopt, std::nullopt, kNow)
                  .error()
                  .is(Errc::no_price));
}

TEST(FirstRule, is_the_first_that_matches) {
  EXPECT_EQ(first_rule(3, [](std::size_t i) { return i > 0; }), 1U);
  EXPECT_EQ(first_rule(3, [](std::size_t) { return false; }), std::nullopt);
  EXPECT_EQ(first_rule(0, [](std::size_t) { return true; }), std::nullopt);
}

/// Runs a task that never waits for anything.
template <class T>
T run_now(Task<T> task) {
  std::optional<T> result;
  auto driver = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
    out = co_await std::move(inner);
  };
  Task<void> outer = driver(std::move(task), result);
  auto awaiter = std::move(outer).operator co_await();
  awaiter.await_suspend(std::noop_coroutine()).resume();
  return std::move(*result);
}

TEST(StaticPriceSource, quotes_with_the_time_of_its_clock) {
  ManualClock clock(kNow);
  StaticPriceSource source(StaticPrices(Price{Msat{}, MicroUsd::from_raw_unchecked(10'000)}, {}),
                           rate_of(65'000), clock);
  const auto quote = run_now(source.quote(PriceRequest{}));
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->amount, 15385_msat);
  clock.advance(Millis(3'600'001));
  EXPECT_TRUE(run_now(source.quote(PriceRequest{})).error().is(MoneyErrc::stale_rate));
}

}  // namespace
}  // namespace octroi::pricing
