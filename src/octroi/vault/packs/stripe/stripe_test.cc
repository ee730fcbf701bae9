#include "octroi/vault/packs/stripe/stripe.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;

struct RouteRow {
  const char* name;
  const char* method;
  const char* path;
  const char* operation;  // "": not known
  policy::Direction direction;
};
class Routes : public ::testing::TestWithParam<RouteRow> {};
TEST_P(Routes, AreNamedAndClassified) {
  const auto pack = make_stripe_pack();
  const Operation o = pack->route(GetParam().method, GetParam().path);
  EXPECT_EQ(o.name, GetParam().operation);
  EXPECT_EQ(o.direction, GetParam().direction);
}
using enum policy::Direction;
INSTANTIATE_TEST_SUITE_P(
    All, Routes,
    ::testing::Values(
        RouteRow{"charge", "POST", "/v1/charges", "charges.create", charge},
        RouteRow{"capture", "POST", "/v1/charges/ch_1/capture", "charges.capture", charge},
        RouteRow{"refund", "POST", "/v1/refunds", "refunds.create", refund},
        RouteRow{"refund_of_charge", "POST", "/v1/charges/ch_1/refund", "charges.refund", refund},
        RouteRow{"payout", "POST", "/v1/payouts", "payouts.create", payout},
        RouteRow{"transfer", "POST", "/v1/transfers", "transfers.create", payout},
        RouteRow{"confirm", "POST", "/v1/payment_intents/pi_1/confirm", "payment_intents.confirm",
                 charge},
        RouteRow{"customer", "POST", "/v1/customers", "customers.create", write},
        RouteRow{"delete_customer", "DELETE", "/v1/customers/cus_1", "customers.delete", write},
        RouteRow{"list", "GET", "/v1/charges", "charges.list", read},
        RouteRow{"one", "GET", "/v1/charges/ch_1", "charges.retrieve", read},
        RouteRow{"search", "GET", "/v1/charges/search", "charges.search", read},
        RouteRow{"below", "GET", "/v1/customers/cus_1/sources", "customers.sources.list", read},
        RouteRow{"space", "GET", "/v1/checkout/sessions/cs_1", "checkout.sessions.retrieve", read},
        RouteRow{"balance", "GET", "/v1/balance", "balance.retrieve", read},
        RouteRow{"trailing_slash", "POST", "/v1/charges/", "", write},
        RouteRow{"unknown_post", "POST", "/v1/accounts", "", write},
        RouteRow{"unknown_version", "GET", "/v3/charges", "", write},
        RouteRow{"put", "PUT", "/v1/charges", "", write}),
    [](const auto& row) { return row.param.name; });

TEST(Stripe, EveryRowIsReachedByItsOwnPath) {
  const auto pack = make_stripe_pack();
  for (const stripe::Row& row : stripe::table()) {
    std::string path(row.path);
    for (std::size_t at; (at = path.find("{id}")) != std::string::npos;) path.replace(at, 4, "x_1");
    EXPECT_EQ(pack->route(row.method, path).name, row.name) << path;
    const bool moves = row.direction != write;
    EXPECT_EQ(moves, row.amount != stripe::Amount::none) << row.name;
  }
}

struct AmountRow {
  const char* name;
  const char* path;
  const char* form;
  policy::AmountState state;
  std::int64_t minor;
};
class Amounts : public ::testing::TestWithParam<AmountRow> {};
TEST_P(Amounts, AreKnownOrSaidToBeUnknown) {
  const auto pack = make_stripe_pack();
  const Input in = form_request("POST", GetParam().path, GetParam().form);
  const auto call = pack->extract(pack->route("POST", in.path), in);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->amount, GetParam().state);
  if (call->minor) EXPECT_EQ(call->minor->minor, GetParam().minor);
}
using enum policy::AmountState;
INSTANTIATE_TEST_SUITE_P(
    All, Amounts,
    ::testing::Values(
        AmountRow{"charge", "/v1/charges", "amount=100&currency=usd", known, 100},
        AmountRow{"no_amount", "/v1/charges", "currency=usd", unknown, 0},
        AmountRow{"no_currency", "/v1/charges", "amount=100", unknown, 0},
        AmountRow{"refund_all", "/v1/refunds", "charge=ch_1", unknown, 0},
        AmountRow{"update_without", "/v1/payment_intents/pi_1", "description=x", none, 0},
        AmountRow{"update_with", "/v1/payment_intents/pi_1", "amount=5&currency=usd", known, 5},
        AmountRow{"refund_in_another_currency", "/v1/refunds",
                  "charge=ch_1&amount=5000&currency=krw", unknown, 0},
        AmountRow{"refund_of_a_balance", "/v1/refunds",
                  "origin=customer_balance&customer=cus_1&amount=5000&currency=krw", known, 5000},
        AmountRow{"capture_in_another_currency", "/v1/charges/ch_1/capture",
                  "amount=5000&currency=krw", unknown, 0},
        AmountRow{"update_of_the_currency", "/v1/payment_intents/pi_1", "currency=usd", unknown, 0},
        AmountRow{"over", "/v1/payment_intents",
                  "amount=5&currency=usd&payment_method_options[card][request_overcapture]="
                  "if_available",
                  unknown, 0},
        AmountRow{"over_later", "/v1/payment_intents/pi_1",
                  "payment_method_options[card][request_overcapture]=if_available", unknown, 0},
        AmountRow{"not_over", "/v1/payment_intents",
                  "amount=5&currency=usd&payment_method_options[card][request_overcapture]=never",
                  known, 5},
        AmountRow{"invoice", "/v1/invoices/in_1/pay", "", unknown, 0},
        AmountRow{"subscription", "/v1/subscriptions", "customer=cus_1", unknown, 0},
        AmountRow{"customer", "/v1/customers", "email=a@b.c", none, 0},
        AmountRow{"not_known", "/v1/accounts", "amount=1&currency=usd", unknown, 0}),
    [](const auto& row) { return row.param.name; });

