#include "octroi/pricing/usage.h"

#include <gtest/gtest.h>

namespace octroi::pricing {
namespace {

struct AnswerRow {
  const char* name;
  std::string body;
  std::optional<TokenUsage> usage;
};
class Answers : public testing::TestWithParam<AnswerRow> {};

TEST_P(Answers, tell_what_they_cost_whatever_their_pieces) {
  const AnswerRow& row = GetParam();
  for (std::size_t step = 1; step <= row.body.size() + 1; step += 1 + step / 64) {
    AnswerTokens answer;
    for (std::size_t at = 0; at < row.body.size(); at += step) {
      answer.feed(std::string_view(row.body).substr(at, step));
    }
    ASSERT_EQ(answer.usage(), row.usage) << "in pieces of " << step;
    ASSERT_EQ(answer.tokens(7), row.usage          ? row.usage->total
                                : row.body.empty() ? 0
                                                   : 7 + estimated_tokens(row.body.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    rows, Answers,
    testing::Values(
        AnswerRow{"chat_completion",
                  R"({"id":"chatcmpl-9f","object":"chat.completion","created":1795000000,)"
                  R"("model":"small-1","choices":[{"index":0,"message":{"role":"assistant",)"
                  R"("content":"It is \"usage\": {3} – sunny.","tool_calls":null},)"
                  R"("finish_reason":"stop"}],"usage":{"prompt_tokens":19,)"
                  R"("completion_tokens":10,"total_tokens":29,"prompt_tokens_details":)"
                  R"({"cached_tokens":4}}})",
                  TokenUsage{19, 10, 29}},
        AnswerRow{"embeddings",
                  R"({"object":"list","data":[{"index":0,"embedding":[0.1,-2e-3]}],)"
                  R"("usage":{"prompt_tokens":8,"total_tokens":8}})",
                  TokenUsage{8, 0, 8}},
        AnswerRow{"responses_api",
                  R"({"id":"resp_1","object":"response","output":[{"type":"message",)"
                  R"("content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":36,)"
                  R"("input_tokens_details":{"cached_tokens":0},"output_tokens":87,)"
                  R"("output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}})",
                  TokenUsage{36, 87, 123}},
        AnswerRow{"anthropic",
                  R"({"id":"msg_01","type":"message","role":"assistant","content":[{"type":"text",)"
                  R"("text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":12,)"
                  R"("cache_creation_input_tokens":100,"cache_read_input_tokens":1000,)"
                  R"("output_tokens":6,"service_tier":"standard"}})",
                  TokenUsage{1112, 6, 1118}},
        AnswerRow{"usage_first", R"({"usage":{"total_tokens":5},"text":"a"})", TokenUsage{0, 0, 5}},
        AnswerRow{"total_with_more_than_both",
                  R"({"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":50}})",
                  TokenUsage{5, 5, 50}},
        AnswerRow{"total_too_small",
                  R"({"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":1}})",
                  TokenUsage{5, 5, 10}},
        AnswerRow{"blanks", "\r\n { \"usage\" :\n\t{ \"total_tokens\" : 5 } } \n",
                  TokenUsage{0, 0, 5}},
        AnswerRow{"escaped_key", R"({"us\u0061ge":{"total_tokens":5}})", TokenUsage{0, 0, 5}},
        AnswerRow{"ends_with_a_backslash_in_a_string",
                  R"({"text":"a\\","usage":{"total_tokens":5}})", TokenUsage{0, 0, 5}},
        AnswerRow{"empty", "", std::nullopt}, AnswerRow{"no_usage", R"({"a":1})", std::nullopt},
        AnswerRow{"null", R"({"usage":null})", std::nullopt},
        AnswerRow{"not_an_object", R"({"usage":12})", std::nullopt},
        AnswerRow{"nothing_counted", R"({"usage":{}})", std::nullopt},
        AnswerRow{"zero", R"({"usage":{"prompt_tokens":0,"total_tokens":0}})", std::nullopt},
        AnswerRow{"twice", R"({"usage":{"total_tokens":5},"usage":{"total_tokens":1}})",
                  std::nullopt},
        AnswerRow{"twice_under_another_spelling",
                  R"({"usage":{"total_tokens":5},"\u0075sage":{"total_tokens":1}})", std::nullopt},
        AnswerRow{"counter_twice", R"({"usage":{"total_tokens":5,"total_tokens":1}})",
                  std::nullopt},
        AnswerRow{"negative", R"({"usage":{"prompt_tokens":-5,"completion_tokens":9}})",
                  std::nullopt},
        AnswerRow{"fraction", R"({"usage":{"total_tokens":5.5}})", std::nullopt},
        AnswerRow{"text", R"({"usage":{"total_tokens":"5"}})", std::nullopt},
        AnswerRow{"absurd", R"({"usage":{"total_tokens":18446744073709551615}})", std::nullopt},
        AnswerRow{"deeper", R"({"a":{"usage":{"total_tokens":5}}})", std::nullopt},
        AnswerRow{"in_a_string", R"({"a":"\"usage\":{\"total_tokens\":5}"})", std::nullopt},
        AnswerRow{"in_an_array", R"([{"usage":{"total_tokens":5}}])", std::nullopt},
        AnswerRow{"cut_off_before_its_end", R"({"a":1,"usage":{"total_tokens":5})", std::nullopt},
        AnswerRow{"cut_off_after_it", R"({"usage":{"total_tokens":5},"b":[1,)",
                  TokenUsage{0, 0, 5}},
        AnswerRow{"longer_than_is_kept",
                  R"({"usage":{"x":")" + std::string(20'000, 'x') + R"(","total_tokens":5}})",
                  std::nullopt},
        AnswerRow{"text_and_no_json", "It is sunny.", std::nullopt},
        AnswerRow{"braces_without_order", "}}{{\"usage\":{\"total_tokens\":5}}", std::nullopt}),
    [](const auto& row) { return std::string(row.param.name); });

