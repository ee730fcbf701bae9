// The contracts of usage reports and allowances on PostgreSQL.
#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/report_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kStore{"postgres",
                            [] { return std::make_unique<postgres::PostgresFixture>(); }};
INSTANTIATE_TEST_SUITE_P(Postgres, ReportContract, testing::Values(kStore), store_name);
INSTANTIATE_TEST_SUITE_P(Postgres, SessionReport, testing::Values(kStore), store_name);
INSTANTIATE_TEST_SUITE_P(Postgres, AllowanceContract, testing::Values(kStore), store_name);

}  // namespace
}  // namespace octroi::ledger
