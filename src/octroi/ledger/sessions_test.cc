#include "octroi/ledger/sessions.h"

#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/session_contract.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, SessionContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemorySessions, AnUnavailableStoreBooksNothing) {
  MemoryStore store;
  ASSERT_TRUE(sync(store.record_invoices({invoice_of(1)})));
  ASSERT_TRUE(sync(store.sessions()->open_session(open_of(1))));
  store.set_unavailable(true);
  const auto refused = sync(store.sessions()->debit_session(hash_of(1), "weather", 1_msat, kUsed));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
  store.set_unavailable(false);
  EXPECT_EQ((*sync(store.sessions()->find_session(hash_of(1))))->spent, 0_msat);
}

/// Nobody else can be at work on this store, so nothing has to be waited for.
TEST(MemorySessions, ARefundOfAProcessThatIsGoneIsUnfinishedAtOnce) {
  MemoryFixture fixture;
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  ASSERT_TRUE(sync(fixture.store().sessions()->open_session(open_of(1))));
  ASSERT_TRUE(sync(fixture.store().sessions()->close_session(close_of(1))));
  ASSERT_TRUE(*sync(fixture.store().sessions()->claim_refund(hash_of(1), kUsed)));
  const auto unfinished = [&] {
    return sync(fixture.store().sessions()->unfinished_refunds(kUsed, std::chrono::hours(1)))
        ->size();
  };
  EXPECT_EQ(unfinished(), 0U);
  fixture.restart();
  EXPECT_EQ(unfinished(), 1U);
}

TEST(Sessions, NamesGoBothWays) {
  for (const SessionState s : {SessionState::open, SessionState::closed}) {
    EXPECT_EQ(session_state_from_string(to_string(s)), s);
  }
  for (const CloseReason r :
       {CloseReason::none, CloseReason::client, CloseReason::idle, CloseReason::operator_}) {
    EXPECT_EQ(close_reason_from_string(to_string(r)), r);
  }
  for (const RefundStage s : {RefundStage::none, RefundStage::skipped, RefundStage::due,
                              RefundStage::sending, RefundStage::succeeded, RefundStage::failed}) {
    EXPECT_EQ(refund_stage_from_string(to_string(s)), s);
  }
  EXPECT_FALSE(session_state_from_string("OPEN"));
  EXPECT_FALSE(close_reason_from_string("other"));
  EXPECT_FALSE(refund_stage_from_string(""));
  EXPECT_EQ(to_string(SessionOutcome::insufficient), "insufficient");
}

TEST(Sessions, ABalanceIsNeverNegative) {
  Session s;
  s.deposit = 5_msat;
  s.spent = 7_msat;
  EXPECT_EQ(s.balance(), 0_msat);
}

}  // namespace
}  // namespace octroi::ledger
