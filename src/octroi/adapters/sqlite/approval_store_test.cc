// The approvals of the SQLite store.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/approval_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kSqlite{"sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Sqlite, ApprovalContract, testing::Values(kSqlite), store_name);

}  // namespace
}  // namespace octroi::ledger
