#include "octroi/vault/packs/openai/openai.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"

namespace octroi::vault {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using enum policy::AmountState;

Result<policy::Call> read(std::string path, std::string_view json, VendorSettings vendor = {}) {
  const auto pack = make_openai_pack(vendor);
  const Input in = json_request(std::move(path), json);
  return pack->extract(pack->route("POST", in.path), in);
}
constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kResponses = "/v1/responses";

TEST(OpenAi, BoundsAChatByItsBytesAndItsLimit) {
  const std::string_view body = R"({"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],)"
                                R"("max_tokens":100})";
  const auto call = read(kChat, body);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->operation, "chat.completions.create");
  EXPECT_EQ(call->direction, policy::Direction::usage);
  EXPECT_EQ(call->amount, known);
  // 2.5 dollars a million bytes, 10 dollars a million tokens; rounded up.
  const auto bytes = static_cast<std::int64_t>(body.size());
  EXPECT_EQ(call->usd, MicroUsd::from_raw_unchecked((bytes * 25 + 9) / 10 + 1000));
  EXPECT_THAT(call->fields, Contains(Pair("model", "gpt-4o")));
  EXPECT_THAT(call->fields, Not(Contains(Pair("messages[0].content", "hi"))));
}

struct AmountRow {
  const char* name;
  const char* path;
  const char* body;
  policy::AmountState state;
  std::int64_t at_least;  // dollars, in millionths
  std::int64_t below;
};
class OpenAiAmounts : public ::testing::TestWithParam<AmountRow> {};
TEST_P(OpenAiAmounts, AreBoundedOrSaidToBeUnknown) {
  const auto call = read(GetParam().path, GetParam().body);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->amount, GetParam().state);
  ASSERT_EQ(call->usd.has_value(), GetParam().state == known);
  if (!call->usd) return;
  EXPECT_GE(*call->usd, MicroUsd::from_raw_unchecked(GetParam().at_least));
  EXPECT_LT(*call->usd, MicroUsd::from_raw_unchecked(GetParam().below));
}
INSTANTIATE_TEST_SUITE_P(
    All, OpenAiAmounts,
    ::testing::Values(
        AmountRow{"no_limit_is_the_models", kChat, R"({"model":"gpt-4o","messages":[]})", known,
                  163'840, 164'100},
        AmountRow{"both_limits_are_the_larger", kChat,
                  R"({"model":"gpt-4o","messages":[],"max_tokens":1,"max_completion_tokens":1000})",
                  known, 10'000, 10'300},
        AmountRow{"several_answers", kChat,
                  R"({"model":"gpt-4o","messages":[],"max_tokens":1000,"n":4})", known, 40'000,
                  40'300},
        AmountRow{"best_of", "/v1/completions",
                  R"({"model":"gpt-3.5-turbo","prompt":"x","max_tokens":1000,"n":1,"best_of":10})",
                  known, 15'000, 15'100},
        AmountRow{"several_prompts", "/v1/completions",
                  R"({"model":"gpt-3.5-turbo","prompt":["x","y","z"],"max_tokens":1000,"n":2})",
                  known, 9'000, 9'100},
        AmountRow{"several_prompts_in_tokens", "/v1/completions",
                  R"({"model":"gpt-3.5-turbo","prompt":[[1,2],[3]],"max_tokens":1000})", known,
                  3'000, 3'100},
        AmountRow{"one_prompt_in_tokens", "/v1/completions",
                  R"({"model":"gpt-3.5-turbo","prompt":[1,2,3],"max_tokens":1000})", known, 1'500,
                  1'600},
        AmountRow{"a_name_of_an_item_is_the_context", kResponses,
                  R"({"model":"gpt-4o","max_output_tokens":1,
                      "input":[{"id":"msg_1"},{"role":"user","content":"go on"}]})",
                  known, 320'000, 320'100},
        AmountRow{"so_is_one_with_its_type", kResponses,
                  R"({"model":"gpt-4o","max_output_tokens":1,
                      "input":[{"type":"item_reference","id":"msg_1"}]})",
                  known, 320'000, 320'100},
        AmountRow{
            "so_is_one_without_one", kResponses,
            R"({"model":"gpt-4o","max_output_tokens":1,"input":[{"type":null,"id":"msg_1"}]})",
            known, 320'000, 320'100},
        AmountRow{"a_thought_that_is_kept_is_the_context", kResponses,
                  R"({"model":"gpt-4o","max_output_tokens":1,
                      "input":[{"type":"reasoning","id":"rs_1","summary":[]}]})",
                  known, 320'000, 320'100},
        AmountRow{"a_thought_that_is_sent_is_its_bytes", kResponses,
                  R"({"model":"gpt-4o","max_output_tokens":1,"input":
                      [{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"abc"}]})",
                  known, 100, 1'000},
        AmountRow{"an_item_that_is_sent_is_its_bytes", kResponses,
                  R"({"model":"gpt-4o","max_output_tokens":1,"input":
                      [{"id":"msg_1","role":"assistant","content":"hello"}]})",
                  known, 100, 1'000},
        AmountRow{"picture_is_the_context", kChat,
                  R"({"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":
                      [{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]})",
                  known, 320'000, 320'100},
        AmountRow{"text_parts", kChat,
                  R"({"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":
                      [{"type":"text","text":"hello"}]}]})",
                  known, 100, 1'000},
        AmountRow{"earlier_answer_is_the_context", kResponses,
                  R"({"model":"gpt-4o","input":"x","max_output_tokens":1,
                      "previous_response_id":"resp_1"})",
                  known, 320'000, 320'100},
        AmountRow{"tools_of_the_agent", kResponses,
                  R"({"model":"gpt-4o","input":"x","max_output_tokens":1,
                      "tools":[{"type":"function","name":"f"}]})",
                  known, 10'000, 11'000},
        AmountRow{"tools_of_the_vendor", kResponses,
                  R"({"model":"gpt-4o","input":"x","tools":[{"type":"web_search"}]})", unknown, 0,
                  0},
        AmountRow{"dear_tier", kChat,
                  R"({"model":"gpt-4o","messages":[],"service_tier":"priority"})", unknown, 0, 0},
        AmountRow{"cheap_tier", kChat, R"({"model":"gpt-4o","messages":[],"service_tier":"flex"})",
                  known, 163'840, 164'200},
        AmountRow{"sound", kChat,
                  R"({"model":"gpt-4o","messages":[],"modalities":["text","audio"]})", unknown, 0,
                  0},
        AmountRow{"unknown_field", kChat, R"({"model":"gpt-4o","messages":[],"turbo":true})",
                  unknown, 0, 0},
        AmountRow{"unknown_model", kChat, R"({"model":"gpt-99","messages":[],"max_tokens":1})",
                  unknown, 0, 0},
        AmountRow{"no_model", kChat, R"({"messages":[],"max_tokens":1})", unknown, 0, 0},
        AmountRow{"embedding", "/v1/embeddings",
                  R"({"model":"text-embedding-3-small","input":["a","b"]})", known, 1, 3},
        AmountRow{"images", "/v1/images/generations", R"({"model":"gpt-image-1","prompt":"x"})",
                  unknown, 0, 0},
        AmountRow{"moderation", "/v1/moderations", R"({"input":"x"})", none, 0, 0},
        AmountRow{"not_known", "/v1/batches", R"({"input_file_id":"f"})", unknown, 0, 0}),
    [](const auto& row) { return row.param.name; });

