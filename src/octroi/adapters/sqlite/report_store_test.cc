// The contracts of usage reports and allowances on SQLite.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/report_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kStore{"sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }};
INSTANTIATE_TEST_SUITE_P(Sqlite, ReportContract, testing::Values(kStore), store_name);
INSTANTIATE_TEST_SUITE_P(Sqlite, SessionReport, testing::Values(kStore), store_name);
INSTANTIATE_TEST_SUITE_P(Sqlite, AllowanceContract, testing::Values(kStore), store_name);

}  // namespace
}  // namespace octroi::ledger
