// The vault keys of the SQLite store.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/vault_key_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kSqlite{"sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Sqlite, VaultKeyContract, testing::Values(kSqlite), store_name);
INSTANTIATE_TEST_SUITE_P(Sqlite, CredentialContract, testing::Values(kSqlite), store_name);

}  // namespace
}  // namespace octroi::ledger
