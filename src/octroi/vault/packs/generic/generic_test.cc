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

struct Pay {
  std::string amount = {}, quantity = {}, currency = "=USD", customer = {};
  std::vector<std::string> query = {};
};
/// A pack with this one operation at POST /pay.
std::unique_ptr<VendorPack> pay(Pay says) {
  OperationSettings o;
  o.name = "pay";
  o.method = "POST";
  o.path = "/pay";
  o.direction = "charge";
  o.amount = says.amount;
  o.quantity = says.quantity;
  o.currency = says.currency;
  o.customer = says.customer;
  o.query = says.query;
  VendorSettings v;
  v.operations.push_back(std::move(o));
  return make_generic_pack(v);
}
Result<policy::Call> read_pay(const VendorPack& pack, const Input& in) {
  const Operation o = pack.route(in.method, in.path);
  if (!pack.takes(o, in)) return fail(Errc::unsupported_body, "it does not take this");
  return pack.extract(o, in);
}
Input with_query(Input in, std::string_view query) {
  in.query = *Form::parse(query, {.max_fields = 512, .free_names = true});
  return in;
}
Input raw(std::string_view type, std::string_view body) {
  Input in;
  in.method = "POST";
  in.path = "/pay";
  in.body_kind = BodyKind::other;
  in.content_type = type;
  in.body = body;
  return in;
}

TEST(Generic, WhatAServerMayReadElsewhereIsRefused) {
  const auto pack = pay({.amount = "amount", .customer = "customer", .query = {"version"}});
  const std::string_view fine = R"({"amount":100,"customer":"cus_ok"})";
  const auto good = read_pay(*pack, json_request("/pay", fine));
  ASSERT_TRUE(good) << good.error().message();
  EXPECT_EQ(good->minor->minor, 100);
  EXPECT_TRUE(read_pay(*pack, with_query(json_request("/pay", fine), "version=3")));
  for (const std::string query : {"amount=999999", "customer=cus_evil", "x=1", "_method=DELETE",
                                  "Version=3", "version=3&amount=1"}) {
    EXPECT_FALSE(read_pay(*pack, with_query(json_request("/pay", fine), query))) << query;
    EXPECT_FALSE(read_pay(
        *pack, with_query(form_request("POST", "/pay", "amount=1&customer=cus_ok"), query)))
        << query;
  }
  for (const std::string body : {R"({"amount":100,"Amount":999999,"customer":"cus_ok"})",
                                 R"({"AMOUNT":999999,"customer":"cus_ok"})",
                                 R"({"amount":100,"customer":"cus_ok","cuſtomer":"cus_evil"})",
                                 R"({"amount":100,"customer":"cus_ok","_method":"DELETE"})",
                                 R"({"amount":100,"customer":"cus_ok","_Method":"DELETE"})"})
    EXPECT_FALSE(read_pay(*pack, json_request("/pay", body))) << body;
  EXPECT_FALSE(read_pay(*pack, form_request("POST", "/pay", "amount=1&_method=PUT")));
  // Without a body it is the query that is judged.
  const auto from_query =
      read_pay(*pack, with_query(form_request("POST", "/pay", ""), "amount=5&customer=cus_ok"));
  ASSERT_TRUE(from_query);
  EXPECT_EQ(from_query->minor->minor, 5);
}

TEST(Generic, ABodyThatNobodyReadsIsNotJudgedByItsFields) {
  for (const char* type : {"multipart/form-data; boundary=x", "text/json", "text/plain", ""}) {
    EXPECT_FALSE(read_pay(*pay({.amount = "amount"}), raw(type, "x"))) << type;
    EXPECT_FALSE(
        read_pay(*pay({.customer = "customer"}), with_query(raw(type, "x"), "customer=cus_ok")))
        << type;
    const auto by_path = read_pay(*pay({}), raw(type, "x"));
    ASSERT_TRUE(by_path) << type;
    EXPECT_TRUE(by_path->unread);
  }
}

