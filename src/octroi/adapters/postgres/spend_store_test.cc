// The spend ledger of the PostgreSQL store.
#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/spend_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kPostgres{"postgres",
                               [] { return std::make_unique<postgres::PostgresFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Postgres, SpendContract, testing::Values(kPostgres), store_name);

TEST(PostgresSpends, SixtyFourThreadsOverThreeReplicasReachTheCapAndNoMore) {
  postgres::PostgresFixture fixture;
  const auto second = fixture.another();
  const auto third = fixture.another();
  ASSERT_TRUE(second && third);
  race_spends({fixture.store().spends(), second->spends(), third->spends()});
}

/// Policies that count the same budgets in holds of their own, named so that no order of the ids is
/// the order of the scopes: whoever waits for whom, all of it is counted.
TEST(PostgresSpends, ReplicasThatShareManyWindowsCountAllOfThem) {
  postgres::PostgresFixture fixture;
  const auto second = fixture.another();
  ASSERT_TRUE(second);
  SpendLedger* const replicas[] = {fixture.store().spends(), second->spends()};
  std::atomic<std::int64_t> applied{0};
  spend_threads(16, [&](int t) {
    for (int i = 0; i < 10; ++i) {
      const std::string id = fmt::format("{}-{}", t, i);
      const auto customer = [](int n) { return fmt::format("policy/shared/customer:{}", n); };
      Reservation r = spend_of(id, 1,
                               {dollars_of(10'000, 1, customer((t + i) % 5)),
                                dollars_of(10'000, 1, customer((t + i + 2) % 5))});
      r.policy = fmt::format("p{}", t % 4);
      const auto out = sync(replicas[t % 2]->reserve(r));
      ASSERT_TRUE(out) << out.error().message();
      ASSERT_EQ(out->state, ReserveState::applied);
      ASSERT_TRUE(sync(replicas[t % 2]->settle(id, micro(1), "", kNoon)));
      applied += 2;
    }
  });
  std::int64_t settled = 0;
  const auto shared = sync(replicas[0]->usage("policy/shared/", kNoon));
  ASSERT_TRUE(shared);
  for (const SpendUsage& u : *shared) {
    EXPECT_EQ(u.held, 0);
    settled += u.settled;
  }
  EXPECT_EQ(settled, applied);
}

}  // namespace
}  // namespace octroi::ledger
