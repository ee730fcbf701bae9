#include "octroi/vault/packs/stripe/mcp.h"

#include <utility>

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/stripe/stripe.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

VendorSettings account() {
  VendorSettings v;
  v.name = "stripe";
  v.pack = "stripe";
  v.door = DoorSettings{.scheme = "https", .host = "mcp.stripe.com", .port = 443, .endpoint = "/"};
  ToolSettings more;
  more.tool = "stripe_integration_recommender";
  more.direction = "read";
  v.tools.push_back(more);
  return v;
}

struct Asked {
  std::unique_ptr<VendorPack> pack = make_stripe_mcp_pack(account());
  Input in;
  Operation operation;

  Asked(std::string_view tool, std::string_view arguments) {
    in = json_request("/", R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":")" +
                               std::string(tool) + R"(","arguments":)" + std::string(arguments) +
                               "}}");
    operation = pack->name(pack->route("POST", "/"), {}, in).value_or(Operation{});
  }
  [[nodiscard]] Result<policy::Call> call() const { return pack->extract(operation, in); }
};

TEST(StripeMcp, EveryToolIsAnOperationOfTheApi) {
  const auto api = make_stripe_pack();
  for (const stripe::ToolRow& row : stripe::tools()) {
    const Asked asked(row.tool, "{}");
    EXPECT_EQ(asked.operation.name, row.tool);
    if (row.method.empty()) {
      EXPECT_EQ(asked.operation.direction, policy::Direction::read) << row.tool;
      continue;
    }
    const Operation same = api->route(row.method, row.path);
    EXPECT_FALSE(same.name.empty()) << row.tool;
    EXPECT_EQ(asked.operation.direction, same.direction) << row.tool;
  }
}

TEST(StripeMcp, ARefundIsThatOfTheApi) {
  const Asked asked("create_refund", R"({"payment_intent":"pi_1","amount":500})");
  auto call = asked.call();
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->operation, "create_refund");
  EXPECT_EQ(call->path, "/");
  EXPECT_EQ(call->direction, policy::Direction::refund);
  EXPECT_EQ(call->amount, policy::AmountState::unknown);
  EXPECT_TRUE(call->customer_unknown);
  const VendorQuestions* questions = asked.pack->questions();
  ASSERT_NE(questions, nullptr);
  EXPECT_EQ(questions->subject(asked.operation, asked.in), "/v1/payment_intents/pi_1");
  const auto intent = json::parse(
      R"({"id":"pi_1","currency":"usd","amount":5000,"amount_received":5000,"customer":"cus_1"})");
  ASSERT_TRUE(questions->learn(asked.operation, asked.in, intent->root(), *call));
  EXPECT_EQ(call->amount, policy::AmountState::known);
  EXPECT_EQ(call->minor->minor, 500);
  EXPECT_THAT(call->customers, ElementsAre("cus_1"));
  // Nothing can be marked in a tool's call: no list says that it was not made.
  EXPECT_FALSE(questions->marks("create_refund"));
  EXPECT_TRUE(questions->lists(UnixMillis(0), UnixMillis(1)).empty());
}

struct Row {
  const char* name;
  const char* tool;
  const char* arguments;
  policy::Direction direction;
  policy::AmountState amount;
};
class Tools : public ::testing::TestWithParam<Row> {};
TEST_P(Tools, MoveWhatTheApiMoves) {
  const auto call = Asked(GetParam().tool, GetParam().arguments).call();
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->direction, GetParam().direction);
  EXPECT_EQ(call->amount, GetParam().amount);
}
using enum policy::Direction;
using policy::AmountState;
INSTANTIATE_TEST_SUITE_P(
    StripeMcp, Tools,
    ::testing::Values(
        Row{"Link", "create_payment_link", R"({"price":"price_1","quantity":2})", charge,
            AmountState::unknown},
        Row{"Invoice", "create_invoice", R"({"customer":"cus_1","days_until_due":30})", charge,
            AmountState::unknown},
        Row{"Item", "create_invoice_item",
            R"({"customer":"cus_1","invoice":"in_1","amount":700,"currency":"usd"})", charge,
            AmountState::known},
        Row{"ItemOfAPrice", "create_invoice_item",
            R"({"customer":"cus_1","price":"price_1","invoice":"in_1"})", charge,
            AmountState::unknown},
        Row{"Finalize", "finalize_invoice", R"({"invoice":"in_1"})", charge, AmountState::unknown},
        Row{"Update", "update_subscription",
            R"({"subscription":"sub_1","items":[{"price":"price_2"}]})", charge,
            AmountState::unknown},
        Row{"Cancel", "cancel_subscription", R"({"subscription":"sub_1"})", write,
            AmountState::none},
        Row{"CancelAndBill", "cancel_subscription",
            R"({"subscription":"sub_1","invoice_now":true})", write, AmountState::unknown},
        Row{"Customer", "create_customer", R"({"name":"Ada","email":"a@example.com"})", write,
            AmountState::none},
        Row{"CustomerWithCredit", "create_customer", R"({"name":"Ada","balance":-500})", write,
            AmountState::unknown},
        Row{"List", "list_customers", R"({"limit":3})", read, AmountState::none},
        Row{"Search", "search_stripe_documentation", R"({"question":"how"})", read,
            AmountState::none},
        Row{"Declared", "stripe_integration_recommender", "{}", read, AmountState::none}),
    [](const auto& row) { return std::string(row.param.name); });