TEST(OpenAi, RefusesBoundsThatAreNoNumbers) {
  for (const char* field : {R"("max_tokens":"1")", R"("max_tokens":-1)", R"("max_tokens":1.5)",
                            R"("n":1000)", R"("n":"2")"}) {
    const std::string body = std::string(R"({"model":"gpt-4o","messages":[],)") + field + "}";
    const auto call = read(kChat, body);
    ASSERT_FALSE(call) << field;
    EXPECT_TRUE(call.error().is(Errc::ambiguous)) << field;
  }
  EXPECT_FALSE(read(kChat, "[]"));
}

TEST(OpenAi, PricesOfTheConfigurationComeFirst) {
  VendorSettings vendor;
  vendor.prices["local"].input = MicroUsd::from_raw_unchecked(1'000'000);
  vendor.prices["local"].output = MicroUsd::from_raw_unchecked(1'000'000);
  EXPECT_EQ(read(kChat, R"({"model":"local","messages":[]})", vendor)->amount, unknown);
  const auto bounded = read(kChat, R"({"model":"local","messages":[],"max_tokens":10})", vendor);
  EXPECT_EQ(bounded->amount, known);
  // What is elsewhere cannot be bounded without a context.
  const auto picture =
      read(kResponses, R"({"model":"local","input":"x","max_output_tokens":1,"prompt":{"id":"p"}})",
           vendor);
  EXPECT_EQ(picture->amount, unknown);
}