struct StreamRow {
  const char* name;
  std::vector<std::string> events;
  std::vector<std::uint64_t> tokens;  // after each event, the request being worth 5
};
class Streams : public testing::TestWithParam<StreamRow> {};

TEST_P(Streams, are_estimated_until_they_tell) {
  const StreamRow& row = GetParam();
  ASSERT_EQ(row.events.size(), row.tokens.size());
  StreamTokens stream;
  EXPECT_EQ(stream.tokens(5), 0U) << "nothing came";
  for (std::size_t i = 0; i < row.events.size(); ++i) {
    stream.event(row.events[i]);
    EXPECT_EQ(stream.tokens(5), row.tokens[i]) << "after event " << i;
  }
}

std::string chat(std::string_view delta, std::string_view usage = "null") {
  return R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)" +
         (delta.empty()
              ? std::string()
              : R"({"index":0,"delta":)" + std::string(delta) + R"(,"finish_reason":null})") +
         R"(],"usage":)" + std::string(usage) + "}";
}

INSTANTIATE_TEST_SUITE_P(
    rows, Streams,
    testing::Values(
        StreamRow{
            "chat_with_usage",
            {chat(R"({"role":"assistant","content":""})"), chat(R"({"content":"It"})"),
             chat(R"({"content":" is sunny"})"), chat("{}"),
             chat("", R"({"prompt_tokens":11,"completion_tokens":4,"total_tokens":15})"), "[DONE]"},
            {5, 6, 9, 9, 15, 15}},
        StreamRow{"chat_without_usage",
                  {chat(R"({"content":"It"})"), chat(R"({"content":" is"})"), "[DONE]"},
                  {6, 7, 7}},
        StreamRow{"chat_that_counts_as_it_goes",
                  {chat(R"({"content":"It"})", R"({"prompt_tokens":9,"completion_tokens":1})"),
                   chat(R"({"content":" is"})", R"({"prompt_tokens":9,"completion_tokens":2})"),
                   chat("", R"({"prompt_tokens":9,"completion_tokens":1})")},
                  {10, 11, 11}},
        StreamRow{"chat_with_counters_of_nothing",
                  {chat(R"({"content":"It"})", R"({"prompt_tokens":0,"completion_tokens":0})")},
                  {6}},
        StreamRow{"tool_calls",
                  {chat(R"({"tool_calls":[{"index":0,"id":"call_1","type":"function",)"
                        R"("function":{"name":"weather","arguments":""}}]})"),
                   chat(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":1}"}}]})")},
                  {7, 10}},
        StreamRow{"reasoning", {chat(R"({"reasoning_content":"let me see"})")}, {8}},
        StreamRow{"two_answers_at_once",
                  {R"({"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]})"},
                  {7}},
        StreamRow{
            "completions", {R"({"object":"text_completion","choices":[{"text":"12345"}]})"}, {7}},
        StreamRow{"anthropic",
                  {R"({"type":"message_start","message":{"id":"msg_1","type":"message",)"
                   R"("role":"assistant","content":[],"model":"m","usage":{"input_tokens":25,)"
                   R"("cache_read_input_tokens":100,"output_tokens":1}}})",
                   R"({"type":"content_block_start","index":0,"content_block":{"type":"text",)"
                   R"("text":""}})",
                   R"({"type":"ping"})",
                   R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta",)"
                   R"("text":"Hello"}})",
                   R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta",)"
                   R"("text":"!"}})",
                   R"({"type":"content_block_stop","index":0})",
                   R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
                   R"("usage":{"output_tokens":15}})",
                   R"({"type":"message_stop"})"},
                  {126, 126, 126, 127, 128, 128, 140, 140}},
        StreamRow{"anthropic_cut_off",
                  {R"({"type":"message_start","message":{"usage":{"input_tokens":25,)"
                   R"("output_tokens":1}}})",
                   R"({"type":"content_block_delta","delta":{"type":"thinking_delta",)"
                   R"("thinking":"one two three"}})",
                   R"({"type":"content_block_delta","delta":{"type":"signature_delta",)"
                   R"("signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl"}})",
                   R"({"type":"content_block_delta","delta":{"type":"input_json_delta",)"
                   R"("partial_json":"{\"a\""}})"},
                  {26, 29, 29, 30}},
        StreamRow{"responses_api",
                  {R"({"type":"response.created","response":{"id":"r","usage":null}})",
                   R"({"type":"response.output_text.delta","item_id":"i","delta":"Hello wor"})",
                   R"({"type":"response.output_text.done","text":"Hello wor and all again"})",
                   R"({"type":"response.completed","response":{"id":"r","output":[{"text":"x"}],)"
                   R"("usage":{"input_tokens":37,"output_tokens":11,"total_tokens":48}}})"},
                  {5, 8, 8, 48}},
        StreamRow{"not_json", {"tick 1", "tick 2"}, {7, 9}},
        StreamRow{"of_an_unknown_shape", {R"({"payload":"0123456789"})"}, {11}},
        StreamRow{"an_error", {R"({"type":"error","error":{"message":"overloaded"}})"}, {5}},
        StreamRow{"a_key_twice",
                  {R"({"usage":{"total_tokens":1},"usage":{"total_tokens":2}})"},
                  {5 + 14}},
        StreamRow{"done_alone", {"[DONE]"}, {0}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Streams, are_never_free) {
  StreamTokens stream;
  stream.event("{\"choices\":[]}");
  EXPECT_EQ(stream.tokens(0), 1U);
}