TEST(Generic, FormsAreReadByTheSamePaths) {
  const auto pack = pay({.amount = "order.lines[*].price",
                         .quantity = "order.lines[*].count",
                         .currency = "order.currency",
                         .customer = "order.who.id"});
  const auto got = read_pay(
      *pack, form_request("POST", "/pay",
                          "order[currency]=USD&order[who][id]=7&order[lines][0][price]=250&"
                          "order[lines][0][count]=2&order[lines][1][price]=5&order[lines][1]"
                          "[count]=1"));
  ASSERT_TRUE(got) << got.error().message();
  ASSERT_TRUE(got->minor);
  EXPECT_EQ(got->minor->minor, 505);
  EXPECT_THAT(got->customers, ::testing::ElementsAre("7"));
  EXPECT_THAT(got->fields, ::testing::Contains(::testing::Pair("order.lines[1].price", "5")));
  EXPECT_THAT(got->fields, ::testing::Contains(::testing::Pair("order[lines][1][price]", "5")));
}

struct SumRow {
  const char* name;
  const char* body;
  std::int64_t minor;  // -1: unknown, -2: refused
};
class Sums : public ::testing::TestWithParam<SumRow> {};
TEST_P(Sums, CountEveryLineOrNone) {
  const auto pack = pay(
      {.amount = "lines[*].price", .quantity = "lines[*].count", .currency = "lines[*].currency"});
  const auto got = read_pay(*pack, json_request("/pay", GetParam().body));
  EXPECT_EQ(got.has_value(), GetParam().minor != -2);
  if (!got) return;
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->amount,
            GetParam().minor < 0 ? policy::AmountState::unknown : policy::AmountState::known);
  if (got->minor) EXPECT_EQ(got->minor->minor, GetParam().minor);
}
INSTANTIATE_TEST_SUITE_P(
    Generic, Sums,
    ::testing::Values(
        SumRow{"two", R"({"lines":[{"price":10,"count":3,"currency":"USD"},
                                   {"price":7,"count":1,"currency":"USD"}]})",
               37},
        SumRow{"one_that_is_no_list", R"({"lines":{"price":10,"count":3,"currency":"USD"}})", 30},
        SumRow{"by_numbers", R"({"lines":{"0":{"price":10,"count":3,"currency":"USD"},
                                          "1":{"price":1,"count":1,"currency":"USD"}}})",
               31},
        SumRow{"none", R"({"lines":[]})", -1}, SumRow{"not_there", R"({})", -1},
        SumRow{"null", R"({"lines":null})", -1},
        SumRow{"one_without_a_price", R"({"lines":[{"price":10,"count":3,"currency":"USD"},
                                                   {"count":1,"currency":"USD"}]})",
               -1},
        SumRow{"one_without_a_count", R"({"lines":[{"price":10,"currency":"USD"}]})", -1},
        SumRow{"one_without_a_currency", R"({"lines":[{"price":10,"count":1,"currency":"USD"},
                                                      {"price":10,"count":1}]})",
               -1},
        SumRow{"two_currencies", R"({"lines":[{"price":10,"count":1,"currency":"USD"},
                                              {"price":10,"count":1,"currency":"EUR"}]})",
               -2},
        SumRow{"in_other_letters", R"({"lines":[{"price":10,"count":1,"Count":9,
                                                 "currency":"USD"}]})",
               -2},
        SumRow{"negative", R"({"lines":[{"price":10,"count":-1,"currency":"USD"}]})", -2},
        SumRow{"half", R"({"lines":[{"price":10,"count":1.5,"currency":"USD"}]})", -2},
        SumRow{"many", R"({"lines":[{"price":1,"count":1000001,"currency":"USD"}]})", -2},
        SumRow{"huge", R"({"lines":[{"price":999999999999,"count":1000000,"currency":"USD"}]})",
               -2},
        SumRow{"huge_together", R"({"lines":[{"price":999999999999,"count":1,"currency":"USD"},
                                             {"price":1,"count":1,"currency":"USD"}]})",
               -2}),
    [](const auto& row) { return row.param.name; });

VendorSettings graphql_shop() {
  VendorSettings v;
  OperationSettings refund;
  refund.name = "refunds.create";
  refund.method = "POST";
  refund.path = "/admin/api/*/graphql.json";
  refund.graphql = "mutation refundCreate";
  refund.direction = "refund";
  refund.amount = "input.transactions[*].amount";
  refund.currency = "input.currency";
  refund.major = true;
  refund.customer = "input.orderId";
  refund.answer_id = "refund.id";
  refund.answer_amount = "refund.totalRefundedSet.shopMoney.amount";
  refund.answer_currency = "refund.totalRefundedSet.shopMoney.currencyCode";
  refund.errors = "userErrors";
  OperationSettings reads;
  reads.name = "read";
  reads.method = "POST";
  reads.path = refund.path;
  reads.graphql = "query *";
  reads.direction = "read";
  v.operations = {refund, reads};
  return v;
}
Result<policy::Call> run_graphql(const VendorPack& pack, Input in) {
  OCTROI_TRY(const Operation o, pack.name(pack.route(in.method, in.path), {}, in));
  if (!pack.takes(o, in)) return fail(Errc::unknown_operation, "it does not take this");
  return pack.extract(o, in);
}
Input graphql(std::string_view body) {
  return json_request("/admin/api/2026-01/graphql.json", body);
}

