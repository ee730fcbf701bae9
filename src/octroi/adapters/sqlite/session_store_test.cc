// The contract of prepaid sessions on SQLite.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/session_contract.h"

namespace octroi::ledger {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, SessionContract,
                         testing::Values(StoreUnderTest{
                             "sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }}),
                         store_name);

/// Nobody else can be at work on this store, so nothing has to be waited for.
TEST(SqliteSessions, ARefundOfAProcessThatIsGoneIsUnfinishedAtOnce) {
  sqlite::SqliteFixture fixture;
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

}  // namespace
}  // namespace octroi::ledger
