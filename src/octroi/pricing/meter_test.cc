#include "octroi/pricing/meter.h"

#include <gtest/gtest.h>

namespace octroi::pricing {
namespace {

UnitPrice price_of(Unit unit, std::int64_t msat, std::uint64_t per) {
  return {unit, Msat::from_raw_unchecked(msat), per};
}

TEST(Units, have_names) {
  for (const Unit unit : {Unit::request, Unit::chunk, Unit::token, Unit::byte, Unit::kib}) {
    EXPECT_EQ(unit_from_string(to_string(unit)), unit) << to_string(unit);
  }
  for (const char* other : {"", "kib", "KB", "tokens", "Byte"}) {
    EXPECT_EQ(unit_from_string(other), std::nullopt) << other;
  }
}

struct CostRow {
  const char* name;
  std::int64_t msat;
  std::uint64_t per;
  std::uint64_t units;
  std::int64_t cost;  // -1: overflow
};
class Cost : public testing::TestWithParam<CostRow> {};
TEST_P(Cost, is_rounded_up_once) {
  const CostRow& row = GetParam();
  const auto cost = price_of(Unit::token, row.msat, row.per).cost(row.units);
  EXPECT_EQ(cost ? cost->count() : -1, row.cost);
}
INSTANTIATE_TEST_SUITE_P(
    rows, Cost,
    testing::Values(CostRow{"nothing", 10'000, 1000, 0, 0}, CostRow{"one", 10'000, 1000, 1, 10},
                    CostRow{"whole", 10'000, 1000, 1000, 10'000},
                    CostRow{"and_a_half", 10'000, 1000, 1500, 15'000},
                    CostRow{"third", 1000, 3, 1, 334}, CostRow{"two_thirds", 1000, 3, 2, 667},
                    CostRow{"three_thirds", 1000, 3, 3, 1000},
                    CostRow{"less_than_one_msat", 1, 1'000'000, 1, 1},
                    CostRow{"a_million_for_one_msat", 1, 1'000'000, 1'000'000, 1},
                    CostRow{"and_one_more", 1, 1'000'000, 1'000'001, 2},
                    CostRow{"free", 0, 1, 1000, 0},
                    CostRow{"wide", 1'000'000'000'000, 1'000'000'000'000'000'000,
                            18'446'744'073'709'551'615ULL, 18'446'744'073'710},
                    CostRow{"all_there_is", Msat::kMax, 1, 1, Msat::kMax},
                    CostRow{"more_than_there_is", Msat::kMax, 1, 2, -1},
                    CostRow{"far_more", Msat::kMax, 1, 18'446'744'073'709'551'615ULL, -1},
                    CostRow{"for_no_units", 1, 0, 1, -1}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Cost, of_a_stream_is_never_the_sum_of_rounded_parts) {
  const UnitPrice price = price_of(Unit::byte, 1000, 7);
  Tab tab(price);
  for (std::uint64_t n = 1; n <= 700; ++n) ASSERT_TRUE(tab.delivered(n));
  EXPECT_EQ(tab.cost(), 100'000_msat);
}

TEST(Kibibytes, are_counted_whole) {
  const UnitPrice price = price_of(Unit::kib, 1000, 1);
  EXPECT_EQ(price.units_of_bytes(0), 0U);
  EXPECT_EQ(price.units_of_bytes(1), 1U);
  EXPECT_EQ(price.units_of_bytes(1024), 1U);
  EXPECT_EQ(price.units_of_bytes(1025), 2U);
  EXPECT_EQ(price.units_of_bytes(UINT64_MAX), UINT64_MAX / 1024 + 1);
  EXPECT_EQ(price_of(Unit::byte, 1000, 1).units_of_bytes(1025), 1025U);
}

TEST(Tab, lets_pass_what_is_reserved) {
  Tab tab(price_of(Unit::chunk, 1000, 1));
  EXPECT_EQ(tab.missing(0).value(), Msat());
  EXPECT_EQ(tab.missing(3).value(), 3000_msat);
  tab.add_reserved(2500_msat);
  EXPECT_EQ(tab.missing(2).value(), Msat());
  EXPECT_EQ(tab.missing(3).value(), 500_msat);
  ASSERT_TRUE(tab.delivered(2));
  EXPECT_EQ(tab.cost(), 2000_msat);
  EXPECT_EQ(tab.surplus(), 500_msat);
  EXPECT_EQ(tab.shortfall(), Msat());
  ASSERT_TRUE(tab.delivered(4));
  EXPECT_EQ(tab.surplus(), Msat());
  EXPECT_EQ(tab.shortfall(), 1500_msat);
  ASSERT_TRUE(tab.delivered(1)) << "an estimate may be corrected";
  EXPECT_EQ(tab.surplus(), 1500_msat);
  EXPECT_EQ(tab.units(), 1U);
}

TEST(Tab, changes_nothing_when_a_cost_does_not_fit) {
  Tab tab(price_of(Unit::chunk, Msat::kMax, 1));
  ASSERT_TRUE(tab.delivered(1));
  EXPECT_FALSE(tab.missing(2));
  EXPECT_FALSE(tab.delivered(2));
  EXPECT_EQ(tab.units(), 1U);
  EXPECT_EQ(tab.cost().count(), Msat::kMax);
}

struct AheadRow {
  const char* name;
  std::uint64_t used;
  std::int64_t missing;
  std::int64_t balance;
  std::int64_t debit;
};
class Ahead : public testing::TestWithParam<AheadRow> {};
TEST_P(Ahead, grows_with_the_stream_and_leaves_the_balance_to_others) {
  const AheadRow& row = GetParam();
  Tab tab(price_of(Unit::chunk, 1000, 1));
  ASSERT_TRUE(tab.delivered(row.used));
  EXPECT_EQ(
      tab.with_ahead(Msat::from_raw_unchecked(row.missing), Msat::from_raw_unchecked(row.balance))
          .count(),
      row.debit);
}
INSTANTIATE_TEST_SUITE_P(
    rows, Ahead,
    testing::Values(AheadRow{"at_first_only_the_unit", 0, 1000, 1'000'000, 1000},
                    AheadRow{"then_as_much_again", 5, 1000, 1'000'000, 6000},
                    AheadRow{"up_to_a_part_of_the_rest", 100, 1000, 161'000, 11'000},
                    AheadRow{"and_up_to_a_few_prices", 100, 1000, 1'000'000'000, 17'000},
                    AheadRow{"nothing_of_an_empty_one", 100, 1000, 1000, 1000},
                    AheadRow{"what_is_missing_in_any_case", 100, 1000, 0, 1000},
                    AheadRow{"nothing_for_nothing", 100, 0, 1'000'000, 0}),
    [](const auto& row) { return std::string(row.param.name); });

/// The number of debits of a long stream with a large balance: not one a unit.
TEST(Ahead, makes_few_debits) {
  Tab tab(price_of(Unit::chunk, 1000, 1));
  Msat balance = 1'000'000'000_msat;
  int debits = 0;
  for (std::uint64_t n = 1; n <= 10'000; ++n) {
    const Msat missing = tab.missing(n).value();
    if (!missing.is_zero()) {
      const Msat amount = tab.with_ahead(missing, balance);
      balance = balance.minus(amount).value();
      tab.add_reserved(amount);
      ++debits;
    }
    ASSERT_TRUE(tab.delivered(n));
  }
  EXPECT_LE(debits, 10'000 / 16);
  EXPECT_EQ(balance.plus(tab.reserved()).value(), 1'000'000'000_msat);
}

/// Down to the last millisatoshi: what can be paid for is delivered.
TEST(Ahead, uses_a_balance_up) {
  Tab tab(price_of(Unit::chunk, 3, 7));
  Msat balance = 1000_msat;
  std::uint64_t n = 0;
  for (;; ++n) {
    const Msat missing = tab.missing(n + 1).value();
    if (!missing.is_zero()) {
      if (missing > balance) break;
      const Msat amount = tab.with_ahead(missing, balance);
      ASSERT_LE(amount, balance);
      balance = balance.minus(amount).value();
      tab.add_reserved(amount);
    }
    ASSERT_TRUE(tab.delivered(n + 1));
  }
  EXPECT_EQ(n, 2333U);  // 1000 × 7 / 3
  EXPECT_EQ(balance, Msat());
  EXPECT_EQ(tab.surplus(), Msat());
}

}  // namespace
}  // namespace octroi::pricing