TEST(Stripe, EveryPublishedWriteIsKnownOrRefusedForAReason) {
  const auto read_file = [](const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  };
  // Tests run with these set.
  const char* data = std::getenv("OCTROI_TESTDATA"); /* a test's own directory */
  const char* source = std::getenv("OCTROI_SOURCE"); /* a test's own directory */
  if (data == nullptr || source == nullptr) GTEST_SKIP() << "run by ctest";
  const auto published =
      json::parse(read_file(std::string(data) + "/vault/stripe_operations.json"));
  const auto refused =
      json::parse(read_file(std::string(source) + "/src/octroi/vault/packs/stripe/refused.json"));
  ASSERT_TRUE(published && refused);
  std::set<std::string> reasons;
  for (const json::Value row : refused->root().array("operations")->elements())
    reasons.insert(std::string(*row.string("method")) + " " + std::string(*row.string("path")));
  const auto pack = make_stripe_pack();
  std::size_t seen = 0;
  for (const json::Value row : published->root().array("writes")->elements()) {
    const std::string method(*row.string("method"));
    std::string path(*row.string("path"));
    const std::string name = method + " " + path;
    for (std::size_t at; (at = path.find("{id}")) != std::string::npos;) path.replace(at, 4, "x_1");
    EXPECT_EQ(pack->route(method, path).name.empty(), reasons.contains(name)) << name;
    ++seen;
  }
  EXPECT_GT(seen, 300U);
  for (const json::Value row : published->root().array("reads")->elements()) {
    std::string path(row.as_string().value_or(""));
    for (std::size_t at; (at = path.find("{id}")) != std::string::npos;) path.replace(at, 4, "x_1");
    const Operation o = pack->route("GET", path);
    EXPECT_FALSE(o.name.empty()) << path;
    EXPECT_EQ(o.direction, read) << path;
  }
}

TEST(Stripe, ReadsVersionTwo) {
  const auto pack = make_stripe_pack();
  Input in = json_request(
      "/v2/money_management/outbound_payments",
      R"({"from":{"financial_account":"fa_1","currency":"usd"},"to":{"recipient":"acct_1"},
          "amount":{"value":1250,"currency":"usd"}})");
  const Operation operation = pack->route("POST", in.path);
  EXPECT_EQ(operation.direction, payout);
  EXPECT_TRUE(pack->takes(operation, in));
  const auto call = pack->extract(operation, in);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->amount, known);
  ASSERT_TRUE(call->minor);
  EXPECT_EQ(call->minor->minor, 1250);
  EXPECT_THAT(call->recipients, ElementsAre("acct_1"));
  const Outcome out = pack->settle(
      operation, 200, {}, R"({"id":"obp_1","amount":{"value":1200,"currency":"usd"}})", true);
  ASSERT_TRUE(out.minor);
  EXPECT_EQ(out.minor->minor, 1200);
  for (const char* body : {R"({"amount":{"value":-5,"currency":"usd"}})",
                           R"({"amount":{"value":1e3,"currency":"usd"}})",
                           R"({"amount":{"value":12.5,"currency":"usd"}})"}) {
    in.document.emplace(*json::parse(body));
    EXPECT_FALSE(pack->extract(operation, in)) << body;
  }
  in.document.emplace(*json::parse(R"({"amount":1250,"currency":"usd"})"));
  EXPECT_EQ(pack->extract(operation, in)->amount, unknown);
  in.body_kind = BodyKind::form;
  EXPECT_FALSE(pack->takes(operation, in));
}

