// octroi/ledger/call_contract.h: what every ledger::CallBook must do, as tests: money and row
// together or not at all. For tests only. Included by exactly one x_test.cc of each adapter.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "octroi/audit/journal_testing.h"
#include "octroi/ledger/call_book.h"
#include "octroi/ledger/spend_testing.h"

namespace octroi::ledger {

class CallContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override {
    fixture_ = GetParam().make();
    ASSERT_NE(fixture_->store().calls(), nullptr);
  }
  CallBook& calls() { return *fixture_->store().calls(); }
  Store& store() { return fixture_->store(); }

  static audit::Event intent_of(const std::string& id) {
    audit::Event e;
    e.kind = audit::kCallIntent;
    e.id = id;
    return e;
  }
  static audit::Event outcome_of(const std::string& id) {
    audit::Event e;
    e.kind = audit::kCallOutcome;
    e.id = id;
    return e;
  }
  ReserveOutcome begin(Reservation r, AnnounceWith with = {}) {
    const std::string id = r.id;
    auto out = sync(calls().begin(std::move(r), intent_of(id), std::move(with)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : ReserveOutcome{};
  }
  ChangeState end(SpendChange::To to, const std::string& id, std::int64_t actual = 0) {
    auto out = sync(
        calls().end({to, id, MicroUsd::from_raw_unchecked(actual), "", kNoon}, outcome_of(id)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? out->state : ChangeState::not_found;
  }
  ChangeState undo(const std::string& id, UnixMillis reserved_at) {
    auto out = sync(calls().undo(id, reserved_at, kNoon));
    EXPECT_TRUE(out) << out.error().message();
    return out ? out->state : ChangeState::not_found;
  }
  /// Oldest first, without the chain's own first row.
  std::vector<audit::Event> rows() {
    audit::Filter filter;
    filter.limit = 1000;
    auto page = sync(store().journal()->query(filter));
    EXPECT_TRUE(page) << page.error().message();
    std::vector<audit::Event> out;
    if (!page) return out;
    for (auto row = page->rows.rbegin(); row != page->rows.rend(); ++row) {
      if (row->event.kind != audit::kWriterStart) out.push_back(row->event);
    }
    return out;
  }
  SpendState state(const std::string& id) {
    auto found = sync(store().spends()->find_spend(id));
    EXPECT_TRUE(found && *found) << id;
    return found && *found ? (*found)->state : SpendState::held;
  }

 private:
  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(CallContract, WhatIsHeldIsAnnounced) {
  const auto said = [](const ReserveOutcome& o, audit::Event& e) {
    e.reason = fmt::format("attempt_{}", o.attempt);
  };
  EXPECT_EQ(begin(charge_of("a", 100, 30)).state, ReserveState::applied);
  EXPECT_EQ(begin(charge_of("b", 100, 70), said).state, ReserveState::applied);
  const auto told = rows();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].id, "a");
  EXPECT_EQ(told[0].cap_usage_after, micro(30));
  EXPECT_EQ(told[1].cap_usage_after, micro(100));
  EXPECT_EQ(told[1].reason, "attempt_1");
}

TEST_P(CallContract, CallsAreNoMoney) {
  begin(spend_of("a", 5, {calls_of(10)}));
  end(SpendChange::To::settled, "a", 5);
  begin(spend_of("b", 30, {calls_of(10), dollars_of(100, 30)}));
  end(SpendChange::To::settled, "b", 20);
  const auto told = rows();
  ASSERT_EQ(told.size(), 4U);
  EXPECT_FALSE(told[0].cap_usage_after);
  EXPECT_FALSE(told[1].cap_usage_after);
  EXPECT_EQ(told[2].cap_usage_after, micro(30));
  EXPECT_EQ(told[3].cap_usage_after, micro(20));
}

TEST_P(CallContract, WhatIsNotHeldIsNotAnnounced) {
  EXPECT_EQ(begin(charge_of("a", 100, 101)).state, ReserveState::over_cap);
  EXPECT_TRUE(rows().empty());
  EXPECT_EQ(begin(charge_of("a", 100, 100)).state, ReserveState::applied);
  EXPECT_EQ(begin(charge_of("a", 100, 100)).state, ReserveState::replayed);
  EXPECT_EQ(rows().size(), 1U);
}

TEST_P(CallContract, AnEndIsCountedAndTold) {
  begin(charge_of("a", 100, 60));
  EXPECT_EQ(end(SpendChange::To::settled, "a", 40), ChangeState::applied);
  EXPECT_EQ(state("a"), SpendState::settled);
  begin(charge_of("b", 100, 60));
  EXPECT_EQ(end(SpendChange::To::unknown, "b"), ChangeState::applied);
  EXPECT_EQ(state("b"), SpendState::unknown);
  EXPECT_EQ(end(SpendChange::To::released, "b"), ChangeState::applied);
  EXPECT_EQ(state("b"), SpendState::released);
  const auto told = rows();
  ASSERT_EQ(told.size(), 5U);
  EXPECT_EQ(told[1].cap_usage_after, micro(40));
  EXPECT_EQ(told[3].cap_usage_after, micro(100));
  EXPECT_EQ(told[4].cap_usage_after, micro(40));
}

TEST_P(CallContract, AnEndThatNobodyWaitsForIsFoundByWhateverIsAskedNext) {
  for (int i = 0; i < 20; ++i) {
    const std::string id = fmt::format("call-{}", i);
    begin(charge_of(id, 100, 100));  // there is room when the one before is released
    ASSERT_EQ(state(id), SpendState::held) << id;
    if (i % 2 == 0) EXPECT_EQ(rows().size(), static_cast<std::size_t>(2 * i + 1)) << id;
    SpendChange change{SpendChange::To::released, id, {}, "", kNoon};
    audit::Event told = outcome_of(id);
    if (!calls().end_later(change, told)) {
      EXPECT_EQ(change.id, id);
      EXPECT_EQ(told.id, id) << "nothing was taken";
      GTEST_SKIP() << "this book has no end_later()";
    }
    if (i % 4 < 2) EXPECT_EQ(state(id), SpendState::released) << id;
    if (i % 4 > 1) EXPECT_EQ(rows().size(), static_cast<std::size_t>(2 * i + 2)) << id;
  }
  EXPECT_EQ(rows().size(), 40U);
}

TEST_P(CallContract, AnEndThatNobodyWaitsForIsCountedThoughItsRowIsNone) {
  begin(charge_of("a", 100, 60));
  SpendChange change{SpendChange::To::settled, "a", micro(40), "", kNoon};
  audit::Event bad = outcome_of("a");
  bad.kind = "Not A Kind";
  if (!calls().end_later(change, bad)) GTEST_SKIP() << "this book has no end_later()";
  EXPECT_EQ(state("a"), SpendState::settled);
  EXPECT_EQ(rows().size(), 1U);
}

TEST_P(CallContract, AnEndThatChangesNothingIsToldAllTheSame) {
  begin(charge_of("a", 100, 60));
  end(SpendChange::To::settled, "a", 60);
  EXPECT_EQ(end(SpendChange::To::released, "a"), ChangeState::refused);
  EXPECT_EQ(end(SpendChange::To::nothing, "a"), ChangeState::not_found);
  EXPECT_EQ(state("a"), SpendState::settled);
  EXPECT_EQ(rows().size(), 4U);
}

TEST_P(CallContract, WhatIsToldWhenItIsAppliedIsToldOnce) {
  const auto correct = [this](SpendChange::To to, std::int64_t actual) {
    auto out = sync(calls().end({to, "a", MicroUsd::from_raw_unchecked(actual), "", kNoon, true},
                                outcome_of("a")));
    EXPECT_TRUE(out) << out.error().message();
    return out ? out->state : ChangeState::not_found;
  };
  EXPECT_EQ(correct(SpendChange::To::settled, 40), ChangeState::not_found);
  begin(charge_of("a", 100, 60));
  EXPECT_EQ(correct(SpendChange::To::settled, 40), ChangeState::applied);
  EXPECT_EQ(correct(SpendChange::To::settled, 40), ChangeState::unchanged);  // another replica
  EXPECT_EQ(correct(SpendChange::To::released, 0), ChangeState::refused);
  EXPECT_EQ(rows().size(), 2U);
  EXPECT_EQ(correct(SpendChange::To::settled, 30), ChangeState::applied);
  const auto told = rows();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[2].cap_usage_after, micro(30));
  begin(charge_of("b", 100, 60));  // the chain goes on
  EXPECT_EQ(rows().size(), 4U);
}

TEST_P(CallContract, ARowThatIsNoneHoldsAndChangesNothing) {
  audit::Event bad = intent_of("a");
  bad.kind = "Not A Kind";
  EXPECT_FALSE(sync(calls().begin(charge_of("a", 100, 60), bad, {})));
  begin(charge_of("b", 100, 100));  // there is room for all of it
  EXPECT_EQ(state("b"), SpendState::held);
  EXPECT_EQ(rows().size(), 1U);
}

TEST_P(CallContract, OnlyTheAttemptThatIsMeantIsUndone) {
  begin(charge_of("a", 100, 60));
  EXPECT_EQ(undo("a", kNoon - Millis(1)), ChangeState::refused);
  EXPECT_EQ(state("a"), SpendState::held);
  EXPECT_EQ(undo("a", kNoon), ChangeState::applied);
  EXPECT_EQ(state("a"), SpendState::released);
  EXPECT_EQ(undo("b", kNoon), ChangeState::not_found);

  Reservation again = charge_of("a", 100, 60);
  again.now = kNoon + Millis(1);
  EXPECT_EQ(begin(std::move(again)).attempt, 2);
  EXPECT_EQ(undo("a", kNoon), ChangeState::refused);  // that one was sent
  EXPECT_EQ(state("a"), SpendState::held);
  end(SpendChange::To::unknown, "a");
  EXPECT_EQ(undo("a", kNoon), ChangeState::refused);
}

TEST_P(CallContract, ManyAtOnceAreAllCountedAndTheChainIsWhole) {
  constexpr int kThreads = 16;
  constexpr int kEach = 10;
  std::atomic<int> applied{0};
  spend_threads(kThreads, [&](int t) {
    for (int i = 0; i < kEach; ++i) {
      const std::string id = fmt::format("{}-{}", t, i);
      // Every second one is over the cap.
      const auto out = begin(charge_of(id, kThreads * kEach / 2, 1));
      if (out.state != ReserveState::applied) continue;
      ++applied;
      EXPECT_EQ(end(SpendChange::To::settled, id, 1), ChangeState::applied);
    }
  });
  EXPECT_EQ(applied, kThreads * kEach / 2);
  EXPECT_EQ(rows().size(), static_cast<std::size_t>(kThreads * kEach));
  const auto signer = audit::signer_of();
  const auto whole = audit::verified(audit::lines_of(*store().journal()), {signer.public_key()});
  EXPECT_EQ(whole.rows, kThreads * kEach + 1);
}

}  // namespace octroi::ledger
