#include "octroi/mpp/accept_payment.h"

#include <gtest/gtest.h>

#include "octroi/json/test_vectors.h"

namespace octroi::mpp {
namespace {

Offer offer(std::string_view text) {
  const std::size_t slash = text.find('/');
  return {text.substr(0, slash), text.substr(slash + 1)};
}

// rule: MPP-60 MPP-61 MPP-62
TEST(AcceptPayment, RanksAsTheTableSays) {
  const json::Document table = json::read_test_table("mpp/accept_payment.json");
  int rows = 0;
  for (const json::Value row : table.root().array("vectors")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    std::vector<std::string_view> lines;
    std::vector<std::string_view> names;
    std::vector<Offer> offers;
    std::vector<std::string_view> expected;
    for (const json::Value v : row.array("header")->elements()) lines.push_back(*v.as_string());
    for (const json::Value v : row.array("offers")->elements()) {
      names.push_back(*v.as_string());
      offers.push_back(offer(names.back()));
    }
    for (const json::Value v : row.array("ranked")->elements()) expected.push_back(*v.as_string());
    std::vector<std::string_view> ranked;
    for (const std::size_t i : choose_offers(parse_accept_payment(lines), offers))
      ranked.push_back(names[i]);
    EXPECT_EQ(ranked, expected);
    ++rows;
  }
  EXPECT_GE(rows, 18);
}

TEST(AcceptPayment, PureRankMayBeEmpty) {
  const std::vector<PaymentRange> ranges = {{"tempo", "charge", 1000}};
  const std::vector<Offer> offers = {{"lightning", "charge"}};
  EXPECT_TRUE(rank_offers(ranges, offers).empty());
}

TEST(AcceptPayment, SessionMustBeNamed) {
  const auto asks = [](std::vector<std::string_view> header) {
    const auto ranges = parse_accept_payment(header);
    return ranges && asks_for(*ranges, "lightning", "session");
  };
  EXPECT_TRUE(asks({"lightning/session"}));
  EXPECT_TRUE(asks({"*/session;q=0.1"}));
  EXPECT_FALSE(asks({"lightning/*"}));
  EXPECT_FALSE(asks({"*/*"}));
  EXPECT_FALSE(asks({"lightning/session;q=0"}));
  EXPECT_FALSE(asks({"tempo/session"}));
}

}  // namespace
}  // namespace octroi::mpp
