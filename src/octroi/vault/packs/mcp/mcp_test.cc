#include "octroi/vault/packs/mcp/mcp.h"

#include <utility>

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/mcp/methods.h"
#include "octroi/vault/packs/mcp/pointer.h"
#include "octroi/vault/packs/mcp/refusal.h"

namespace octroi::vault::mcp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

VendorSettings shop() {
  VendorSettings v;
  v.name = "shop";
  v.pack = "mcp";
  ToolSettings order;
  order.tool = "create_order";
  order.direction = "charge";
  order.amount = "/order/total";
  order.currency = "/order/currency";
  order.major = true;
  order.customer = "/customer";
  order.answer_amount = "/total";
  order.answer_id = "/id";
  ToolSettings reads;
  reads.tool = "get_*";
  reads.direction = "read";
  ToolSettings refund;
  refund.tool = "get_money_back";
  refund.direction = "refund";
  refund.amount = "/cents";
  refund.currency = "=eur";
  refund.error_is_refusal = true;
  v.tools = {reads, order, refund};
  return v;
}

Input posted(std::string_view body) { return json_request("/mcp", body); }

/// The way of the broker: route, name, takes, extract.
Result<policy::Call> judged(const VendorPack& pack, Input& in, http::Headers headers = {}) {
  OCTROI_TRY(const Operation o, pack.name(pack.route(in.method, in.path), headers, in));
  if (!pack.takes(o, in)) return fail(Errc::unsupported_body, "not taken");
  return pack.extract(o, in);
}

Result<policy::Call> judged(std::string_view body) {
  const auto pack = make_mcp_pack(shop());
  Input in = posted(body);
  if (!in.document) return fail(Errc::ambiguous, "no strict JSON");
  return judged(*pack, in);
}

std::string call_of_tool(std::string_view name, std::string_view arguments) {
  return R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":")" + std::string(name) +
         R"(","arguments":)" + std::string(arguments) + "}}";
}

struct Named {
  const char* name;
  const char* body;
  const char* operation;
};
class Names : public ::testing::TestWithParam<Named> {};
TEST_P(Names, AreThoseOfPolicies) {
  const auto call = judged(GetParam().body);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->operation, GetParam().operation);
}
INSTANTIATE_TEST_SUITE_P(
    Mcp, Names,
    ::testing::Values(
        Named{"Initialize", R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}})",
              "mcp.initialize"},
        Named{"Ping", R"({"jsonrpc":"2.0","id":"a","method":"ping"})", "mcp.ping"},
        Named{"Initialized", R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
              "mcp.notifications.initialized"},
        Named{"Templates", R"({"jsonrpc":"2.0","id":1,"method":"resources/templates/list"})",
              "mcp.resources.templates.list"},
        Named{"Prompt", R"({"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"x"}})",
              "mcp.prompts.get"},
        Named{"Answer", R"({"jsonrpc":"2.0","id":1,"result":{}})", "mcp.answer"},
        Named{"Tool",
              R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_order"}})",
              "get_order"},
        Named{"BatchOfOne",
              R"([{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_order"}}])",
              "get_order"},
        Named{
            "BatchOfOneKind",
            R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}])",
            "mcp.ping"}),
    [](const auto& row) { return std::string(row.param.name); });