TEST(Generic, ReadsTheArgumentsOfAMutation) {
  const auto pack = make_generic_pack(graphql_shop());
  const auto call = run_graphql(*pack, graphql(R"({
      "query":"mutation r($input: RefundInput!) { refundCreate(input: $input) { refund { id } } }",
      "variables":{"input":{"orderId":"gid://shopify/Order/1","currency":"USD",
        "transactions":[{"amount":"12.00"},{"amount":"0.50"}]}}})"));
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->operation, "refunds.create");
  EXPECT_EQ(call->direction, policy::Direction::refund);
  EXPECT_EQ(call->minor->minor, 1250);
  EXPECT_THAT(call->customers, ::testing::ElementsAre("gid://shopify/Order/1"));
  EXPECT_THAT(call->fields,
              ::testing::Contains(::testing::Pair("input.transactions[1].amount", "0.50")));
  const auto query = run_graphql(*pack, graphql(R"({"query":"{ shop { name } orders { id } }"})"));
  ASSERT_TRUE(query) << query.error().message();
  EXPECT_EQ(query->operation, "read");
  EXPECT_EQ(query->direction, policy::Direction::read);
}

TEST(Generic, AGraphqlEndpointTakesNothingElse) {
  const auto pack = make_generic_pack(graphql_shop());
  for (const char* body :
       {R"({"query":"mutation { orderDelete(id: 1) { id } }"})",
        R"({"query":"mutation { refundCreate(input: {}) { id } orderDelete(id: 1) { id } }"})",
        R"({"query":"mutation { read: refundCreate(input: {}) { id } }"})",
        R"({"query":"subscription { orders { id } }"})", R"({"query":"{"})", R"({})", R"([])"})
    EXPECT_FALSE(run_graphql(*pack, graphql(body))) << body;
  Input get = form_request("GET", "/admin/api/2026-01/graphql.json", "");
  EXPECT_FALSE(run_graphql(*pack, with_query(std::move(get), "query={shop{name}}")));
  EXPECT_FALSE(run_graphql(
      *pack, with_query(graphql(R"({"query":"{ shop { name } }"})"), "query=mutation{x}")));
  Input text = raw("application/graphql", "{ shop { name } }");
  text.path = "/admin/api/2026-01/graphql.json";
  EXPECT_FALSE(run_graphql(*pack, std::move(text)));
}

TEST(Generic, SettlesAMutationByItsResult) {
  const auto pack = make_generic_pack(graphql_shop());
  Input in = graphql(R"({"query":"mutation { refundCreate(input: {}) { id } }"})");
  const Operation o = *pack->name(pack->route(in.method, in.path), {}, in);
  using State = Outcome::State;
  for (const auto& [body, state] : std::initializer_list<std::pair<std::string, State>>{
           {R"({"data":{"refundCreate":{"refund":{"id":"r1"},"userErrors":[]}}})", State::done},
           {R"({"data":{"refundCreate":{"userErrors":[{"message":"no"}]}}})", State::refused},
           {R"({"errors":[{"message":"Throttled"}]})", State::refused},
           {R"({"data":null,"errors":[{"message":"x"}]})", State::unknown},
           {R"({"data":{"refundCreate":null},"errors":[{"message":"x"}]})", State::unknown},
           {R"({"data":{}})", State::unknown},
           {R"({})", State::unknown},
           {"<html>", State::unknown}})
    EXPECT_EQ(pack->settle(o, 200, {}, body, true).state, state) << body;
  const Outcome out =
      pack->settle(o, 200, {},
                   R"({"data":{"refundCreate":{"refund":{"id":"r1","totalRefundedSet":{"shopMoney":
          {"amount":"3.10","currencyCode":"EUR"}}},"userErrors":[]}}})",
                   true);
  EXPECT_EQ(out.object, "r1");
  ASSERT_TRUE(out.minor);
  EXPECT_EQ(out.minor->minor, 310);
  EXPECT_EQ(out.minor->currency, "EUR");
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
