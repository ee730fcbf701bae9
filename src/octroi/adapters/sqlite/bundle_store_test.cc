// The contract of counted tokens on SQLite.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/bundle_contract.h"

namespace octroi::ledger {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, BundleContract,
                         testing::Values(StoreUnderTest{
                             "sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }}),
                         store_name);

}  // namespace
}  // namespace octroi::ledger
