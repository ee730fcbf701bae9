// The sums and the services of the SQLite store.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/books_contract.h"
#include "octroi/ledger/services_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kSqlite{"sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Sqlite, BooksContract, testing::Values(kSqlite), store_name);
INSTANTIATE_TEST_SUITE_P(Sqlite, ServicesContract, testing::Values(kSqlite), store_name);

}  // namespace
}  // namespace octroi::ledger
