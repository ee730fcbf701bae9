// octroi/ledger/shared_contract.h: what every SharedState must do. For tests only.
//
//   OCTROI_SHARED_CONTRACT(MemoryShared, MemoryFixture);
//
// The fixture has state(i): the same counters as replica i sees them, run(task): on a loop, and
// pass(ms): that much later. Thread: the test's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/shared_state.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

inline PaymentHash hash_of_unpaid(std::uint8_t n) {
  std::array<std::uint8_t, 32> raw{};
  raw[0] = n;
  raw[31] = 0x5a;
  return PaymentHash(raw);
}

inline UnpaidPlace unpaid_place(std::string client, std::string ticket,
                                Millis left = Millis(60'000)) {
  return {std::move(client), std::move(ticket), std::nullopt, left};
}

template <class Fixture>
struct SharedContract {
  Fixture f;

  Room take(std::vector<RateBucket> buckets, int replica = 0) {
    auto room = f.run(f.state(replica).take_rates(std::move(buckets)));
    EXPECT_TRUE(room) << (room ? "" : room.error().message());
    return room.value_or(Room{false, Millis(-1)});
  }
  Room reserve(UnpaidPlace place, std::int64_t max, int replica = 0) {
    auto room = f.run(f.state(replica).reserve_unpaid(std::move(place), max));
    EXPECT_TRUE(room) << (room ? "" : room.error().message());
    return room.value_or(Room{false, Millis(-1)});
  }

  void a_bucket_is_one_for_all_replicas() {
    const RateBucket b{"weather client", 5, Millis(60'000), 0};
    int granted = 0;
    for (int i = 0; i < 12; ++i) granted += take({b}, i % 2).granted ? 1 : 0;
    EXPECT_EQ(granted, 5);
    const Room none = take({b}, 1);
    EXPECT_FALSE(none.granted);
    EXPECT_GT(none.retry_after, Millis(1'000));
    EXPECT_LE(none.retry_after, Millis(12'000));
  }
  void a_bucket_fills_at_its_rate_and_no_further_than_its_burst() {
    const RateBucket b{"fills", 10, Millis(1'000), 2};
    EXPECT_TRUE(take({b}).granted);
    EXPECT_TRUE(take({b}).granted);
    const Room none = take({b});
    EXPECT_FALSE(none.granted);
    EXPECT_LE(none.retry_after, Millis(100));
    f.pass(Millis(1'500));
    int granted = 0;
    for (int i = 0; i < 4; ++i) granted += take({b}).granted ? 1 : 0;
    EXPECT_GE(granted, 2);
    EXPECT_LE(granted, 3);  // one more when the asking itself took 100 ms
  }
  void buckets_are_told_apart() {
    for (const char* name : {"a", "b", "a:b", "", "\xff\n\0x"}) {
      const RateBucket b{name, 1, Millis(60'000), 0};
      EXPECT_TRUE(take({b}).granted) << name;
      EXPECT_FALSE(take({b}).granted) << name;
    }
    // A rule that was changed is another one.
    EXPECT_TRUE(take({{"a", 2, Millis(60'000), 0}}).granted);
  }
  void all_buckets_or_none() {
    const RateBucket wide{"wide", 10, Millis(60'000), 0};
    const RateBucket narrow{"narrow", 2, Millis(60'000), 0};
    EXPECT_TRUE(take({wide, narrow}).granted);
    EXPECT_TRUE(take({wide, narrow}).granted);
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(take({wide, narrow}).granted);
    int left = 0;
    while (left < 20 && take({wide}).granted) ++left;
    EXPECT_EQ(left, 8);  // what narrow refused took nothing from wide
  }
  void no_rule_no_limit() {
    EXPECT_TRUE(take({}).granted);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(take({{"free", 0, Millis(1'000), 0}}).granted);
  }
  void large_rules_stay_exact() {
    const RateBucket b{"large", 1'000'000, Millis(24 * 3'600'000), 1'000'000};
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(take({b}).granted);
  }

  void unpaid_places_are_bounded_over_replicas() {
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(reserve(unpaid_place("c", "t" + std::to_string(i)), 3, i % 2).granted);
    }
    const Room none = reserve(unpaid_place("c", "t9"), 3, 1);
    EXPECT_FALSE(none.granted);
    EXPECT_GT(none.retry_after, Millis(30'000));
    EXPECT_LE(none.retry_after, Millis(60'000));
    EXPECT_TRUE(reserve(unpaid_place("other", "t9"), 3, 1).granted);
  }
  void unpaid_places_end_by_themselves() {
    EXPECT_TRUE(reserve(unpaid_place("e", "t", Millis(300)), 1).granted);
    EXPECT_FALSE(reserve(unpaid_place("e", "u", Millis(300)), 1).granted);
    f.pass(Millis(400));
    EXPECT_TRUE(reserve(unpaid_place("e", "u", Millis(60'000)), 1).granted);
  }
  void a_released_place_is_free() {
    EXPECT_TRUE(reserve(unpaid_place("r", "t"), 1).granted);
    f.state(0).release_unpaid(unpaid_place("r", "t"));
    EXPECT_TRUE(reserve(unpaid_place("r", "u"), 1).granted);
    f.state(0).release_unpaid(unpaid_place("r", "nobody's"));
    EXPECT_FALSE(reserve(unpaid_place("r", "v"), 1).granted);
  }
  void a_settled_invoice_gives_its_place_up_whoever_sees_it() {
    auto place = unpaid_place("s", "t");
    EXPECT_TRUE(reserve(place, 1, 0).granted);
    place.hash = hash_of_unpaid(1);
    f.state(0).attach_unpaid(place);
    EXPECT_FALSE(reserve(unpaid_place("s", "u"), 1, 0).granted);
    f.state(1).settle_unpaid(hash_of_unpaid(2));
    EXPECT_FALSE(reserve(unpaid_place("s", "u"), 1, 1).granted);
    f.state(1).settle_unpaid(hash_of_unpaid(1));
    EXPECT_TRUE(reserve(unpaid_place("s", "u"), 1, 1).granted);
    f.state(0).settle_unpaid(hash_of_unpaid(1));  // again: nothing
    EXPECT_FALSE(reserve(unpaid_place("s", "v"), 1, 0).granted);
  }
  void it_says_that_it_is_up() { EXPECT_TRUE(f.state(0).up()); }
};

#define OCTROI_SHARED_CASE(suite, fixture, name) \
  TEST(suite, name) { ::octroi::ledger::SharedContract<fixture>().name(); }
#define OCTROI_SHARED_CONTRACT(suite, fixture)                                                 \
  OCTROI_SHARED_CASE(suite, fixture, a_bucket_is_one_for_all_replicas)                         \
  OCTROI_SHARED_CASE(suite, fixture, a_bucket_fills_at_its_rate_and_no_further_than_its_burst) \
  OCTROI_SHARED_CASE(suite, fixture, buckets_are_told_apart)                                   \
  OCTROI_SHARED_CASE(suite, fixture, all_buckets_or_none)                                      \
  OCTROI_SHARED_CASE(suite, fixture, no_rule_no_limit)                                         \
  OCTROI_SHARED_CASE(suite, fixture, large_rules_stay_exact)                                   \
  OCTROI_SHARED_CASE(suite, fixture, unpaid_places_are_bounded_over_replicas)                  \
  OCTROI_SHARED_CASE(suite, fixture, unpaid_places_end_by_themselves)                          \
  OCTROI_SHARED_CASE(suite, fixture, a_released_place_is_free)                                 \
  OCTROI_SHARED_CASE(suite, fixture, a_settled_invoice_gives_its_place_up_whoever_sees_it)     \
  OCTROI_SHARED_CASE(suite, fixture, it_says_that_it_is_up)                                    \
  static_assert(true)

}  // namespace octroi::ledger