struct Refused {
  const char* name;
  const char* body;
  const char* message;
};
class Refusals : public ::testing::TestWithParam<Refused> {};
TEST_P(Refusals, NameWhatIsWrong) {
  const auto call = judged(GetParam().body);
  ASSERT_FALSE(call) << call->operation;
  EXPECT_THAT(std::string(call.error().message()), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Mcp, Refusals,
    ::testing::Values(
        Refused{"MethodTwice", R"({"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"})",
                "no strict JSON"},
        Refused{"MethodInTwoCases",
                R"({"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"})",
                "in two spellings"},
        Refused{"MethodInAnotherCase", R"({"jsonrpc":"2.0","id":1,"METHOD":"tools/call"})",
                "METHOD"},
        Refused{"LongS",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"s\":1,"
                "\"\xC5\xBF\":2}}",
                "in two spellings"},
        Refused{
            "ArgumentsInTwoCases",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{"a":{"x":1,"X":2}}}})",
            "in two spellings"},
        Refused{
            "AmountInAnotherCase",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_order","arguments":{"Order":{"total":"1"}}}})",
            "another spelling"},
        Refused{"NoVersion", R"({"id":1,"method":"ping"})", "jsonrpc"},
        Refused{"AnotherVersion", R"({"jsonrpc":"1.0","id":1,"method":"ping"})", "jsonrpc"},
        Refused{"NoObject", R"("ping")", "object"}, Refused{"EmptyBatch", "[]", "1 to"},
        Refused{"BatchInABatch", R"([[{"jsonrpc":"2.0","id":1,"method":"ping"}]])", "object"},
        Refused{
            "TwoCalls",
            R"([{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_a"}}])",
            "holds nothing else"},
        Refused{
            "ACallAndAnother",
            R"([{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}}])",
            "holds nothing else"},
        Refused{
            "TwoMethods",
            R"([{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"tools/list"}])",
            "one method"},
        Refused{
            "SameIdTwice",
            R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"ping"}])",
            "same id"},
        Refused{"CallWithoutId",
                R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_a"}})",
                "needs an id"},
        Refused{"IdIsNull", R"({"jsonrpc":"2.0","id":null,"method":"ping"})", "id must be"},
        Refused{"IdIsAFraction", R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})", "id must be"},
        Refused{"NotificationWithId",
                R"({"jsonrpc":"2.0","id":1,"method":"notifications/initialized"})", "has no id"},
        Refused{"MethodAndResult", R"({"jsonrpc":"2.0","id":1,"method":"ping","result":{}})",
                "beside method"},
        Refused{"ResultAndError", R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})",
                "either result or error"},
        Refused{"ParamsAreAList", R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})",
                "params must be"},
        Refused{"UnknownMethod", R"({"jsonrpc":"2.0","id":1,"method":"tools/run"})",
                "no method that this door knows"},
        Refused{"UnknownNotification", R"({"jsonrpc":"2.0","method":"notifications/run"})",
                "no method that this door knows"},
        Refused{"UnknownTool",
                R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}})",
                "the tool drop is not declared"},
        Refused{"NoTool", R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}})",
                "params.name"},
        Refused{"ToolIsANumber",
                R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}})",
                "params.name"},
        Refused{
            "MoreBesideTheName",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","tool":"x"}})",
            "params.tool"},
        Refused{
            "ArgumentsAreAList",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":[]}})",
            "params.arguments"},
        Refused{
            "AmountWithAnExponent",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_money_back","arguments":{"cents":1e2}}})",
            "/cents"},
        Refused{
            "AmountBelowZero",
            R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_money_back","arguments":{"cents":-1}}})",
            "/cents"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Mcp, ReadsWhatAToolSpendsAndOnWhom) {
  const auto call = judged(call_of_tool(
      "create_order", R"({"order":{"total":"12.30","currency":"USD"},"customer":"c_7"})"));
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->direction, policy::Direction::charge);
  EXPECT_EQ(call->amount, policy::AmountState::known);
  ASSERT_TRUE(call->minor);
  EXPECT_EQ(call->minor->minor, 1230);
  EXPECT_THAT(call->customers, ElementsAre("c_7"));
  EXPECT_THAT(call->fields, ElementsAre(Pair("order.total", "12.30"), Pair("order.currency", "USD"),
                                        Pair("customer", "c_7")));
}

TEST(Mcp, WhatIsNotSaidIsUnknown) {
  const auto call = judged(call_of_tool("create_order", R"({"order":{"total":"12.30"}})"));
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->amount, policy::AmountState::unknown);
  EXPECT_TRUE(call->customer_unknown);
}

TEST(Mcp, AToolThatIsNamedComesBeforeAStar) {
  const auto call = judged(call_of_tool("get_money_back", R"({"cents":5})"));
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->direction, policy::Direction::refund);
  EXPECT_EQ(call->minor->currency, "eur");
  EXPECT_EQ(judged(call_of_tool("get_orders", "{}"))->direction, policy::Direction::read);
}

