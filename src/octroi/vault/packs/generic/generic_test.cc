#include "octroi/vault/packs/generic/generic.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/generic/questions.h"

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

Input order(std::string_view body) { return json_request("/admin/api/2026-01/orders.json", body); }

TEST(Generic, ReadsDeclaredFields) {
  const auto pack = make_generic_pack(shop());
  const Input in =
      order(R"({"order":{"total_price":"12.30","currency":"USD","customer":{"id":77}}})");
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

VendorSettings listed_shop() {
  VendorSettings v = shop();
  v.operations[0].mark = "order.note";
  ListSettings list;
  list.path = "/admin/api/2026-01/orders.json?created_at_min={from}&limit=2";
  list.operations = {"orders.create"};
  list.items = "orders";
  list.id = "id";
  list.amount = "total_price";
  list.currency = "currency";
  list.major = true;
  list.mark = "note";
  list.created = "created_at";
  list.next = "next";
  list.page_size = 2;
  v.lists.push_back(list);
  return v;
}

TEST(Generic, MarksWhereTheConfigurationSays) {
  const auto pack = make_generic_pack(listed_shop());
  Input in = order(R"({"a":1.50,"order":{"total_price":"1.00","currency":"USD"},"z":[]})");
  const Operation o = pack->route("POST", in.path);
  pack->questions()->mark(o, in, "idem_1");
  EXPECT_EQ(in.body,
            R"({"a":1.50,"z":[],"order":{"total_price":"1.00","currency":"USD","note":"idem_1"}})");
  Input odd = order(R"({"order":"text"})");
  pack->questions()->mark(o, odd, "idem_1");
  EXPECT_EQ(odd.body, R"({"order":"text"})");
  EXPECT_FALSE(pack->extract(o, order(R"({"order":{"note":"mine"}})")));
  EXPECT_EQ(generic::with_text_at(json::parse("{}")->root(), "a.b.c", "x"),
            R"({"a":{"b":{"c":"x"}}})");
}

TEST(Generic, ReadsDeclaredLists) {
  const auto pack = make_generic_pack(listed_shop());
  const VendorQuestions& ask = *pack->questions();
  const auto lists = ask.lists(from_unix_seconds(0), from_unix_seconds(10));
  ASSERT_EQ(lists.size(), 1U);
  EXPECT_EQ(lists[0].target,
            "/admin/api/2026-01/orders.json?created_at_min=1970-01-01T00:00:00Z&limit=2");
  const auto read = [&](const std::string& answer) {
    return ask.read_list(lists[0].target, json::parse(answer)->root());
  };
  const auto page = read(R"({"orders":[{"id":7,"total_price":"2.50","currency":"USD",)"
                         R"("note":"idem_1","created_at":"1970-01-01T00:00:05Z"}]})");
  ASSERT_TRUE(page) << page.error().message();
  ASSERT_EQ(page->items.size(), 1U);
  EXPECT_EQ(page->items[0].object, "7");
  EXPECT_EQ(page->items[0].mark, "idem_1");
  EXPECT_EQ(page->items[0].minor->minor, 250);
  EXPECT_EQ(page->items[0].created, from_unix_seconds(5));
  EXPECT_FALSE(page->cut);
  EXPECT_TRUE(read(R"({"orders":[{"id":1},{"id":2}]})")->cut);  // a full page, and no way on
  const auto more =
      read(R"({"orders":[{"id":1},{"id":2}],"next":"/admin/api/2026-01/orders.json?page=2"})");
  EXPECT_FALSE(more->cut);
  EXPECT_EQ(more->next, "/admin/api/2026-01/orders.json?page=2");
  EXPECT_FALSE(read(R"({"orders":[],"next":"https://evil.example/"})"));
  EXPECT_FALSE(read(R"({"orders":{}})"));
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
