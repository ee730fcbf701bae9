// The vault keys of the PostgreSQL store.
#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/vault_key_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kPostgres{"postgres",
                               [] { return std::make_unique<postgres::PostgresFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Postgres, VaultKeyContract, testing::Values(kPostgres), store_name);
INSTANTIATE_TEST_SUITE_P(Postgres, CredentialContract, testing::Values(kPostgres), store_name);

}  // namespace
}  // namespace octroi::ledger
