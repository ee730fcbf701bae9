#include "octroi/vault/unsent.h"

#include <gtest/gtest.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/spend_testing.h"

namespace octroi::vault {
namespace {

using ledger::kNoon;
using ledger::SpendState;
using ledger::sync;

Task<Result<>> undo(UnsentHolds* holds, ledger::CallBook* calls, UnixMillis now) {
  co_await holds->undo(calls, now);
  co_return Result<>{};
}

class Unsent : public ::testing::Test {
 protected:
  void hold(const std::string& id, UnixMillis now) {
    ledger::Reservation r = ledger::charge_of(id, 100, 10);
    r.now = now;
    ASSERT_EQ(sync(spends_.reserve(std::move(r)))->state, ledger::ReserveState::applied);
  }
  void look(UnixMillis now = kNoon + Millis(100)) {
    ASSERT_TRUE(sync(undo(&unsent_, &calls_, now)));
  }
  SpendState state(const std::string& id) { return (*sync(spends_.find_spend(id)))->state; }

  ledger::MemorySpends spends_;
  audit::MemoryJournal journal_{system_clock()};
  ledger::SeparateCallBook calls_{spends_, journal_};
  UnsentHolds unsent_;
};

TEST_F(Unsent, AreReleasedOnceTheStoreAnswers) {
  hold("a", kNoon);
  hold("b", kNoon);
  spends_.set_unavailable(true);
  unsent_.note("a", kNoon);
  unsent_.note("b", kNoon);
  look();
  spends_.set_unavailable(false);
  EXPECT_EQ(state("a"), SpendState::held);
  look();
  EXPECT_EQ(state("a"), SpendState::released);
  EXPECT_EQ(state("b"), SpendState::released);
}

TEST_F(Unsent, WhatWasReservedAnewIsSomebodyElses) {
  hold("a", kNoon);
  unsent_.note("a", kNoon);
  unsent_.note("a", kNoon);
  look();
  hold("a", kNoon + Millis(1));
  unsent_.note("a", kNoon);
  look();
  EXPECT_EQ(state("a"), SpendState::held);
}

TEST_F(Unsent, ACommitThatComesLateIsWaitedFor) {
  unsent_.note("a", kNoon);
  look();
  hold("a", kNoon);  // at the database's end
  look();
  EXPECT_EQ(state("a"), SpendState::released);
  unsent_.note("b", kNoon);
  look(kNoon + Millis(60'000));
  hold("b", kNoon);
  look(kNoon + Millis(60'000));
  EXPECT_EQ(state("b"), SpendState::held);  // the sweep finds it
}

}  // namespace
}  // namespace octroi::vault