struct RequestRow {
  const char* name;
  std::string body;
  std::uint64_t input;
  std::optional<std::uint64_t> max_output;
  bool stream;
};
class Requests : public testing::TestWithParam<RequestRow> {};
TEST_P(Requests, are_estimated) {
  const RequestRow& row = GetParam();
  const auto estimate = estimate_request(row.body);
  ASSERT_TRUE(estimate);
  EXPECT_EQ(estimate->input, row.input);
  EXPECT_EQ(estimate->max_output, row.max_output);
  EXPECT_EQ(estimate->stream, row.stream);
}
INSTANTIATE_TEST_SUITE_P(
    rows, Requests,
    testing::Values(
        RequestRow{"chat",
                   R"({"model":"m","messages":[{"role":"user","content":"Hello there"}],)"
                   R"("max_tokens":64,"stream":true})",
                   // keys 5+8+4+7+10+6, strings 1+4+11, one number
                   15, 64, true},
        RequestRow{"newer_name", R"({"max_tokens":5,"max_completion_tokens":70})", 10, 70, false},
        RequestRow{"several_answers", R"({"max_output_tokens":10,"n":3})", 7, 30, false},
        RequestRow{"absurd", R"({"max_tokens":1000000000000,"n":1000000000000})", 5,
                   1'000'000'000'000, false},
        RequestRow{"no_number", R"({"max_tokens":"64","stream":"yes"})", 6, std::nullopt, false},
        RequestRow{"a_picture",
                   R"({"a":[")" + std::string(4096, 'A') + R"(","data:image/png;base64,xx"]})", 1,
                   std::nullopt, false},
        RequestRow{"long_text_without_blanks", R"({"a":")" + std::string(400, '.') + R"("})", 101,
                   std::nullopt, false},
        RequestRow{"tokens_as_numbers", R"({"input":[1,2,3,4]})", 6, std::nullopt, false},
        RequestRow{"text", "Hello", 2, std::nullopt, false},
        RequestRow{"nothing", "", 0, std::nullopt, false}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Requests, that_two_readers_could_read_differently_are_refused) {
  for (const char* body :
       {R"({"model":"small","model":"large"})", R"({"max_tokens":1,"m\u0061x_tokens":9})"}) {
    const auto estimate = estimate_request(body);
    ASSERT_FALSE(estimate) << body;
    EXPECT_TRUE(estimate.error().is(json::Errc::duplicate_key)) << body;
  }
}

}  // namespace
}  // namespace octroi::pricing