TEST(Stripe, AConfirmationThatAllowsMoreDoesNotGoOnWithWhatWasCounted) {
  const auto pack = make_stripe_pack();
  const std::string path = "/v1/payment_intents/pi_1/confirm";
  const auto begun = [&](const char* form) {
    const Input in = form_request("POST", path, form);
    return pack->continues(pack->route("POST", path), in);
  };
  EXPECT_EQ(begun(""), "pi_1");
  EXPECT_EQ(begun("payment_method_options[card][request_overcapture]=if_available"), "");
}

TEST(Stripe, TheAmountOfAnotherCurrencyIsLookedUpInThatOne) {
  const auto pack = make_stripe_pack();
  const Input in = form_request("POST", "/v1/payment_intents/pi_1", "currency=usd");
  const Operation operation = pack->route("POST", in.path);
  policy::Call call = *pack->extract(operation, in);
  const auto object = json::parse(R"({"id":"pi_1","amount":2000,"currency":"krw"})");
  EXPECT_TRUE(pack->questions()->learn(operation, in, object->root(), call));
  ASSERT_TRUE(call.minor);
  EXPECT_EQ(call.minor->minor, 2000);
  EXPECT_EQ(call.minor->currency, "usd");
}

TEST(Stripe, ARefundInAnotherCurrencyThanItsChargeIsNotUnderstood) {
  const auto pack = make_stripe_pack();
  const auto object =
      json::parse(R"({"id":"ch_1","amount":5000,"amount_refunded":0,"currency":"usd"})");
  for (const char* form :
       {"charge=ch_1&amount=500&currency=krw", "charge=ch_1&amount=500&currency=USD"}) {
    const Input in = form_request("POST", "/v1/refunds", form);
    const Operation operation = pack->route("POST", in.path);
    policy::Call call = *pack->extract(operation, in);
    EXPECT_TRUE(pack->questions()->learn(operation, in, object->root(), call));
    EXPECT_EQ(call.amount, in.body.ends_with("USD") ? known : unknown) << form;
  }
}

TEST(Stripe, NobodyKnowsWhatMayBeCapturedBeyondTheAmount) {
  const auto pack = make_stripe_pack();
  const Input in = form_request("POST", "/v1/payment_intents/pi_1/confirm",
                                "payment_method_options[card][request_overcapture]=if_available");
  const Operation operation = pack->route("POST", in.path);
  policy::Call call = *pack->extract(operation, in);
  const auto object = json::parse(R"({"id":"pi_1","amount":5,"currency":"usd"})");
  EXPECT_TRUE(pack->questions()->learn(operation, in, object->root(), call));
  EXPECT_EQ(call.amount, unknown);
}

TEST(Stripe, SeesMoneyThatMovesAside) {
  const auto pack = make_stripe_pack();
  const auto amount = [&](std::string method, std::string path, std::string form) {
    const Input in = form_request(method, std::move(path), std::move(form));
    return pack->extract(pack->route(method, in.path), in)->amount;
  };
  EXPECT_EQ(amount("POST", "/v1/customers", "email=a@b.c"), none);
  EXPECT_EQ(amount("POST", "/v1/customers", "balance=-100000"), unknown);
  EXPECT_EQ(amount("POST", "/v1/customers/cus_1", "cash_balance[settings][x]=y"), unknown);
  EXPECT_EQ(amount("DELETE", "/v1/subscriptions/sub_1", ""), none);
  EXPECT_EQ(amount("DELETE", "/v1/subscriptions/sub_1", "invoice_now=true"), unknown);
}

TEST(Stripe, SaysWhoIsTouched) {
  const auto pack = make_stripe_pack();
  const auto of = [&](std::string method, std::string path, std::string form) {
    const Input in = form_request(method, std::move(path), std::move(form));
    return *pack->extract(pack->route(method, in.path), in);
  };
  EXPECT_THAT(of("POST", "/v1/charges", "amount=1&currency=usd&customer=cus_1").customers,
              ElementsAre("cus_1"));
  EXPECT_THAT(of("GET", "/v1/customers/cus_2/sources", "").customers, ElementsAre("cus_2"));
  EXPECT_TRUE(of("POST", "/v1/refunds", "charge=ch_1&amount=1").customer_unknown);
  EXPECT_TRUE(of("GET", "/v1/charges/ch_1", "").customer_unknown);
  EXPECT_THAT(of("POST", "/v1/transfers", "amount=1&currency=usd&destination=acct_1").recipients,
              ElementsAre("acct_1"));
}

