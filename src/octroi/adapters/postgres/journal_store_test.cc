// The contract of the audit journal in PostgreSQL, and what several replicas make of it.
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/journal_contract.h"

namespace octroi::ledger {
namespace {

INSTANTIATE_TEST_SUITE_P(Postgres, JournalContract,
                         testing::Values(StoreUnderTest{
                             "postgres",
                             [] { return std::make_unique<postgres::PostgresFixture>(); }}),
                         store_name);

/// Of those that begin at once each is named by the next, but the last.
TEST(ChainsOfReplicas, ThatBeginAtOnceNameEachOther) {
  constexpr std::size_t kReplicas = 6;
  postgres::PostgresFixture fixture;
  std::vector<std::unique_ptr<Store>> replicas;
  for (std::size_t i = 0; i < kReplicas; ++i) replicas.push_back(fixture.another());
  std::vector<std::thread> threads;
  for (const auto& replica : replicas) {
    threads.emplace_back(
        [&replica] { EXPECT_TRUE(sync(replica->journal()->append(audit::call_of(1)))); });
  }
  for (std::thread& t : threads) t.join();
  std::set<std::string> named;
  for (const auto& replica : replicas) {
    audit::Journal& journal = *replica->journal();
    const auto first = sync(journal.rows(journal.writer(), 1, 1)).value().at(0);
    const auto before = audit::reference_of(audit::read_row(first).value().event);
    named.insert(before ? before->id.writer : "");
  }
  EXPECT_EQ(named.size(), kReplicas);
}

}  // namespace
}  // namespace octroi::ledger