TEST(OpenAi, RoutesAndTakes) {
  const auto pack = make_openai_pack({});
  EXPECT_EQ(pack->route("GET", "/v1/models/gpt-4o").name, "models.retrieve");
  EXPECT_EQ(pack->route("DELETE", "/v1/responses/r").name, "responses.delete");
  for (const char* path : {"/v1/files", "/v1/fine_tuning/jobs", "/v1/batches", "/v1/assistants",
                           "/v1/threads/t/runs", "/v1/organization/admin_api_keys"})
    EXPECT_EQ(pack->route("POST", path).name, "") << path;
  Input in = json_request(kChat, R"({"model":"gpt-4o"})");
  const Operation chat = pack->route("POST", kChat);
  EXPECT_TRUE(pack->takes(chat, in));
  in.body_kind = BodyKind::form;
  EXPECT_FALSE(pack->takes(chat, in));
  in.body_kind = BodyKind::none;
  EXPECT_FALSE(pack->takes(chat, in));
  in.body_kind = BodyKind::json;
  in.query = *Form::parse("model=x");
  EXPECT_FALSE(pack->extract(chat, in));
}

TEST(OpenAi, StaysInItsOrganization) {
  const auto pack = make_openai_pack({});
  for (const char* name : {"OpenAI-Organization", "OpenAI-Project"}) {
    http::Headers headers;
    headers.add(name, "org_1");
    EXPECT_FALSE(pack->check_headers(headers)) << name;
  }
}

TEST(OpenAi, ListensOnlyToWhatCosts) {
  const auto pack = make_openai_pack({});
  const auto listens = [&](std::string path, std::string_view body) {
    const Input in = json_request(std::move(path), body);
    return pack->listen(pack->route("POST", in.path), in);
  };
  EXPECT_TRUE(
      listens(kChat, R"({"model":"gpt-4o","messages":[],"stream":true})")->ends_with_agent());
  EXPECT_FALSE(listens(kChat, R"({"model":"gpt-4o","messages":[]})")->ends_with_agent());
  EXPECT_FALSE(listens(kChat, R"({"model":"o3","messages":[],"stream":true})")->ends_with_agent());
  EXPECT_FALSE(listens(kResponses, R"({"model":"gpt-4o","stream":true,"background":true})")
                   ->ends_with_agent());
  EXPECT_EQ(listens("/v1/moderations", "{}"), nullptr);
}

TEST(OpenAi, RefusesInItsWords) {
  Denial denial;
  denial.code = Errc::over_cap;
  denial.reason = "cap_exceeded";
  denial.message = "the cap is reached";
  const Refusal refusal = make_openai_pack({})->refusal(denial);
  EXPECT_EQ(refusal.head.status, 403);
  EXPECT_EQ(refusal.head.headers.get("x-should-retry"), "false");
  const auto doc = json::parse(refusal.body);
  const auto error = doc->root().object("error");
  EXPECT_EQ(*error->string("code"), "cap_exceeded");
  EXPECT_EQ(*error->string("type"), "permission_error");
}

}  // namespace
}  // namespace octroi::vault
