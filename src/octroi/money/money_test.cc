#include "octroi/money/money.h"

#include <limits>

#include <gtest/gtest.h>

#include "octroi/base/random.h"

namespace octroi {
namespace {

static_assert(!std::is_convertible_v<std::int64_t, Msat>);
static_assert(!std::is_constructible_v<Msat, std::int64_t>);
static_assert(!std::is_convertible_v<Sat, Msat>);
static_assert(!std::is_convertible_v<Msat, Sat>);
static_assert(!std::is_convertible_v<double, MicroUsd>);

__extension__ using Wide = __int128;

constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
const UnixMillis kNow = from_unix_seconds(1'800'000'000);

Rate rate_of(std::int64_t micro_usd_per_btc) {
  return {MicroUsd::from_raw_unchecked(micro_usd_per_btc), kNow, Seconds(60)};
}
Msat msat(std::int64_t n) { return Msat::from_raw(n).value(); }

TEST(Amount, RawBounds) {
  EXPECT_EQ(Msat::from_raw(-1).error().code(), "money.negative");
  EXPECT_EQ(Msat::from_raw(Msat::kMax).value().count(), Msat::kMax);
  EXPECT_EQ(Msat::from_raw(Msat::kMax + 1).error().code(), "money.overflow");
  EXPECT_EQ(Sat::from_raw(Sat::kMax + 1).error().code(), "money.overflow");
  EXPECT_EQ(MicroUsd::from_raw(kInt64Max).error().code(), "money.overflow");
}

TEST(Amount, ArithmeticAtTheEdges) {
  const Msat most = msat(Msat::kMax);
  EXPECT_EQ(most.plus(1_msat).error().code(), "money.overflow");
  EXPECT_EQ(most.plus(most).error().code(), "money.overflow");
  EXPECT_EQ(most.plus(0_msat).value(), most);
  EXPECT_EQ((1_msat).minus(2_msat).error().code(), "money.negative");
  EXPECT_EQ(most.minus(most).value(), 0_msat);
  EXPECT_EQ(most.times(2).error().code(), "money.overflow");
  EXPECT_EQ(most.times(kInt64Max).error().code(), "money.overflow");
  EXPECT_EQ((1_msat).times(-1).error().code(), "money.negative");
  EXPECT_EQ(most.times(0).value(), 0_msat);
  EXPECT_EQ((0_msat).times(kInt64Max).value(), 0_msat);
  EXPECT_EQ((3_msat).times(7).value(), 21_msat);
  EXPECT_EQ(MicroUsd::from_raw(MicroUsd::kMax).value().plus(1_usd).error().code(),
            "money.overflow");
}

// Every operation against the same one in 128 bits.
TEST(Amount, ArithmeticAgreesWithWideIntegers) {
  SeededRandom random(11);
  const auto draw = [&random]() -> std::int64_t {
    const auto raw = random.bytes<8>();
    std::uint64_t n = 0;
    for (const auto byte : raw) n = n << 8 | byte;
    return static_cast<std::int64_t>((n >> (n & 63U)) %
                                     (static_cast<std::uint64_t>(Msat::kMax) + 1));
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t a = draw();
    const std::int64_t b = draw();
    const auto check = [](const Result<Msat>& got, Wide exact) {
      ASSERT_EQ(got.has_value(), exact >= 0 && exact <= Msat::kMax);
      if (got) {
        ASSERT_EQ(static_cast<Wide>(got->count()), exact);
      }
    };
    check(msat(a).plus(msat(b)), static_cast<Wide>(a) + b);
    check(msat(a).minus(msat(b)), static_cast<Wide>(a) - b);
    check(msat(a).times(b), static_cast<Wide>(a) * b);
  }
}

TEST(Rounding, SatoshiUpForThePayerDownForTheRefund) {
  struct Row {
    std::int64_t msat;
    std::int64_t ceil;
    std::int64_t floor;
  };
  for (const Row& row :
       {Row{0, 0, 0}, Row{1, 1, 0}, Row{999, 1, 0}, Row{1000, 1, 1}, Row{1001, 2, 1},
        Row{Msat::kMax, kMaxSat, kMaxSat}, Row{Msat::kMax - 1, kMaxSat, kMaxSat - 1}}) {
    EXPECT_EQ(to_sat_ceil(msat(row.msat)).count(), row.ceil) << row.msat;
    EXPECT_EQ(to_sat_floor(msat(row.msat)).count(), row.floor) << row.msat;
  }
  EXPECT_EQ(to_msat(Sat::from_raw_unchecked(kMaxSat)).count(), Msat::kMax);
}

TEST(Rates, RoundUpForThePayer) {
  // 60,000 dollars a bitcoin: a dollar is 1,666,666.67 msat.
  const Rate rate = rate_of(60'000'000'000);
  EXPECT_EQ(msat_from_usd_ceil(1_usd, rate, kNow).value(), 1'666'667_msat);
  EXPECT_EQ(msat_from_usd_ceil(0_usd, rate, kNow).value(), 0_msat);
  EXPECT_EQ(msat_from_usd_ceil(MicroUsd::from_raw_unchecked(1), rate, kNow).value(), 2_msat);
  EXPECT_EQ(usd_from_msat_floor(1'666'667_msat, rate, kNow).value(), 1_usd);
  EXPECT_EQ(usd_from_msat_floor(1'666'666_msat, rate, kNow).value().count(), 999'999);
  EXPECT_EQ(usd_from_msat_floor(1_msat, rate, kNow).value(), 0_usd);
}

TEST(Rates, NeverChargeLessThanThePrice) {
  SeededRandom random(5);
  for (int i = 0; i < 20'000; ++i) {
    const auto raw = random.bytes<8>();
    std::uint64_t n = 0;
    for (const auto byte : raw) n = n << 8 | byte;
    const std::int64_t usd = static_cast<std::int64_t>((n & 0xffffffffU) >> (n >> 59));
    const std::int64_t per_btc = static_cast<std::int64_t>(n >> 24 & 0xffffffffffU) + 1;
    const Rate rate = rate_of(per_btc);
    const auto charged = msat_from_usd_ceil(MicroUsd::from_raw_unchecked(usd), rate, kNow);
    const Wide product = static_cast<Wide>(usd) * 100'000'000'000;
    if (!charged) {
      ASSERT_GT(product, static_cast<Wide>(Msat::kMax) * per_btc);
      continue;
    }
    ASSERT_GE(static_cast<Wide>(charged->count()) * per_btc, product);
    ASSERT_LT((static_cast<Wide>(charged->count()) - 1) * per_btc, product);
    ASSERT_GE(usd_from_msat_floor(*charged, rate, kNow).value().count(), usd);
  }
}

TEST(Rates, Overflow) {
  const MicroUsd most = MicroUsd::from_raw_unchecked(MicroUsd::kMax);
  EXPECT_EQ(msat_from_usd_ceil(most, rate_of(1), kNow).error().code(), "money.overflow");
  EXPECT_EQ(usd_from_msat_floor(msat(Msat::kMax), {most, kNow, Seconds(1)}, kNow).error().code(),
            "money.overflow");
  EXPECT_EQ(msat_from_usd_ceil(most, {most, kNow, Seconds(1)}, kNow).value(), 100'000'000'000_msat);
}

TEST(Rates, AreDated) {
  const Rate rate = rate_of(60'000'000'000);
  EXPECT_TRUE(msat_from_usd_ceil(1_usd, rate, kNow + Seconds(60)));
  EXPECT_EQ(msat_from_usd_ceil(1_usd, rate, kNow + Millis(60'001)).error().code(),
            "money.stale_rate");
  EXPECT_TRUE(msat_from_usd_ceil(1_usd, rate, kNow - Seconds(60)));
  EXPECT_EQ(msat_from_usd_ceil(1_usd, rate, kNow - Millis(60'001)).error().code(),
            "money.stale_rate");
  EXPECT_EQ(usd_from_msat_floor(1_msat, rate, kNow + Seconds(61)).error().code(),
            "money.stale_rate");
  EXPECT_EQ(msat_from_usd_ceil(1_usd, rate_of(0), kNow).error().code(), "money.no_rate");
  Rate extreme = rate;
  extreme.as_of = {std::numeric_limits<std::int64_t>::min()};
  EXPECT_EQ(msat_from_usd_ceil(1_usd, extreme, kNow).error().code(), "money.stale_rate");
}

TEST(Prices, InMsat) {
  const Price fixed = parse_price("10 sat").value();
  EXPECT_EQ(fixed.in_msat(std::nullopt, kNow).value(), 10'000_msat);
  const Price dollars = parse_price("0.05 usd").value();
  EXPECT_EQ(dollars.in_msat(std::nullopt, kNow).error().code(), "money.no_rate");
  EXPECT_EQ(dollars.in_msat(rate_of(60'000'000'000), kNow).value(), 83'334_msat);
  EXPECT_EQ(dollars.in_msat(rate_of(60'000'000'000), kNow + Seconds(61)).error().code(),
            "money.stale_rate");
  const Price free = parse_price("0 usd").value();
  EXPECT_TRUE(free.is_zero());
  EXPECT_EQ(free.in_msat(std::nullopt, kNow).value(), 0_msat);
  EXPECT_FALSE(dollars.is_zero());
}

struct ParseRow {
  const char* name;
  std::string text;
  const char* code;  // null: parses
  std::string formatted;
};

TEST(Parse, Prices) {
  const std::vector<ParseRow> rows = {
      {"sat", "10 sat", nullptr, "10 sat"},
      {"no space", "10sat", nullptr, "10 sat"},
      {"msat", "2500 msat", nullptr, "2500 msat"},
      {"whole msat", "2000 msat", nullptr, "2 sat"},
      {"fraction of a sat", "1.5 sat", nullptr, "1500 msat"},
      {"btc", "0.001 btc", nullptr, "100000 sat"},
      {"smallest btc", "0.00000000001 btc", nullptr, "1 msat"},
      {"all bitcoin", "21000000 btc", nullptr, "2100000000000000 sat"},
      {"usd", "0.05 usd", nullptr, "0.05 usd"},
      {"whole usd", "3 usd", nullptr, "3 usd"},
      {"ending zeros", "1.500000 usd", nullptr, "1.5 usd"},
      {"zero", "0 sat", nullptr, "0 sat"},
      {"leading zeros", "007 sat", nullptr, "7 sat"},
      {"one msat too many", "2100000000000000001 msat", "money.overflow", ""},
      {"above all bitcoin", "21000000.00000000001 btc", "money.overflow", ""},
      {"64 bits", "9223372036854775808 msat", "money.overflow", ""},
      {"hundreds of digits", std::string(400, '9') + " msat", "money.overflow", ""},
      {"dollars beyond the type", "9000000000001 usd", "money.overflow", ""},
      {"half an msat", "0.5 msat", "money.bad_amount", ""},
      {"twelve places", "0.000000000001 btc", "money.bad_amount", ""},
      {"zero beyond the smallest", "1.0000 sat", "money.bad_amount", ""},
      {"seven places of usd", "0.0000001 usd", "money.bad_amount", ""},
      {"no digits", "sat", "money.bad_amount", ""},
      {"empty", "", "money.bad_amount", ""},
      {"no unit", "10", "money.bad_amount", ""},
      {"negative", "-1 sat", "money.bad_amount", ""},
      {"plus", "+1 sat", "money.bad_amount", ""},
      {"exponent", "1e3 sat", "money.bad_amount", ""},
      {"hex", "0x10 sat", "money.bad_amount", ""},
      {"separator", "1,000 sat", "money.bad_amount", ""},
      {"bare point before", ".5 sat", "money.bad_amount", ""},
      {"bare point after", "5. sat", "money.bad_amount", ""},
      {"two points", "1.2.3 sat", "money.bad_amount", ""},
      {"two spaces", "1  sat", "money.bad_amount", ""},
      {"tab", "1\tsat", "money.bad_amount", ""},
      {"leading space", " 1 sat", "money.bad_amount", ""},
      {"trailing space", "1 sat ", "money.bad_amount", ""},
      {"line feed", "1 sat\n", "money.bad_amount", ""},
      {"NUL", std::string("1 sat\0", 6), "money.bad_amount", ""},
      {"other digits", "\xd9\xa1 sat", "money.bad_amount", ""},
      {"unit in capitals", "1 SAT", "money.unknown_unit", ""},
      {"other currency", "1 eur", "money.unknown_unit", ""},
      {"plural", "1 sats", "money.unknown_unit", ""},
      {"dollar sign", "$1", "money.bad_amount", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto price = parse_price(row.text);
    if (row.code != nullptr) {
      ASSERT_FALSE(price);
      EXPECT_EQ(price.error().code(), row.code);
    } else {
      ASSERT_TRUE(price) << price.error().message();
      EXPECT_EQ(format(*price), row.formatted);
      EXPECT_EQ(parse_price(format(*price)).value(), *price);
    }
  }
}

TEST(Parse, OneKindOnly) {
  EXPECT_EQ(parse_msat("1.5 sat").value(), 1500_msat);
  EXPECT_EQ(parse_msat("1 usd").error().code(), "money.unknown_unit");
  EXPECT_EQ(parse_usd("1.000001 usd").value().count(), 1'000'001);
  EXPECT_EQ(parse_usd("1 sat").error().code(), "money.unknown_unit");
}

TEST(Parse, Wire) {
  EXPECT_EQ(sat_from_wire("0").value(), 0_sat);
  EXPECT_EQ(sat_from_wire("2100000000000000").value().count(), kMaxSat);
  EXPECT_EQ(sat_from_wire("2100000000000001").error().code(), "money.overflow");
  EXPECT_EQ(sat_from_wire(std::string(300, '1')).error().code(), "money.overflow");
  for (const char* text : {"", "00", "01", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1_0"}) {
    EXPECT_EQ(sat_from_wire(text).error().code(), "money.bad_amount") << text;
  }
}

TEST(Format, Amounts) {
  EXPECT_EQ(format(1500_msat), "1500 msat");
  EXPECT_EQ(format(0_msat), "0 sat");
  EXPECT_EQ(format(12_sat), "12 sat");
  EXPECT_EQ(format(MicroUsd::from_raw_unchecked(1)), "0.000001 usd");
  EXPECT_EQ(format(MicroUsd::from_raw_unchecked(1'000'000'000)), "1000 usd");
}

}  // namespace
}  // namespace octroi
