// octroi/ledger/spend_contract.h: what every ledger::SpendLedger must do, as tests: each outcome of
// each operation, histories compared with the model, and many threads at once. For tests only.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, SpendContract, testing::Values(StoreUnderTest{"memory",
//   make}), store_name);
//
// Included by exactly one x_test.cc of each adapter.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/spend_testing.h"

namespace octroi::ledger {

class SpendContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override {
    fixture_ = GetParam().make();
    ASSERT_NE(fixture_->store().spends(), nullptr);
  }
  SpendLedger& spends() { return *fixture_->store().spends(); }
  void restart() { fixture_->restart(); }

  template <class T>
  static T value(Task<Result<T>> task) {
    auto out = sync(std::move(task));
    if (!out) {
      ADD_FAILURE() << out.error().code() << ": " << out.error().message();
      return T{};
    }
    return *std::move(out);
  }
  ReserveOutcome reserve(Reservation r) { return value(spends().reserve(std::move(r))); }
  ReserveState reserved(Reservation r) { return reserve(std::move(r)).state; }
  ChangeState settle(const std::string& id, std::int64_t actual, std::string object = {}) {
    return value(spends().settle(id, micro(actual), std::move(object), kNoon)).state;
  }
  ChangeState release(const std::string& id) { return value(spends().release(id, kNoon)).state; }
  ChangeState mark_unknown(const std::string& id) {
    return value(spends().mark_unknown(id, "", kNoon)).state;
  }
  SpendRecord find(const std::string& id) {
    return value(spends().find_spend(id)).value_or(SpendRecord{});
  }
  /// What the day's window of dollars holds and has settled.
  std::pair<std::int64_t, std::int64_t> used(UnixMillis at = kNoon) {
    const auto usage = value(spends().usage("policy/bot/day/all/micro_usd", at));
    if (usage.empty()) return {0, 0};
    EXPECT_EQ(usage.size(), 1U);
    return {usage[0].held, usage[0].settled};
  }
  using Pair = std::pair<std::int64_t, std::int64_t>;

 private:
  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(SpendContract, ACapIsReachedExactlyAndNotPassedByOneUnit) {
  EXPECT_EQ(reserved(charge_of("a", 50'000'000, 49'999'999)), ReserveState::applied);
  const ReserveOutcome over = reserve(charge_of("b", 50'000'000, 2));
  EXPECT_EQ(over.state, ReserveState::over_cap);
  EXPECT_EQ(over.refused, 0U);
  EXPECT_EQ(over.left, 1);
  EXPECT_EQ(over.resets_at, kDayStart + kSpendDay);
  const ReserveOutcome last = reserve(charge_of("b", 50'000'000, 1));
  EXPECT_EQ(last.state, ReserveState::applied);
  ASSERT_EQ(last.usage.size(), 1U);
  EXPECT_EQ(last.usage[0].total(), 50'000'000);
  EXPECT_EQ(reserve(charge_of("c", 50'000'000, 1)).left, 0);
  EXPECT_EQ(reserved(charge_of("free", 50'000'000, 0)), ReserveState::applied);
}

TEST_P(SpendContract, TheFirstCallOfAWindowMeetsItsLimitToo) {
  EXPECT_EQ(reserved(charge_of("a", 10, 11)), ReserveState::over_cap);
  EXPECT_EQ(used(), Pair(0, 0));
  EXPECT_EQ(reserved(charge_of("a", 10, 10)), ReserveState::applied);
  EXPECT_EQ(reserved(charge_of("b", 0, 1)), ReserveState::over_cap);
}

TEST_P(SpendContract, AllHoldsCountOrNone) {
  const auto both = [](std::string id, std::int64_t calls) {
    return spend_of(std::move(id), 5, {calls_of(calls), dollars_of(100, 5)});
  };
  EXPECT_EQ(reserved(both("a", 2)), ReserveState::applied);
  EXPECT_EQ(reserved(both("b", 2)), ReserveState::applied);
  const ReserveOutcome refused = reserve(both("c", 2));
  EXPECT_EQ(refused.state, ReserveState::over_cap);
  EXPECT_EQ(refused.refused, 0U);
  EXPECT_EQ(used(), Pair(10, 0));
  // The other way round: the second in the order of scopes refuses, the first is given back.
  Reservation dear = spend_of("d", 95, {dollars_of(100, 95), calls_of(9)});
  EXPECT_EQ(reserve(dear).refused, 0U);
  const auto calls = value(spends().usage("policy/bot/day/all/calls", kNoon));
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].held, 2);
}

