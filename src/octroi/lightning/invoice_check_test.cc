#include "octroi/lightning/invoice_check.h"

#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/lightning/fake_node.h"
#include "octroi/lightning/run_task.h"

namespace octroi::lightning {
namespace {

using namespace octroi::literals;

struct Row {
  const char* name;
  void (*change)(InvoiceExpectation&);
  const char* field;  // what the message names; empty: accepted
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

struct InvoiceCheckTest : testing::TestWithParam<Row> {};

TEST_P(InvoiceCheckTest, NamesWhatDiffers) {
  net::Loop loop;
  ManualClock clock{UnixMillis{1'800'000'000'000}};
  FakeNode node(clock, 3);
  auto invoice =
      run_task(loop, node.add_invoice({.amount = 1500_msat, .memo = "m", .expiry = Seconds(900)}));
  ASSERT_TRUE(invoice);
  InvoiceExpectation expected{.amount = 1500_msat,
                              .hash = invoice->hash,
                              .network = Network::regtest,
                              .payable_at = clock.now()};
  GetParam().change(expected);
  auto checked = check_invoice(invoice->bolt11, expected);
  if (*GetParam().field == '\0') {
    EXPECT_TRUE(checked);
    return;
  }
  ASSERT_FALSE(checked);
  EXPECT_TRUE(checked.error().is(Errc::bad_invoice));
  EXPECT_TRUE(checked.error().message().starts_with(GetParam().field)) << checked.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Rows, InvoiceCheckTest,
    testing::Values(
        Row{"all_as_expected", [](InvoiceExpectation&) {}, ""},
        Row{"nothing_expected",
            [](InvoiceExpectation& e) {
              e = {.amount = {}, .hash = {}, .network = {}, .payable_at = {}};
            },
            ""},
        Row{"another_amount", [](InvoiceExpectation& e) { e.amount = 1501_msat; }, "amount"},
        Row{"no_amount", [](InvoiceExpectation& e) { e.amount = Msat{}; }, "amount"},
        Row{"another_hash", [](InvoiceExpectation& e) { e.hash = PaymentHash{}; }, "payment hash"},
        Row{"another_network", [](InvoiceExpectation& e) { e.network = Network::mainnet; },
            "network"},
        Row{"last_moment",
            [](InvoiceExpectation& e) { e.payable_at = e.payable_at + Millis(899'999); }, ""},
        Row{"expired", [](InvoiceExpectation& e) { e.payable_at = e.payable_at + Millis(900'000); },
            "expiry"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(InvoiceCheck, RefusesWhatIsNoInvoice) {
  auto checked =
      check_invoice("lnbc1nonsense", {.amount = {}, .hash = {}, .network = {}, .payable_at = {}});
  ASSERT_FALSE(checked);
  EXPECT_TRUE(checked.error().is(Errc::bad_invoice));
}

TEST(Network, NamesGoBothWays) {
  for (Network n :
       {Network::mainnet, Network::testnet, Network::signet, Network::regtest, Network::simnet}) {
    EXPECT_EQ(parse_network(to_string(n)), n);
  }
  EXPECT_FALSE(parse_network("Mainnet"));
}

}  // namespace
}  // namespace octroi::lightning