TEST(Mcp, NoToolIsCalledAsTheProtocolIs) {
  VendorSettings all = shop();
  all.tools.resize(1);
  all.tools[0].tool = "*";
  const auto pack = make_mcp_pack(all);
  Input in = posted(call_of_tool("mcp.ping", "{}"));
  EXPECT_FALSE(judged(*pack, in));
  Input other = posted(call_of_tool("ping", "{}"));
  EXPECT_TRUE(judged(*pack, other));
}

TEST(Mcp, TheRunMayStandInTheMessage) {
  const auto call = judged(
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","_meta":{"agent_run_id":"run-4"}}})");
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->run, "run-4");
  EXPECT_FALSE(judged(
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","_meta":{"agent_run_id":"a b"}}})"));
}

TEST(Mcp, OnePathAndThreeMethods) {
  const auto pack = make_mcp_pack(shop());
  Input in;
  in.path = "/mcp";
  for (const auto& [method, name] : {std::pair{"GET", kListen}, std::pair{"DELETE", kEnd}}) {
    in.method = method;
    const auto call = judged(*pack, in);
    ASSERT_TRUE(call) << call.error().message();
    EXPECT_EQ(call->operation, name);
    EXPECT_EQ(call->direction, policy::Direction::read);
  }
  for (const auto& [method, path] : {std::pair{"PUT", "/mcp"}, std::pair{"GET", "/mcp/"},
                                     std::pair{"GET", "/"}, std::pair{"POST", "/mcp/x"}}) {
    const Operation o = pack->route(method, path);
    in.method = method;
    in.path = path;
    EXPECT_TRUE(o.name.empty());
    EXPECT_FALSE(pack->takes(o, in)) << method << path;
  }
}

TEST(Mcp, TheAddressHasNoQueryAndTheHeadSaysNothingElse) {
  const auto pack = make_mcp_pack(shop());
  Input in = posted(call_of_tool("get_a", "{}"));
  in.query = *Form::parse("tools=all");
  EXPECT_FALSE(judged(*pack, in));
  Input plain = posted(call_of_tool("get_a", "{}"));
  http::Headers same;
  same.add("Mcp-Method", "tools/call");
  same.add("Mcp-Name", "get_a");
  EXPECT_TRUE(judged(*pack, plain, same));
  for (const auto& [field, value] :
       {std::pair{"Mcp-Method", "ping"}, std::pair{"Mcp-Name", "create_order"}}) {
    http::Headers other;
    other.add(field, value);
    EXPECT_FALSE(judged(*pack, plain, other)) << field;
  }
  http::Headers param;
  param.add("Mcp-Param-Amount", "5");
  EXPECT_FALSE(pack->check_headers(param));
}

TEST(Mcp, TheSameCallWithAnotherIdIsTheSame) {
  const auto pack = make_mcp_pack(shop());
  const auto same = [&](std::string_view body) {
    const Input in = posted(body);
    return pack->same_as({}, in);
  };
  const std::string one = same(
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{"x":1}}})");
  EXPECT_EQ(
      one,
      same(
          R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_a","arguments":{"x":1},"_meta":{"progressToken":9}}})"));
  EXPECT_NE(
      one,
      same(
          R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{"x":2}}})"));
}

// ------------------------------------------------------------------------------------------------

/// What became of a call of `tool` with the id 1, by the server's answer.
Outcome became(std::string_view tool, int status, std::string_view type, std::string_view body,
               bool whole = true) {
  const auto pack = make_mcp_pack(shop());
  Input in = posted(call_of_tool(tool, "{}"));
  const auto named = pack->name(pack->route("POST", "/mcp"), {}, in);
  const auto reader = pack->listen(*named, in);
  http::Headers headers;
  headers.add("Content-Type", type);
  headers.add("X-Request-Id", "req_1");
  reader->begin(status, headers);
  for (const char c : body) reader->read(std::string_view(&c, 1));
  EXPECT_FALSE(reader->ends_with_agent());
  return reader->outcome(whole);
}

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kEvents = "text/event-stream; charset=utf-8";