TEST_P(SpendContract, ARetryIsCountedOnceAndTellsHowItStands) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  ReserveOutcome again = reserve(charge_of("a", 100, 60));
  EXPECT_EQ(again.state, ReserveState::replayed);
  EXPECT_EQ(again.seen->state, SpendState::held);
  EXPECT_EQ(used(), Pair(60, 0));
  EXPECT_EQ(settle("a", 60, "ch_1"), ChangeState::applied);
  again = reserve(charge_of("a", 100, 60));
  EXPECT_EQ(again.state, ReserveState::replayed);
  EXPECT_EQ(again.seen->state, SpendState::settled);
  EXPECT_EQ(again.seen->object, "ch_1");
  Reservation other = charge_of("a", 100, 10);
  other.fingerprint = digest_of(2);
  EXPECT_EQ(reserved(other), ReserveState::mismatch);
  EXPECT_EQ(used(), Pair(0, 60));
  // Also when its cap is full by now.
  EXPECT_EQ(reserved(charge_of("b", 100, 40)), ReserveState::applied);
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::replayed);
}

TEST_P(SpendContract, AReleasedCallMayBeTriedAgainUnderItsId) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  EXPECT_EQ(release("a"), ChangeState::applied);
  EXPECT_EQ(release("a"), ChangeState::unchanged);
  EXPECT_EQ(used(), Pair(0, 0));
  const ReserveOutcome again = reserve(charge_of("a", 100, 60));
  EXPECT_EQ(again.state, ReserveState::applied);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(used(), Pair(60, 0));
  EXPECT_EQ(find("a").attempt, 2);
  EXPECT_EQ(release("a"), ChangeState::applied);
  EXPECT_EQ(reserved(charge_of("b", 100, 100)), ReserveState::applied);
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::over_cap);
  EXPECT_EQ(find("a").state, SpendState::released);
}

TEST_P(SpendContract, TheVendorsTruthStandsInTheWindowOfTheReservation) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  const auto tomorrow = kNoon + kSpendDay;
  EXPECT_EQ(value(spends().settle("a", micro(150), "", tomorrow)).state, ChangeState::applied);
  EXPECT_EQ(used(), Pair(0, 150));
  EXPECT_EQ(used(tomorrow), Pair(0, 0));
  EXPECT_EQ(reserved(charge_of("b", 100, 1)), ReserveState::over_cap);
  EXPECT_EQ(reserve(charge_of("b", 100, 1)).left, 0);
  EXPECT_EQ(reserved(charge_of("c", 151, 1)), ReserveState::applied);  // a raised cap
  // A price that came late, and the same once more.
  EXPECT_EQ(settle("a", 20), ChangeState::applied);
  EXPECT_EQ(settle("a", 20), ChangeState::unchanged);
  EXPECT_EQ(used(), Pair(1, 20));
  EXPECT_EQ(release("a"), ChangeState::refused);
  EXPECT_EQ(mark_unknown("a"), ChangeState::refused);
  EXPECT_EQ(settle("nobody", 1), ChangeState::not_found);
  EXPECT_EQ(release("nobody"), ChangeState::not_found);
}

TEST_P(SpendContract, AnUnknownOutcomeKeepsTheMoneyUntilSomebodyFindsOut) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  EXPECT_EQ(mark_unknown("a"), ChangeState::applied);
  EXPECT_EQ(mark_unknown("a"), ChangeState::unchanged);
  restart();
  EXPECT_EQ(used(), Pair(60, 0));
  EXPECT_EQ(reserved(charge_of("b", 100, 41)), ReserveState::over_cap);
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::replayed);
  EXPECT_EQ(release("a"), ChangeState::applied);
  EXPECT_EQ(used(), Pair(0, 0));
  EXPECT_EQ(settle("a", 60), ChangeState::applied);  // it had happened after all
  EXPECT_EQ(used(), Pair(0, 60));
}

