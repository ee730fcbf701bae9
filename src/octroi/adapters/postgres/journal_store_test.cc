// The contract of the audit journal in PostgreSQL.
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

}  // namespace
}  // namespace octroi::ledger