TEST(McpAnswers, AResultSaysWhatItCost) {
  const Outcome text = became(
      "create_order", 200, kJson,
      R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"id\":\"o_1\",\"total\":\"11.00\",\"order\":{\"currency\":\"USD\"}}"}]}})");
  EXPECT_EQ(text.state, Outcome::State::done);
  EXPECT_EQ(text.object, "o_1");
  EXPECT_EQ(text.request_id, "req_1");
  ASSERT_TRUE(text.minor);
  EXPECT_EQ(text.minor->minor, 1100);
  const Outcome structured = became(
      "create_order", 200, kJson,
      R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}],"structuredContent":{"id":"o_2","total":2,"order":{"currency":"USD"}}}})");
  EXPECT_EQ(structured.object, "o_2");
  EXPECT_EQ(structured.minor->minor, 200);
}

TEST(McpAnswers, AStreamHoldsOtherMessagesBefore) {
  const std::string stream =
      ": hello\n\ndata: "
      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n"
      "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"elicitation/create\",\"params\":{}}\n\n"
      "event: message\r\nid: 7\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}";
  EXPECT_EQ(became("create_order", 200, kEvents, stream + "\r\n\r\n").state, Outcome::State::done);
  EXPECT_EQ(became("create_order", 200, kEvents, stream, true).state, Outcome::State::done);
  EXPECT_EQ(became("create_order", 200, kEvents, stream, false).state, Outcome::State::unknown);
}

struct Answered {
  const char* name;
  int status;
  const char* body;
  Outcome::State state;
  const char* tool = "create_order";
};
class Answers : public ::testing::TestWithParam<Answered> {};
TEST_P(Answers, SettleReleaseOrHold) {
  EXPECT_EQ(became(GetParam().tool, GetParam().status, kJson, GetParam().body).state,
            GetParam().state);
}
using enum Outcome::State;
INSTANTIATE_TEST_SUITE_P(
    Mcp, Answers,
    ::testing::Values(
        Answered{"InABatch", 200, R"([{"jsonrpc":"2.0","id":1,"result":{"content":[]}}])", done},
        Answered{"OfAnother", 200, R"({"jsonrpc":"2.0","id":2,"result":{"content":[]}})", unknown},
        Answered{"OfAText", 200, R"({"jsonrpc":"2.0","id":"1","result":{"content":[]}})", unknown},
        Answered{"Error", 200, R"({"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}})",
                 unknown},
        Answered{"ErrorThatIsARefusal", 200,
                 R"({"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}})", refused,
                 "get_money_back"},
        Answered{"OddlyAnError", 200,
                 R"({"jsonrpc":"2.0","id":1,"result":{"isError":"yes","content":[]}})", unknown},
        Answered{"Task", 200, R"({"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t"}}})",
                 unknown},
        Answered{"BadParameters", 200,
                 R"({"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}})", refused},
        Answered{"NoSuchTool", 200,
                 R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}})", refused},
        Answered{"Broken", 200,
                 R"({"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}})", unknown},
        Answered{"ErrorWithoutCode", 200, R"({"jsonrpc":"2.0","id":1,"error":"no"})", unknown},
        Answered{"NoMessage", 200, "<html>", unknown}, Answered{"Nothing", 200, "", unknown},
        Answered{"Accepted", 202, "", unknown},
        Answered{"SessionIsGone", 404, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32001}})",
                 refused},
        Answered{"ServerError", 500, "", unknown}, Answered{"TimedOut", 408, "", unknown}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(McpAnswers, OnlyCallsOfToolsAreListenedTo) {
  const auto pack = make_mcp_pack(shop());
  Input in = posted(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  const auto named = pack->name(pack->route("POST", "/mcp"), {}, in);
  EXPECT_EQ(pack->listen(*named, in), nullptr);
}

// ------------------------------------------------------------------------------------------------

const Denial kOver{.code = Errc::over_cap,
                   .reason = "cap_exceeded",
                   .message = "daily cap: 5 usd are left",
                   .resets_at = UnixMillis(1'800'000'000'000),
                   .retry = false};

TEST(McpRefusals, OfAToolAreResultsThatAModelReads) {
  const auto pack = make_mcp_pack(shop());
  const Input in = posted(call_of_tool("create_order", "{}"));
  const Refusal refusal = pack->refusal_of(kOver, in);
  EXPECT_EQ(refusal.head.status, 200);
  EXPECT_EQ(refusal.head.headers.get("content-type").value_or(""), "application/json");
  const auto doc = json::parse(refusal.body);
  ASSERT_TRUE(doc) << refusal.body;
  EXPECT_EQ(doc->root().int64("id").value_or(0), 1);
  const auto result = doc->root().object("result");
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->boolean("isError").value_or(false));
  const std::string text = scalar_at(*result, "content[0].text").value_or("");
  EXPECT_THAT(text, HasSubstr("5 usd are left"));
  EXPECT_THAT(text, HasSubstr(to_rfc3339(*kOver.resets_at)));
  const auto data = result->object("_meta")->object(kRefusalKey);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->string("code").value_or(""), "cap_exceeded");
  EXPECT_FALSE(data->boolean("retry").value_or(true));
}