TEST_P(SpendContract, ARetryOfAnUnknownCallIsUnderWayForItsOwnTime) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  Reservation again = charge_of("a", 100, 60);
  again.answer_by = again.answer_by + Millis(60'000);
  EXPECT_EQ(reserved(again), ReserveState::replayed);
  EXPECT_EQ(find("a").answer_by, kNoon + std::chrono::minutes(5));  // the first one's, still
  EXPECT_EQ(mark_unknown("a"), ChangeState::applied);
  EXPECT_EQ(reserved(again), ReserveState::replayed);
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::replayed);  // never earlier again
  again.fingerprint = digest_of(2);
  again.answer_by = again.answer_by + Millis(60'000);
  EXPECT_EQ(reserved(again), ReserveState::mismatch);
  restart();
  EXPECT_EQ(find("a").answer_by, kNoon + std::chrono::minutes(6));
  EXPECT_EQ(find("a").attempt, 2);
  EXPECT_EQ(find("a").state, SpendState::unknown);
  EXPECT_EQ(used(), Pair(60, 0));
}

TEST_P(SpendContract, WhatNobodyAnswersForCountsAsSpentInTheEnd) {
  EXPECT_EQ(reserved(charge_of("a", 100, 60)), ReserveState::applied);
  EXPECT_EQ(value(spends().sweep(kNoon + Millis(299'999), 10)).orphaned, 0);
  EXPECT_EQ(value(spends().sweep(kNoon + Millis(300'000), 10)).orphaned, 1);
  EXPECT_EQ(find("a").state, SpendState::unknown);
  EXPECT_EQ(value(spends().sweep(kNoon + kSpendDay - Millis(1), 10)).assumed, 0);
  EXPECT_EQ(value(spends().sweep(kNoon + kSpendDay, 10)).assumed, 1);
  EXPECT_EQ(find("a").state, SpendState::settled);
  EXPECT_TRUE(find("a").assumed);
  EXPECT_EQ(find("a").settled, micro(60));
  EXPECT_EQ(used(), Pair(0, 60));
  EXPECT_EQ(settle("a", 60), ChangeState::applied);  // now it is known
  EXPECT_FALSE(find("a").assumed);
}

TEST_P(SpendContract, AfterItsTimeAnIdStandsForANewCall) {
  EXPECT_EQ(reserved(charge_of("a", 100, 30)), ReserveState::applied);
  Reservation next = charge_of("a", 100, 30);
  next.fingerprint = digest_of(2);
  next.now = next.now + kSpendDay;
  next.replay_until = next.now + kSpendDay;
  next.holds[0].starts = kDayStart + kSpendDay;
  next.holds[0].ends = kDayStart + kSpendDay + kSpendDay;
  const ReserveOutcome out = reserve(next);
  EXPECT_EQ(out.state, ReserveState::applied);
  EXPECT_EQ(out.attempt, 1);
  EXPECT_EQ(used(), Pair(0, 30));  // nobody found out: spent
  EXPECT_EQ(used(kNoon + kSpendDay), Pair(30, 0));
  EXPECT_EQ(value(spends().list_spends({})).size(), 2U);
}

TEST_P(SpendContract, TheSameContentAMomentLaterIsADuplicate) {
  const auto content = [](std::string id, UnixMillis now) {
    Reservation r = charge_of(std::move(id), 100, 10);
    r.dedupe = DedupeClaim{digest_of(7), now + Millis(60'000)};
    r.now = now;
    return r;
  };
  EXPECT_EQ(reserved(content("a", kNoon)), ReserveState::applied);
  const ReserveOutcome second = reserve(content("b", kNoon + Millis(59'999)));
  EXPECT_EQ(second.state, ReserveState::duplicate);
  EXPECT_EQ(second.duplicate_of, "a");
  EXPECT_EQ(reserved(content("a", kNoon)), ReserveState::replayed);
  EXPECT_EQ(used(), Pair(10, 0));
  EXPECT_EQ(reserved(content("b", kNoon + Millis(60'000))), ReserveState::applied);
  // What was refused by the vendor was not done: it may be tried at once.
  EXPECT_EQ(value(spends().release("b", kNoon + Millis(60'001))).state, ChangeState::applied);
  EXPECT_EQ(reserved(content("c", kNoon + Millis(60'002))), ReserveState::applied);
  // A refusal by the cap claims nothing.
  Reservation dear = content("d", kNoon + Millis(70'000));
  dear.dedupe->content = digest_of(8);
  dear.holds[0].limit = 5;
  EXPECT_EQ(reserved(dear), ReserveState::over_cap);
  dear.id = "e";
  dear.holds[0].limit = 100;
  EXPECT_EQ(reserved(dear), ReserveState::applied);
}

TEST_P(SpendContract, ABrakeCountsAttemptsThatTheVendorRefused) {
  const auto burst = [](std::string id) {
    Hold brake{"policy/bot/velocity:10s/calls",
               SpendUnit::calls,
               kNoon,
               kNoon + Millis(10'000),
               2,
               1,
               false};
    return spend_of(std::move(id), 10, {brake, dollars_of(100, 10)});
  };
  EXPECT_EQ(reserved(burst("a")), ReserveState::applied);
  EXPECT_EQ(release("a"), ChangeState::applied);
  EXPECT_EQ(reserved(burst("a")), ReserveState::applied);  // its second attempt
  EXPECT_EQ(release("a"), ChangeState::applied);
  EXPECT_EQ(used(), Pair(0, 0));
  const ReserveOutcome third = reserve(burst("b"));
  EXPECT_EQ(third.state, ReserveState::over_cap);
  EXPECT_EQ(third.refused, 0U);
}

TEST_P(SpendContract, AClockThatWentBackIsRefused) {
  EXPECT_EQ(reserved(charge_of("a", 100, 10)), ReserveState::applied);
  const auto at = [](std::string id, UnixMillis now) {
    Reservation r = charge_of(std::move(id), 100, 10);
    r.now = now;
    return r;
  };
  EXPECT_EQ(reserved(at("b", kNoon - kClockSkew)), ReserveState::applied);
  EXPECT_EQ(reserved(at("c", kNoon - kClockSkew - Millis(1))), ReserveState::clock_went_back);
  // Into another day, whose window was never begun.
  Reservation yesterday = charge_of("d", 100, 10);
  yesterday.now = kNoon - kSpendDay;
  yesterday.holds[0].starts = kDayStart - kSpendDay;
  yesterday.holds[0].ends = kDayStart;
  const ReserveOutcome out = reserve(yesterday);
  EXPECT_EQ(out.state, ReserveState::clock_went_back);
  EXPECT_EQ(out.refused, 0U);
  EXPECT_EQ(used(), Pair(20, 0));
}

TEST_P(SpendContract, AClockThatIsALittleLateCountsInTheWindowThatOthersBegan) {
  const UnixMillis midnight = kDayStart + kSpendDay;
  Reservation first =
      spend_of("a", 90, {dollars_of(100, 90, "policy/bot/day/all/micro_usd", midnight)},
               midnight + Millis(10));
  EXPECT_EQ(reserved(first), ReserveState::applied);
  const auto late = [&](std::string id, std::int64_t amount) {
    return spend_of(std::move(id), amount, {dollars_of(100, amount)}, midnight - Millis(10));
  };
  EXPECT_EQ(reserved(late("b", 11)), ReserveState::over_cap);
  EXPECT_EQ(reserved(late("b", 10)), ReserveState::applied);
  EXPECT_EQ(used(midnight), Pair(100, 0));
  EXPECT_EQ(used(), Pair(0, 0));
  EXPECT_EQ(release("b"), ChangeState::applied);
  EXPECT_EQ(used(midnight), Pair(90, 0));
}

TEST_P(SpendContract, RecordsAreFoundAndListed) {
  for (int i = 0; i < 5; ++i) {
    Reservation r = charge_of(fmt::format("id-{}", i), 1000, i);
    r.run = i % 2 == 0 ? "even" : "odd";
    r.now = kNoon + Millis(i);
    EXPECT_EQ(reserved(r), ReserveState::applied);
  }
  EXPECT_EQ(settle("id-1", 1, "ch_1"), ChangeState::applied);
  EXPECT_EQ(settle("id-3", 3, "ch_1"), ChangeState::applied);
  EXPECT_EQ(value(spends().find_spend_of("stripe", "ch_1"))->id, "id-3");
  EXPECT_FALSE(value(spends().find_spend_of("twilio", "ch_1")));
  EXPECT_FALSE(value(spends().find_spend_of("stripe", "")));
  EXPECT_FALSE(value(spends().find_spend("id-9")));
  SpendFilter filter;
  filter.run = "even";
  filter.limit = 2;
  auto page = value(spends().list_spends(filter));
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[1].id, "id-2");
  filter.after_id = page[1].id;
  page = value(spends().list_spends(filter));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].id, "id-4");
  EXPECT_EQ(page[0].operation, "charges.create");
  EXPECT_EQ(page[0].created, kNoon + Millis(4));
  SpendFilter settled;
  settled.state = SpendState::settled;
  settled.from = kNoon + Millis(2);
  page = value(spends().list_spends(settled));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].settled, micro(3));
}

TEST_P(SpendContract, UsageIsThatOfScopesThatBeginSo) {
  EXPECT_EQ(reserved(spend_of("a", 1,
                              {dollars_of(9, 1, "policy/bot/x"), dollars_of(9, 1, "policy/bot2/x"),
                               dollars_of(9, 1, "policy/bot/y")})),
            ReserveState::applied);
  const auto usage = value(spends().usage("policy/bot/", kNoon));
  ASSERT_EQ(usage.size(), 2U);
  EXPECT_EQ(usage[0].scope, "policy/bot/x");
  EXPECT_EQ(usage[1].scope, "policy/bot/y");
  EXPECT_TRUE(value(spends().usage("policy/bot/", kNoon + kSpendDay)).empty());
}

TEST_P(SpendContract, WhatIsOverIsForgottenAndWhatIsOpenIsNot) {
  for (const char* id : {"settled", "released", "held"}) {
    EXPECT_EQ(reserved(charge_of(id, 100, 10)), ReserveState::applied);
  }
  settle("settled", 10);
  release("released");
  const UnixMillis later = kNoon + std::chrono::hours(72);
  EXPECT_EQ(value(spends().prune_spends(kNoon, 10)), 0);
  EXPECT_EQ(value(spends().prune_spends(later, 10)), 2);
  EXPECT_EQ(used(), Pair(10, 10));
  settle("held", 10);
  EXPECT_EQ(value(spends().prune_spends(later, 10)), 1);
  EXPECT_TRUE(value(spends().list_spends({})).empty());
  EXPECT_EQ(used(), Pair(0, 0));
}

TEST_P(SpendContract, WhatCouldNeverBeCountedIsRefused) {
  Reservation whole_amount = charge_of("a", 100, 10);
  whole_amount.amount = micro(9);
  Reservation outside = charge_of("a", 100, 10);
  outside.now = kNoon + kSpendDay;
  Reservation twice = charge_of("a", 100, 10);
  twice.holds.push_back(twice.holds[0]);
  for (const Reservation& bad :
       {charge_of("", 100, 1), charge_of("a", -1, 1), charge_of("a", 100, kMaxSpend + 1),
        charge_of("a\n", 100, 1), whole_amount, outside, twice}) {
    EXPECT_FALSE(sync(spends().reserve(bad)));
  }
  EXPECT_FALSE(sync(spends().settle("a", micro(kMaxSpend + 1), "", kNoon)));
  EXPECT_TRUE(value(spends().list_spends({})).empty());
}

// --- histories compared with the model ---

/// One random operation on both; what they answer must be the same.
class SpendHistory {
 public:
  SpendHistory(SpendLedger& store, unsigned seed) : store_(store), random_(seed) {}

  void step() {
    now_ = now_ + Millis(pick(4'000));
    const std::string id = fmt::format("id-{}", pick(12));
    switch (pick(8)) {
      case 0:
        return settle(id, micro(pick(40)));
      case 1:
        return changed(sync(store_.release(id, now_)), sync(model_.release(id, now_)), id);
      case 2:
        return changed(sync(store_.mark_unknown(id, "", now_)),
                       sync(model_.mark_unknown(id, "", now_)), id);
      case 3:
        return swept();
      default:
        return reserve(id);
    }
  }

  void compare_usage() {
    const auto at = now_;
    const auto is = sync(store_.usage("policy/", at));
    const auto should = sync(model_.usage("policy/", at));
    ASSERT_TRUE(is && should);
    // A store may remember a window that was begun and given back.
    std::vector<SpendUsage> used;
    std::ranges::copy_if(*is, std::back_inserter(used),
                         [](const SpendUsage& u) { return u.total() != 0; });
    std::vector<SpendUsage> wanted;
    std::ranges::copy_if(*should, std::back_inserter(wanted),
                         [](const SpendUsage& u) { return u.total() != 0; });
    ASSERT_EQ(used.size(), wanted.size());
    for (std::size_t i = 0; i < used.size(); ++i) {
      EXPECT_EQ(used[i].scope, wanted[i].scope);
      EXPECT_EQ(used[i].starts, wanted[i].starts);
      EXPECT_EQ(used[i].held, wanted[i].held) << used[i].scope;
      EXPECT_EQ(used[i].settled, wanted[i].settled) << used[i].scope;
    }
  }

 private:
  std::int64_t pick(std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random_);
  }

  Hold hold(std::string scope, SpendUnit unit, Millis length, std::int64_t limit,
            std::int64_t amount) {
    const std::int64_t starts = now_.value / length.count() * length.count();
    return {std::move(scope), unit,        {starts}, {starts + length.count()}, limit,
            amount,           pick(4) != 0};
  }

  void reserve(const std::string& id) {
    const std::int64_t amount = pick(30);
    const std::string key = fmt::format("{}", pick(2));
    Reservation r = spend_of(
        id, amount,
        {hold("policy/b/minute/usd", SpendUnit::micro_usd, Millis(60'000), 100, amount),
         hold("policy/b/minute/calls", SpendUnit::calls, Millis(60'000), 9, 1),
         hold("policy/b/second/usd/" + key, SpendUnit::micro_usd, Millis(7'000), 45, amount)},
        now_);
    r.fingerprint = digest_of(static_cast<std::uint8_t>(pick(8) == 0 ? 2 : 1));
    r.answer_by = now_ + Millis(20'000);
    r.give_up_at = now_ + Millis(40'000);
    r.replay_until = now_ + Millis(30'000 + pick(60'000));
    if (pick(4) == 0) {
      r.dedupe = DedupeClaim{digest_of(static_cast<std::uint8_t>(pick(3))), now_ + Millis(9'000)};
    }
    const auto is = sync(store_.reserve(r));
    const auto should = sync(model_.reserve(r));
    ASSERT_TRUE(is) << is.error().message();
    ASSERT_TRUE(should) << should.error().message();
    ASSERT_EQ(to_string(is->state), to_string(should->state)) << id;
    EXPECT_EQ(is->refused, should->refused);
    EXPECT_EQ(is->left, should->left);
    EXPECT_EQ(is->attempt, should->attempt);
    EXPECT_EQ(is->duplicate_of, should->duplicate_of);
    ASSERT_EQ(is->usage.size(), should->usage.size());
    for (std::size_t i = 0; i < is->usage.size(); ++i) {
      EXPECT_EQ(is->usage[i].total(), should->usage[i].total());
      EXPECT_LE(is->usage[i].total(), r.holds[i].limit);
    }
  }

  void settle(const std::string& id, MicroUsd actual) {
    changed(sync(store_.settle(id, actual, "", now_)), sync(model_.settle(id, actual, "", now_)),
            id);
  }

  void changed(const Result<ChangeOutcome>& is, const Result<ChangeOutcome>& should,
               const std::string& id) {
    ASSERT_TRUE(is) << is.error().message();
    ASSERT_TRUE(should);
    EXPECT_EQ(is->state, should->state) << id;
    record(id);
  }

  void swept() {
    const auto is = sync(store_.sweep(now_, 100));
    const auto should = sync(model_.sweep(now_, 100));
    ASSERT_TRUE(is && should);
    EXPECT_EQ(is->orphaned, should->orphaned);
    EXPECT_EQ(is->assumed, should->assumed);
  }

  void record(const std::string& id) {
    const auto is = sync(store_.find_spend(id));
    const auto should = sync(model_.find_spend(id));
    ASSERT_TRUE(is && should);
    ASSERT_EQ(is->has_value(), should->has_value());
    if (!*is) return;
    EXPECT_EQ((*is)->state, (*should)->state);
    EXPECT_EQ((*is)->amount, (*should)->amount);
    EXPECT_EQ((*is)->settled, (*should)->settled);
    EXPECT_EQ((*is)->assumed, (*should)->assumed);
    EXPECT_EQ((*is)->changed, (*should)->changed);
  }

  SpendLedger& store_;
  MemorySpends model_;
  std::mt19937 random_;
  UnixMillis now_ = kNoon;
};

TEST_P(SpendContract, RandomHistoriesAreThoseOfTheModel) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const auto fixture = GetParam().make();
    SpendHistory history(*fixture->store().spends(), seed);
    for (int i = 0; i < 250; ++i) {
      history.step();
      if (i % 10 == 0) history.compare_usage();
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << i;
    }
  }
}

// --- many at once ---

/// 64 threads over these ledgers, which are one, against a cap of $50: each charges a dollar under
/// ids of its own and shared ones, settles, releases or leaves it. Nothing passes the cap at any
/// time, and at the end everything that was applied is counted.
inline void race_spends(const std::vector<SpendLedger*>& replicas, int threads = 64) {
  constexpr std::int64_t kDollar = 1'000'000;
  constexpr std::int64_t kCap = 50 * kDollar;
  std::atomic<std::int64_t> settled{0};
  std::atomic<std::int64_t> open{0};
  std::atomic<int> refused{0};
  spend_threads(threads, [&](int t) {
    SpendLedger& mine = *replicas[static_cast<std::size_t>(t) % replicas.size()];
    for (int i = 0; i < 4; ++i) {
      // Every second id is also tried by another thread, likely on another replica.
      const std::string id =
          i % 2 == 0 ? fmt::format("t{}-{}", t, i) : fmt::format("s{}-{}", t / 2, i);
      const std::string key = fmt::format("policy/bot/day/all/calls/key:{}", t % 5);
      const auto out = sync(
          mine.reserve(spend_of(id, kDollar, {calls_of(1000, key), dollars_of(kCap, kDollar)})));
      ASSERT_TRUE(out) << out.error().message();
      if (out->state == ReserveState::over_cap) ++refused;
      if (out->state != ReserveState::applied) continue;
      ASSERT_LE(out->usage[1].total(), kCap);
      if (t % 4 == 0 && i == 0) {
        ASSERT_EQ(sync(mine.release(id, kNoon))->state, ChangeState::applied);
      } else if (t % 4 == 1) {
        open += kDollar;
      } else {
        ASSERT_EQ(sync(mine.settle(id, micro(kDollar), "", kNoon))->state, ChangeState::applied);
        settled += kDollar;
      }
    }
  });
  EXPECT_GT(refused, 0);
  const auto usage = sync(replicas[0]->usage("policy/bot/day/all/micro_usd", kNoon));
  ASSERT_TRUE(usage);
  ASSERT_EQ(usage->size(), 1U);
  EXPECT_EQ((*usage)[0].settled, settled);
  EXPECT_EQ((*usage)[0].held, open);
  EXPECT_LE((*usage)[0].total(), kCap);
  // What was given back on the way is there to be used, to the last cent.
  std::int64_t last = 0;
  for (int i = 0; i < 51; ++i) {
    const auto out = sync(replicas[0]->reserve(
        spend_of(fmt::format("last{}", i), kDollar, {dollars_of(kCap, kDollar)})));
    ASSERT_TRUE(out);
    if (out->state == ReserveState::applied) last += kDollar;
  }
  EXPECT_EQ(settled + open + last, kCap);
  std::int64_t calls = 0;
  const auto counted_calls = sync(replicas[0]->usage("policy/bot/day/all/calls", kNoon));
  ASSERT_TRUE(counted_calls);
  for (const SpendUsage& u : *counted_calls) {
    calls += u.total();
  }
  EXPECT_EQ(calls * kDollar, settled + open);
}

TEST_P(SpendContract, SixtyFourThreadsReachTheCapAndNoMore) { race_spends({&spends()}); }

TEST_P(SpendContract, OneOfManyWithTheSameIdIsCounted) {
  std::atomic<int> applied{0};
  spend_threads(16, [&](int) {
    const auto out = sync(spends().reserve(charge_of("same", 1000, 10)));
    ASSERT_TRUE(out);
    if (out->state == ReserveState::applied) ++applied;
  });
  EXPECT_EQ(applied, 1);
  EXPECT_EQ(used(), Pair(10, 0));
}

TEST_P(SpendContract, OneOfManyWithTheSameContentIsCounted) {
  std::atomic<int> applied{0};
  spend_threads(16, [&](int t) {
    Reservation r = charge_of(fmt::format("id{}", t), 1000, 10);
    r.dedupe = DedupeClaim{digest_of(7), kNoon + Millis(60'000)};
    const auto out = sync(spends().reserve(r));
    ASSERT_TRUE(out);
    if (out->state == ReserveState::applied) ++applied;
  });
  EXPECT_EQ(applied, 1);
  EXPECT_EQ(used(), Pair(10, 0));
}

}  // namespace octroi::ledger
