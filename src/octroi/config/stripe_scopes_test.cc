#include "octroi/config/stripe_scopes.h"

#include <gtest/gtest.h>

namespace octroi::config {
namespace {

struct Row {
  const char* name;
  std::vector<std::string> endpoints;
  const char* scopes;
};
class StripeScopes : public ::testing::TestWithParam<Row> {};
TEST_P(StripeScopes, AreThoseOfTheEndpoints) {
  EXPECT_EQ(stripe_scopes(GetParam().endpoints), GetParam().scopes);
}
INSTANTIATE_TEST_SUITE_P(
    All, StripeScopes,
    ::testing::Values(
        Row{"none", {}, ""}, Row{"write", {"charges.create"}, "charges: write"},
        Row{"read", {"charges.list", "charges.retrieve", "charges.search"}, "charges: read"},
        Row{"both",
            {"charges.list", "charges.create", "customers.retrieve"},
            "charges: write, customers: read"},
        Row{"all_of_one", {"customers.*"}, "customers: write"},
        Row{"spaces", {"checkout.sessions.create"}, "checkout.sessions: write"},
        Row{"paths", {"GET /v1/charges/**", "POST /v1/refunds"}, "charges: read, refunds: write"},
        Row{"any_path", {"GET /v1/**"}, "everything: read"},
        Row{"everything", {"*"}, "everything: write"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace octroi::config