struct Bad {
  const char* name;
  const char* tool;
  const char* arguments;
  const char* message;
};
class Wrong : public ::testing::TestWithParam<Bad> {};
TEST_P(Wrong, ArgumentsAreRefused) {
  const auto call = Asked(GetParam().tool, GetParam().arguments).call();
  ASSERT_FALSE(call);
  EXPECT_THAT(std::string(call.error().message()), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    StripeMcp, Wrong,
    ::testing::Values(
        Bad{"NotKnown", "create_refund", R"({"payment_intent":"pi_1","all":true})", "all"},
        Bad{"Null", "create_refund", R"({"payment_intent":"pi_1","amount":null})", "null"},
        Bad{"Fraction", "create_refund", R"({"payment_intent":"pi_1","amount":5.5})", "amount"},
        Bad{"List", "create_refund", R"({"payment_intent":"pi_1","amount":[5]})", "amount"},
        Bad{"NoId", "finalize_invoice", "{}", "invoice must be an id"},
        Bad{"IdIsAPath", "cancel_subscription", R"({"subscription":"../refunds"})",
            "must be an id"},
        Bad{"TwoWays", "create_customer", R"({"address":{"city":"x"},"address[city]":"y"})",
            "twice"},
        Bad{"OurMark", "create_refund",
            R"({"payment_intent":"pi_1","amount":5,"metadata":{"octroi_call":"x"}})",
            "octroi_call"},
        Bad{"NotDeclared", "create_payout", R"({"amount":5})", "create_payout is not declared"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(StripeMcp, ResultsSettleAsTheApisAnswersDo) {
  const auto became = [](std::string_view result) {
    const Asked asked("create_refund", R"({"payment_intent":"pi_1","amount":500})");
    const auto reader = asked.pack->listen(asked.operation, asked.in);
    http::Headers headers;
    headers.add("Content-Type", "application/json");
    reader->begin(200, headers);
    reader->read(R"({"jsonrpc":"2.0","id":1,"result":)" + std::string(result) + "}");
    return reader->outcome(true);
  };
  const Outcome done = became(
      R"({"content":[{"type":"text","text":"{\"id\":\"re_1\",\"amount\":400,\"currency\":\"usd\"}"}]})");
  EXPECT_EQ(done.state, Outcome::State::done);
  EXPECT_EQ(done.object, "re_1");
  EXPECT_EQ(done.minor->minor, 400);
  const Outcome declined = became(
      R"({"isError":true,"content":[{"type":"text","text":"{\"error\":{\"type\":\"card_error\"}}"}]})");
  EXPECT_EQ(declined.state, Outcome::State::refused);
  const Outcome lost =
      became(R"({"isError":true,"content":[{"type":"text","text":"Failed to create refund"}]})");
  EXPECT_EQ(lost.state, Outcome::State::unknown);
  // One that does not say that it failed costs what was set aside.
  const Outcome silent = became(R"({"content":[{"type":"text","text":"Failed"}]})");
  EXPECT_EQ(silent.state, Outcome::State::done);
  EXPECT_FALSE(silent.minor);
}

TEST(StripeMcp, StaysInItsAccount) {
  http::Headers headers;
  headers.add("Stripe-Account", "acct_1");
  EXPECT_FALSE(make_stripe_mcp_pack(account())->check_headers(headers));
}

}  // namespace
}  // namespace octroi::vault