TEST(Stripe, RefusesWhatCanBeReadInTwoWays) {
  const auto pack = make_stripe_pack();
  Input in = form_request("POST", "/v1/charges", "amount=1&currency=usd");
  in.query = *Form::parse("amount=2");
  EXPECT_FALSE(pack->extract(pack->route("POST", in.path), in));
  for (const char* form : {"amount=01&currency=usd", "amount=-1&currency=usd",
                           "amount=1.0&currency=usd", "amount=1&currency=us", "amount[]=1",
                           "amount=1&currency=usd&key=pk", "amount=1&_method=GET"}) {
    const Input bad = form_request("POST", "/v1/charges", form);
    EXPECT_FALSE(pack->extract(pack->route("POST", bad.path), bad)) << form;
  }
  http::Headers headers;
  headers.add("Stripe-Account", "acct_1");
  EXPECT_FALSE(pack->check_headers(headers));
}

TEST(Stripe, SettlesByTheAnswer) {
  const auto pack = make_stripe_pack();
  const Operation o = pack->route("POST", "/v1/charges");
  http::Headers headers;
  headers.add("Request-Id", "req_1");
  headers.add("Idempotent-Replayed", "true");
  const std::string body = R"({"id":"ch_1","amount":70,"currency":"jpy"})";
  const Outcome done = pack->settle(o, 200, headers, body, true);
  EXPECT_EQ(done.state, Outcome::State::done);
  ASSERT_TRUE(done.minor);
  EXPECT_EQ(done.minor->minor, 70);
  EXPECT_EQ(done.object, "ch_1");
  EXPECT_EQ(done.request_id, "req_1");
  EXPECT_TRUE(done.replayed);
  EXPECT_EQ(pack->settle(o, 402, {}, "{}", true).state, Outcome::State::refused);
  EXPECT_EQ(pack->settle(o, 500, {}, "{}", true).state, Outcome::State::unknown);
  EXPECT_EQ(pack->settle(o, 408, {}, "{}", true).state, Outcome::State::unknown);
  EXPECT_FALSE(pack->settle(o, 200, {}, body.substr(0, 20), false).minor);
}

struct MovedRow {
  const char* name;
  const char* path;
  const char* answer;
  std::int64_t minor;  // -1: it does not say
};
class Moved : public ::testing::TestWithParam<MovedRow> {};
TEST_P(Moved, IsNotTheWholeObject) {
  const auto pack = make_stripe_pack();
  const Operation o = pack->route("POST", GetParam().path);
  ASSERT_FALSE(o.name.empty());
  const Outcome out = pack->settle(o, 200, {}, GetParam().answer, true);
  EXPECT_EQ(out.minor ? out.minor->minor : -1, GetParam().minor);
}
INSTANTIATE_TEST_SUITE_P(
    All, Moved,
    ::testing::Values(
        MovedRow{"capture", "/v1/charges/ch_1/capture",
                 R"({"id":"ch_1","amount":500,"amount_captured":100,"currency":"usd"})", 100},
        MovedRow{"old_capture", "/v1/charges/ch_1/capture",
                 R"({"id":"ch_1","amount":500,"currency":"usd"})", -1},
        MovedRow{"intent", "/v1/payment_intents/pi_1/capture",
                 R"({"id":"pi_1","amount":500,"amount_received":100,"currency":"usd"})", 100},
        MovedRow{"refund_of_charge", "/v1/charges/ch_1/refund",
                 R"({"id":"ch_1","amount":500,"amount_refunded":100,"currency":"usd"})", -1},
        MovedRow{"refund_of_fee", "/v1/application_fees/fee_1/refund",
                 R"({"id":"fee_1","amount":500,"currency":"usd"})", -1},
        MovedRow{"balance", "/v1/payment_intents/pi_1/apply_customer_balance",
                 R"({"id":"pi_1","amount":500,"currency":"usd"})", -1},
        MovedRow{"refund", "/v1/refunds", R"({"id":"re_1","amount":100,"currency":"usd"})", 100},
        MovedRow{"list_of_refunds", "/v1/charges/ch_1/refunds",
                 R"({"id":"re_1","amount":100,"currency":"usd"})", 100}),
    [](const auto& row) { return row.param.name; });

TEST(Stripe, KnowsItsKeys) {
  const auto pack = make_stripe_pack();
  EXPECT_EQ(pack->is_live(Secret(std::string_view("sk_live_abc"))), true);
  EXPECT_EQ(pack->is_live(Secret(std::string_view("rk_test_abc"))), false);
  EXPECT_FALSE(pack->check_credential(Secret(std::string_view("pk_live_abcdefg"))));
  EXPECT_FALSE(pack->check_credential(Secret(std::string_view("sk_live_ab cdefg"))));
}

}  // namespace
}  // namespace octroi::vault