TEST(McpRefusals, OfOtherMethodsAreErrors) {
  const auto pack = make_mcp_pack(shop());
  const Refusal refusal =
      pack->refusal_of(kOver, posted(R"({"jsonrpc":"2.0","id":"x","method":"tools/list"})"));
  EXPECT_EQ(refusal.head.status, 200);
  const auto doc = json::parse(refusal.body);
  EXPECT_EQ(doc->root().string("id").value_or(""), "x");
  EXPECT_EQ(doc->root().object("error")->int64("code").value_or(0), -32003);
  EXPECT_EQ(doc->root().object("error")->object("data")->string("code").value_or(""),
            "cap_exceeded");
}

TEST(McpRefusals, OfABatchAnswerEachOfIt) {
  const auto pack = make_mcp_pack(shop());
  const Refusal refusal = pack->refusal_of(
      kOver,
      posted(
          R"([{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}},{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"}])"));
  const auto doc = json::parse(refusal.body);
  ASSERT_TRUE(doc && doc->root().is_array());
  EXPECT_EQ(doc->root().size(), 2U);
}

TEST(McpRefusals, OfWhatHasNoIdHaveAStatus) {
  const auto pack = make_mcp_pack(shop());
  for (const char* body :
       {R"({"jsonrpc":"2.0","method":"notifications/initialized"})", "{}", "7"}) {
    const Refusal refusal = pack->refusal_of(kOver, posted(body));
    EXPECT_EQ(refusal.head.status, 403) << body;
    const auto doc = json::parse(refusal.body);
    ASSERT_TRUE(doc);
    EXPECT_TRUE(doc->root().find("id")->is_null());
  }
  Denial key;
  key.code = Errc::key_revoked;
  EXPECT_EQ(pack->refusal_of(key, Input{}).head.status, 401);
}

TEST(McpPointers, AreThoseOfTheStandard) {
  const auto doc = json::parse(R"({"a/b":{"m~n":[10,{"c":true}]},"":5})");
  const auto text = [&](std::string_view pointer) {
    const auto at = at_pointer(doc->root(), pointer);
    return at ? at->to_json() : std::string("none");
  };
  EXPECT_EQ(text("/a~1b/m~0n/0"), "10");
  EXPECT_EQ(text("/a~1b/m~0n/1/c"), "true");
  EXPECT_EQ(text("/"), "5");
  EXPECT_EQ(text(""), doc->root().to_json());
  for (const char* none : {"/a", "/a~1b/m~0n/2", "/a~1b/m~0n/00", "/a~1b/m~0n/-", "/~2", "a", "/~"})
    EXPECT_EQ(text(none), "none") << none;
}

}  // namespace
}  // namespace octroi::vault::mcp
