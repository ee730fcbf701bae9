#include "octroi/adapters/sqlite/spend_journal.h"

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"

namespace octroi::sqlite {
namespace {

using ledger::Spend;
using ledger::SpendErrc;
using ledger::SpendLimits;
using ledger::SpendStage;

class SpendJournalTest : public testing::Test {
 protected:
  std::string path() const { return folder_.file("wallet/journal.db"); }
  static Spend spend(std::uint8_t n, std::int64_t msat, std::int64_t at = 1'000'000'000) {
    std::array<std::uint8_t, 32> raw{};
    raw[0] = n;
    return {PaymentHash(raw), "api.example.com", "l402", *Msat::from_raw(msat), Msat{}, {at}};
  }
  static SpendLimits limits(std::int64_t payment, std::int64_t minute, std::int64_t day) {
    SpendLimits l;
    l.per_payment = *Msat::from_raw(payment);
    l.per_minute = *Msat::from_raw(minute);
    l.per_day = *Msat::from_raw(day);
    return l;
  }
  TempFolder folder_;
};

TEST_F(SpendJournalTest, HoldsLimitsExactlyAtTheEdge) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  const auto l = limits(600, 1000, 1500);
  EXPECT_TRUE((*journal)->reserve(spend(1, 600), l));
  EXPECT_TRUE((*journal)->reserve(spend(2, 400), l));
  auto over = (*journal)->reserve(spend(3, 1), l);
  ASSERT_FALSE(over);
  EXPECT_TRUE(over.error().is(SpendErrc::over_limit));
  EXPECT_THAT(std::string(over.error().message()), testing::HasSubstr("a minute"));
  // A minute later the minute is empty, the day is not.
  EXPECT_TRUE((*journal)->reserve(spend(3, 500, 1'000'060'000), l));
  auto day = (*journal)->reserve(spend(4, 1, 1'000'120'001), l);
  ASSERT_FALSE(day);
  EXPECT_THAT(std::string(day.error().message()), testing::HasSubstr("a day"));
  auto one = (*journal)->reserve(spend(5, 601, 2'000'000'000), l);
  ASSERT_FALSE(one);
  EXPECT_THAT(std::string(one.error().message()), testing::HasSubstr("payment"));
}

TEST_F(SpendJournalTest, FailureFreesUnknownHolds) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  const auto l = limits(1000, 1000, 1000);
  ASSERT_TRUE((*journal)->reserve(spend(1, 1000), l));
  ASSERT_TRUE((*journal)->advance(spend(1, 0).hash, SpendStage::unknown, {}));
  EXPECT_FALSE((*journal)->reserve(spend(2, 1), l));
  ASSERT_TRUE((*journal)->advance(spend(1, 0).hash, SpendStage::failed, {}));
  EXPECT_TRUE((*journal)->reserve(spend(2, 1000), l));
}

TEST_F(SpendJournalTest, AHashIsPaidOnce) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  const SpendLimits l;
  for (const auto stage : {SpendStage::submitted, SpendStage::unknown, SpendStage::settled}) {
    const auto n = static_cast<std::uint8_t>(10 + static_cast<int>(stage));
    ASSERT_TRUE((*journal)->reserve(spend(n, 1), l));
    ASSERT_TRUE((*journal)->advance(spend(n, 0).hash, stage, {}));
    auto again = (*journal)->reserve(spend(n, 1), l);
    ASSERT_FALSE(again);
    EXPECT_TRUE(again.error().is(SpendErrc::already_seen));
  }
  ASSERT_TRUE((*journal)->reserve(spend(1, 1), l));
  ASSERT_TRUE((*journal)->advance(spend(1, 0).hash, SpendStage::failed, {}));
  EXPECT_TRUE((*journal)->reserve(spend(1, 1), l)) << "a definite failure may be tried again";
}

TEST_F(SpendJournalTest, ASettledEntryNeverChanges) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  ASSERT_TRUE((*journal)->reserve(spend(1, 5), SpendLimits{}));
  ASSERT_TRUE((*journal)->advance(spend(1, 0).hash, SpendStage::settled, *Msat::from_raw(7)));
  EXPECT_FALSE((*journal)->advance(spend(1, 0).hash, SpendStage::failed, {}));
  auto entry = (*journal)->find(spend(1, 0).hash);
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->stage, SpendStage::settled);
  EXPECT_EQ((*entry)->fee, *Msat::from_raw(7));
  EXPECT_FALSE((*journal)->advance(spend(99, 0).hash, SpendStage::failed, {}));
}

TEST_F(SpendJournalTest, ARefundIsInTheBooksAndRaisesNoLimit) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  const auto l = limits(1000, 1000, 1000);
  const auto paid = spend(1, 1000);
  EXPECT_FALSE((*journal)->note_refund(paid.hash, 400_msat, paid.when));
  ASSERT_TRUE((*journal)->reserve(paid, l));
  auto early = (*journal)->note_refund(paid.hash, 400_msat, paid.when);
  ASSERT_FALSE(early);  // it is not known to be paid
  EXPECT_TRUE(early.error().is(SpendErrc::no_entry));
  ASSERT_TRUE((*journal)->advance(paid.hash, SpendStage::settled, {}));
  ASSERT_TRUE((*journal)->note_refund(paid.hash, 300_msat, paid.when));
  ASSERT_TRUE((*journal)->note_refund(paid.hash, 400_msat, paid.when));  // told again
  EXPECT_EQ((*(*journal)->find(paid.hash))->refunded, 400_msat);
  EXPECT_EQ((*(*journal)->find(paid.hash))->stage, SpendStage::settled);
  EXPECT_FALSE((*journal)->reserve(spend(2, 1), l));
}

TEST_F(SpendJournalTest, OpenEntriesAreThoseWithoutAnOutcome) {
  auto journal = open_spend_journal(path());
  ASSERT_TRUE(journal);
  for (std::uint8_t n = 1; n <= 4; ++n)
    ASSERT_TRUE((*journal)->reserve(spend(n, 1, 1'000'000'000 + n), SpendLimits{}));
  ASSERT_TRUE((*journal)->advance(spend(2, 0).hash, SpendStage::settled, {}));
  ASSERT_TRUE((*journal)->advance(spend(3, 0).hash, SpendStage::failed, {}));
  auto open = (*journal)->open_entries();
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 2U);
  EXPECT_EQ((*open)[0].spend.hash, spend(1, 0).hash);
  EXPECT_EQ((*open)[1].spend.hash, spend(4, 0).hash);
}

// The limit holds over processes: each opens the file by itself and reserves as often as it can.
TEST_F(SpendJournalTest, ProcessesShareOneLimit) {
  ASSERT_TRUE(open_spend_journal(path()));
  constexpr int kProcesses = 4;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      int granted = 0;
      auto journal = open_spend_journal(path());
      for (int i = 0; journal && i < 30; ++i) {
        auto s = spend(static_cast<std::uint8_t>(p * 30 + i + 1), 10);
        if ((*journal)->reserve(s, limits(10, 250, 250))) ++granted;
      }
      ::_exit(granted);
    }
    children.push_back(pid);
  }
  int total = 0;
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status));
    total += WEXITSTATUS(status);
  }
  EXPECT_EQ(total, 25);
}

// Agents start several commands at once, also the first time: making the file is no race.
TEST_F(SpendJournalTest, ProcessesMayMakeTheFileAtOnce) {
  constexpr int kRounds = 20;
  constexpr int kProcesses = 8;
  for (int round = 0; round < kRounds; ++round) {
    const std::string fresh = folder_.file("wallet" + std::to_string(round) + "/journal.db");
    std::array<int, 2> gate{};
    ASSERT_EQ(::pipe(gate.data()), 0);
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::close(gate[1]);
        char nothing = 0;
        std::ignore = ::read(gate[0], &nothing, 1);  // ends for all at once, when the parent closes
        auto journal = open_spend_journal(fresh);
        const auto n = static_cast<std::uint8_t>(p + 1);
        ::_exit(journal && (*journal)->reserve(spend(n, 1), SpendLimits{}) ? 0 : 1);
      }
      children.push_back(pid);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    for (const pid_t pid : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace octroi::sqlite
