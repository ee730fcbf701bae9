// The contract of prepaid sessions on PostgreSQL.
#include <thread>

#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/session_contract.h"
#include "octroi/ledger/session_testing.h"

namespace octroi::ledger {
namespace {

INSTANTIATE_TEST_SUITE_P(Postgres, SessionContract,
                         testing::Values(StoreUnderTest{
                             "postgres",
                             [] { return std::make_unique<postgres::PostgresFixture>(); }}),
                         store_name);

}  // namespace
}  // namespace octroi::ledger

namespace octroi::postgres {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

/// Draws one satoshi at a time until told that nothing is left; the number that was acknowledged.
int draw_until_empty(SessionStore& sessions, std::atomic<int>& unsure) {
  int drawn = 0;
  for (int tries = 0; tries < 2000; ++tries) {
    const auto r = sync(sessions.debit_session(hash_of(1), "weather", 1000_msat, kUsed));
    if (!r) {
      EXPECT_TRUE(r.error().is(Errc::unavailable)) << r.error().message();
      ++unsure;
      std::this_thread::sleep_for(Millis(20));
      continue;
    }
    if (r->outcome != SessionOutcome::applied) {
      EXPECT_EQ(r->outcome, SessionOutcome::insufficient);
      return drawn;
    }
    ++drawn;
  }
  return drawn;
}

/// Sixty-four threads over three replicas on one session; `meanwhile` happens as they draw.
void draw_together(const std::function<void(const std::string&)>& meanwhile) {
  constexpr int kSatoshi = 600;
  PostgresFixture fixture;
  std::vector<std::unique_ptr<Store>> replicas;
  for (int i = 0; i < 3; ++i) replicas.push_back(fixture.another());
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  OpenSession request = open_of(1);
  request.deposit = *Msat::from_raw(kSatoshi * 1000);
  ASSERT_EQ(sync(fixture.store().sessions()->open_session(request))->proof.state,
            ConsumeState::fresh);
  std::atomic<int> drawn{0};
  std::atomic<int> unsure{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 64; ++t) {
    threads.emplace_back(
        [&, t] { drawn += draw_until_empty(*replicas[t % 3]->sessions(), unsure); });
  }
  meanwhile(fixture.database());
  for (std::thread& t : threads) t.join();
  const auto after = sync(fixture.another()->sessions()->find_session(hash_of(1)));
  ASSERT_TRUE(after && *after);
  EXPECT_EQ(raw((*after)->spent), kSatoshi * 1000) << "all of it, and no more";
  EXPECT_LE(drawn, kSatoshi);
  // What was written and could not be acknowledged costs the client at most one each.
  EXPECT_GE(drawn + unsure, kSatoshi);
}

TEST(PostgresSessions, ThreeReplicasDrawWhatIsThereAndNoMore) {
  draw_together([](const std::string&) {});
}

TEST(PostgresSessions, CutConnectionsDoubleNothing) {
  draw_together([](const std::string& database) {
    for (int cut = 0; cut < 5; ++cut) {
      std::this_thread::sleep_for(Millis(30));
      EXPECT_TRUE(TestServer::shared().admin(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + database +
          "'"));
    }
  });
}

TEST(PostgresSessions, AnOpenWhoseAnswerIsLostTellsWhatThereIs) {
  PostgresFixture fixture;
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  SessionStore& sessions = *fixture.store().sessions();
  ASSERT_EQ(sync(sessions.open_session(open_of(1)))->proof.state, ConsumeState::fresh);
  EXPECT_EQ(sync(sessions.open_session(open_of(1)))->proof.state, ConsumeState::pending);
  TestServer::shared().stop();
  EXPECT_FALSE(sync(sessions.open_session(open_of(1))));
  TestServer::shared().start();
  for (int i = 0; i < 600 && !sync(fixture.store().ping()); ++i) {
    std::this_thread::sleep_for(Millis(100));
  }
  const auto again = sync(sessions.open_session(open_of(1)));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->proof.state, ConsumeState::unfinished);
  ASSERT_TRUE(again->session);
  EXPECT_EQ(raw(again->session->deposit), 10'000);
}

}  // namespace
}  // namespace octroi::postgres
