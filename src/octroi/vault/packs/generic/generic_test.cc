#include "octroi/vault/packs/generic/generic.h"

#include <gmock/gmock.h>

namespace octroi::vault {
namespace {

VendorSettings shop() {
  VendorSettings v;
  v.name = "shop";
  v.pack = "generic";
  v.auth = "header:X-Shopify-Access-Token";
  OperationSettings o;
  o.name = "orders.create";
  o.method = "POST";
  o.path = "/admin/api/*/orders.json";
  o.direction = "charge";
  o.amount = "order.total_price";
  o.currency = "order.currency";
  o.customer = "order.customer.id";
  o.major = true;
  o.answer_amount = "order.total_price";
  o.answer_id = "order.id";
  v.operations.push_back(o);
  return v;
}

TEST(Generic, ReadsDeclaredFields) {
  const auto pack = make_generic_pack(shop());
  Input in;
  in.method = "POST";
  in.path = "/admin/api/2026-01/orders.json";
  in.body_kind = BodyKind::json;
  in.document.emplace(
      *json::parse(R"({"order":{"total_price":"12.30","currency":"USD","customer":{"id":77}}})"));
  const Operation o = pack->route("POST", in.path);
  EXPECT_EQ(o.name, "orders.create");
  const auto call = pack->extract(o, in);
  ASSERT_TRUE(call) << call.error().message();
  ASSERT_TRUE(call->minor);
  EXPECT_EQ(call->minor->minor, 1230);
  EXPECT_THAT(call->customers, ::testing::ElementsAre("77"));
  const Outcome done = pack->settle(
      o, 201, {}, R"({"order":{"id":5,"total_price":"13.00","currency":"USD"}})", true);
  EXPECT_EQ(done.minor->minor, 1300);
  EXPECT_EQ(done.object, "5");
}

TEST(Generic, WhatIsNotDeclaredHasNoName) {
  const auto pack = make_generic_pack(shop());
  EXPECT_TRUE(pack->route("POST", "/admin/api/2026-01/refunds.json").name.empty());
  EXPECT_EQ(pack->route("GET", "/x").direction, policy::Direction::read);
}

TEST(Generic, PutsTheKeyWhereItBelongs) {
  for (const auto& [auth, name, value] :
       {std::tuple{"bearer", "Authorization", "Bearer real-key-1"},
        {"basic", "Authorization", "Basic cmVhbC1rZXktMQ=="},
        {"header:X-Key", "X-Key", "real-key-1"}}) {
    VendorSettings v;
    v.auth = auth;
    const auto pack = make_generic_pack(v);
    http::RequestHead head;
    Input in;
    const Secret real(std::string_view("real-key-1"));
    const ledger::VaultKey key;
    pack->prepare({head, in, real, key, ""});
    EXPECT_EQ(head.headers.get(name), value) << auth;
  }
  VendorSettings v;
  v.auth = "query:api_key";
  Input in;
  http::RequestHead head;
  const Secret real(std::string_view("real-key-1"));
  const ledger::VaultKey key;
  make_generic_pack(v)->prepare({head, in, real, key, ""});
  EXPECT_EQ(in.query.text(), "api_key=real-key-1");
}

struct MajorRow {
  const char* name;
  const char* text;
  const char* currency;
  std::int64_t minor;  // below 0: refused
};
class Majors : public ::testing::TestWithParam<MajorRow> {};
TEST_P(Majors, AreExactOrRefused) {
  const auto got = parse_major("amount", GetParam().text, GetParam().currency);
  if (GetParam().minor < 0) {
    EXPECT_FALSE(got);
  } else {
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(*got, GetParam().minor);
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, Majors,
    ::testing::Values(MajorRow{"whole", "12", "usd", 1200}, MajorRow{"cents", "12.34", "USD", 1234},
                      MajorRow{"one_digit", "0.5", "usd", 50}, MajorRow{"yen", "100", "jpy", 100},
                      MajorRow{"dinar", "1.234", "bhd", 1234},
                      MajorRow{"zeros", "1.500", "usd", 150}, MajorRow{"zero", "0.00", "usd", 0},
                      MajorRow{"too_fine", "1.234", "usd", -1},
                      MajorRow{"yen_with_point", "1.5", "jpy", -1},
                      MajorRow{"sign", "-1", "usd", -1}, MajorRow{"point", "1.", "usd", -1},
                      MajorRow{"exponent", "1e3", "usd", -1},
                      MajorRow{"leading_zero", "01", "usd", -1}, MajorRow{"empty", "", "usd", -1},
                      MajorRow{"currency", "1", "xxq", -1}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace octroi::vault
