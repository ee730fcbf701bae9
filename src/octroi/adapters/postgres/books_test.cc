// The sums and the services of the PostgreSQL store.
#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/ledger/books_contract.h"
#include "octroi/ledger/services_contract.h"

namespace octroi::ledger {
namespace {

const StoreUnderTest kPostgres{"postgres",
                               [] { return std::make_unique<postgres::PostgresFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Postgres, BooksContract, testing::Values(kPostgres), store_name);
INSTANTIATE_TEST_SUITE_P(Postgres, ServicesContract, testing::Values(kPostgres), store_name);

}  // namespace
}  // namespace octroi::ledger
