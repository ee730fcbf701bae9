#include "octroi/vault/packs/anthropic/anthropic.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"

namespace octroi::vault {
namespace {

using enum policy::AmountState;

Input input(std::string_view json) { return json_request("/v1/messages", json); }
Result<policy::Call> read(std::string_view json) {
  const auto pack = make_anthropic_pack({});
  const Input in = input(json);
  return pack->extract(pack->route("POST", in.path), in);
}

struct AmountRow {
  const char* name;
  const char* body;
  policy::AmountState state;
  std::int64_t at_least;  // dollars, in millionths
  std::int64_t below;
};
class AnthropicAmounts : public ::testing::TestWithParam<AmountRow> {};
TEST_P(AnthropicAmounts, AreBoundedOrSaidToBeUnknown) {
  const auto call = read(GetParam().body);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->direction, policy::Direction::usage);
  EXPECT_EQ(call->amount, GetParam().state);
  ASSERT_EQ(call->usd.has_value(), GetParam().state == known);
  if (!call->usd) return;
  EXPECT_GE(*call->usd, MicroUsd::from_raw_unchecked(GetParam().at_least));
  EXPECT_LT(*call->usd, MicroUsd::from_raw_unchecked(GetParam().below));
}
INSTANTIATE_TEST_SUITE_P(
    All, AnthropicAmounts,
    ::testing::Values(
        AmountRow{"text", R"({"model":"claude-sonnet-4-5","max_tokens":1000,
                              "messages":[{"role":"user","content":"hi"}]})",
                  known, 15'000, 15'400},
        AmountRow{"cached", R"({"model":"claude-sonnet-4-5-20250929","max_tokens":1,"messages":
                   [{"role":"user","content":[{"type":"text","text":"hello",
                     "cache_control":{"type":"ephemeral"}}]}]})",
                  known, 800, 1'000},
        AmountRow{"picture", R"({"model":"claude-sonnet-4-5","max_tokens":1,"messages":
                   [{"role":"user","content":[{"type":"image","source":{"type":"base64",
                     "media_type":"image/png","data":"aaaa"}}]}]})",
                  known, 600'000, 600'100},
        AmountRow{"no_bound_is_the_models", R"({"model":"claude-haiku-4-5","messages":[]})", known,
                  320'000, 320'100},
        AmountRow{"own_tools", R"({"model":"claude-haiku-4-5","max_tokens":1,"messages":[],
                   "tools":[{"name":"f","input_schema":{"type":"object"}},
                            {"type":"bash_20250124","name":"bash"}]})",
                  known, 4'000, 5'000},
        AmountRow{"vendors_tools", R"({"model":"claude-haiku-4-5","max_tokens":1,"messages":[],
                   "tools":[{"type":"web_search_20250305","name":"web_search"}]})",
                  unknown, 0, 0},
        AmountRow{"fast", R"({"model":"claude-haiku-4-5","max_tokens":1,"speed":"fast"})", unknown,
                  0, 0},
        AmountRow{"mcp", R"({"model":"claude-haiku-4-5","max_tokens":1,"mcp_servers":[{}]})",
                  unknown, 0, 0},
        AmountRow{"other_place", R"({"model":"claude-haiku-4-5","inference_geo":"us"})", unknown, 0,
                  0},
        AmountRow{"unknown_model", R"({"model":"claude-99","max_tokens":1})", unknown, 0, 0}),
    [](const auto& row) { return row.param.name; });

TEST(Anthropic, RefusesWhatActsElsewhereOrCostsOtherwise) {
  EXPECT_FALSE(read(R"({"model":"claude-haiku-4-5","max_tokens":1,"workspace_id":"w"})"));
  EXPECT_FALSE(read(R"({"model":"claude-haiku-4-5","max_tokens":"1"})"));
  const auto pack = make_anthropic_pack({});
  const auto header = [&](const char* name, const char* value) {
    http::Headers headers;
    headers.add(name, value);
    return pack->check_headers(headers).has_value();
  };
  EXPECT_FALSE(header("anthropic-beta", "files-api-2025-04-14,context-1m-2025-08-07"));
  EXPECT_FALSE(header("anthropic-beta", "fast-mode-2026-02-01"));
  EXPECT_TRUE(header("anthropic-beta", "interleaved-thinking-2025-05-14"));
  Input in = input(R"({"model":"claude-haiku-4-5","max_tokens":1})");
  in.query = *Form::parse("beta=true");
  EXPECT_TRUE(pack->extract(pack->route("POST", in.path), in));
  in.query = *Form::parse("beta=true&max_tokens=9");
  EXPECT_FALSE(pack->extract(pack->route("POST", in.path), in));
}

TEST(Anthropic, Routes) {
  const auto pack = make_anthropic_pack({});
  EXPECT_EQ(pack->route("POST", "/v1/messages/count_tokens").direction, policy::Direction::read);
  EXPECT_EQ(pack->route("GET", "/v1/models").name, "models.list");
  for (const char* path : {"/v1/messages/batches", "/v1/files", "/v1/organizations/api_keys"})
    EXPECT_EQ(pack->route("POST", path).name, "") << path;
}

TEST(Anthropic, PutsTheKeyWhereItBelongs) {
  const auto pack = make_anthropic_pack({});
  const auto sent = [&](std::string_view real) {
    http::RequestHead head;
    Input in = input("{}");
    const ledger::VaultKey shown;
    const Secret secret(real);
    pack->prepare({head, in, secret, shown, ""});
    return std::pair(std::string(head.headers.get("x-api-key").value_or("")),
                     std::string(head.headers.get("authorization").value_or("")));
  };
  EXPECT_EQ(sent("sk-ant-api03-x"), std::pair(std::string("sk-ant-api03-x"), std::string()));
  EXPECT_EQ(sent("sk-ant-oat01-x"), std::pair(std::string(), std::string("Bearer sk-ant-oat01-x")));
}

TEST(Anthropic, AStreamOfThoughtsIsReadToItsEnd) {
  const auto pack = make_anthropic_pack({});
  const auto listens = [&](std::string_view body) {
    const Input in = input(body);
    return pack->listen(pack->route("POST", in.path), in)->ends_with_agent();
  };
  EXPECT_TRUE(listens(R"({"model":"claude-haiku-4-5","max_tokens":1,"stream":true})"));
  EXPECT_TRUE(
      listens(R"({"model":"claude-haiku-4-5","stream":true,"thinking":{"type":"disabled"}})"));
  EXPECT_FALSE(listens(
      R"({"model":"claude-haiku-4-5","stream":true,"thinking":{"type":"enabled","budget_tokens":1}})"));
  EXPECT_FALSE(listens(R"({"model":"claude-haiku-4-5","max_tokens":1})"));
}

TEST(Anthropic, RefusesInItsWords) {
  Denial denial;
  denial.code = Errc::key_revoked;
  denial.reason = "key_revoked";
  denial.message = "no";
  const Refusal refusal = make_anthropic_pack({})->refusal(denial);
  EXPECT_EQ(refusal.head.status, 401);
  EXPECT_EQ(refusal.head.headers.get("x-should-retry"), "false");
  const auto doc = json::parse(refusal.body);
  EXPECT_EQ(*doc->root().string("type"), "error");
  EXPECT_EQ(*doc->root().object("error")->string("type"), "authentication_error");
}

}  // namespace
}  // namespace octroi::vault
