#include <gmock/gmock.h>

#include "octroi/vault/packs/anthropic/anthropic.h"
#include "octroi/vault/packs/llm/reader.h"
#include "octroi/vault/packs/openai/openai.h"

namespace octroi::vault::llm {
namespace {

MicroUsd micro(std::int64_t n) { return MicroUsd::from_raw_unchecked(n); }

std::optional<Tokens> tokens(std::string_view usage) {
  const auto document = json::parse(usage);
  return read_tokens(document->root());
}

struct UsageRow {
  const char* name;
  const char* usage;
  std::optional<Tokens> tokens;
};
class Usages : public ::testing::TestWithParam<UsageRow> {};
TEST_P(Usages, AreReadByTheirKinds) { EXPECT_EQ(tokens(GetParam().usage), GetParam().tokens); }
INSTANTIATE_TEST_SUITE_P(
    All, Usages,
    ::testing::Values(
        UsageRow{"chat", R"({"prompt_tokens":10,"completion_tokens":3,"total_tokens":13})",
                 Tokens{.input = 10, .output = 3}},
        UsageRow{"chat_cached",
                 R"({"prompt_tokens":10,"completion_tokens":3,
                     "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":5}})",
                 Tokens{.input = 1, .cached = 4, .cache_write_long = 5, .output = 3}},
        UsageRow{"response",
                 R"({"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":0,
                     "cache_write_tokens":6,"cache_write_tokens_details":
                     {"ttl_30m_tokens":2,"ttl_12h_tokens":4}}})",
                 Tokens{.input = 3, .cache_write = 2, .cache_write_long = 4, .output = 2}},
        UsageRow{"message",
                 R"({"input_tokens":5,"output_tokens":7,"cache_creation_input_tokens":30,
                     "cache_read_input_tokens":11,"cache_creation":{"ephemeral_5m_input_tokens":10,
                     "ephemeral_1h_input_tokens":20},"server_tool_use":{"web_search_requests":2}})",
                 Tokens{.input = 5,
                        .cached = 11,
                        .cache_write = 10,
                        .cache_write_long = 20,
                        .output = 7,
                        .searches = 2}},
        UsageRow{"message_without_parts",
                 R"({"input_tokens":5,"output_tokens":7,"cache_creation_input_tokens":30})",
                 Tokens{.input = 5, .cache_write_long = 30, .output = 7}},
        UsageRow{"total_says_more",
                 R"({"prompt_tokens":10,"completion_tokens":3,"total_tokens":20})",
                 Tokens{.input = 10, .output = 10}},
        UsageRow{"negative", R"({"prompt_tokens":10,"completion_tokens":-3})", std::nullopt},
        UsageRow{"fraction", R"({"prompt_tokens":1.5,"completion_tokens":3})", std::nullopt},
        UsageRow{"text", R"({"prompt_tokens":"10","completion_tokens":3})", std::nullopt},
        UsageRow{"absurd", R"({"prompt_tokens":10000000000,"completion_tokens":3})", std::nullopt},
        UsageRow{"nothing", R"({})", std::nullopt}),
    [](const auto& row) { return row.param.name; });

TEST(Prices, RoundUpAndKnowLongPrompts) {
  const PriceTable table(anthropic::prices(), {});
  const ModelPrice* haiku = table.find("claude-haiku-5-5");
  ASSERT_NE(haiku, nullptr);
  EXPECT_EQ(*haiku->cost({.input = 1}), micro(1));  // a tenth of a millionth
  EXPECT_EQ(*haiku->cost({.input = 100'000}), micro(10'000));
  EXPECT_EQ(*haiku->cost({.input = 100'000, .output = 10}), micro(10'005));
  EXPECT_EQ(*haiku->cost({.input = 100'001}), micro(50'001));  // all of it at five times the price
  EXPECT_EQ(*haiku->cost({.input = 60'000, .cached = 60'000}), micro(30'000 + 3'000));
  const ModelPrice* sonnet = table.find("claude-sonnet-4-5");
  EXPECT_EQ(*sonnet->cost({.cache_write = 1000}), micro(3750));
  EXPECT_EQ(*sonnet->cost({.cache_write_long = 1000}), micro(6000));
  EXPECT_EQ(*sonnet->most(1'000, 1'000, false), micro(18'000));
  EXPECT_EQ(*sonnet->most(1'000, 1'000, true), micro(21'000));
  EXPECT_EQ(*sonnet->most(9'000'000, 0, false), micro(600'000));  // no more than its context
}

TEST(Prices, StandForDatedEditionsAndTheConfigurationComesFirst) {
  std::map<std::string, ModelPriceSettings> own;
  own["gpt-4o"].input = micro(1);
  own["gpt-4o"].output = micro(2);
  own["local"].input = micro(3);
  own["local"].output = micro(4);
  const PriceTable table(openai::prices(), own);
  EXPECT_EQ(table.find("gpt-4o")->input, micro(1));
  EXPECT_EQ(table.find("gpt-4o-2024-11-20"), table.find("gpt-4o"));
  EXPECT_EQ(table.find("gpt-4o-2024-05-13")->input, micro(5'000'000));
  EXPECT_EQ(table.find("local")->output, micro(4));
  for (const char* unknown : {"", "gpt-4o-", "gpt-4o-latest", "gpt-4o-mini-audio", "GPT-4o",
                              "ft:gpt-4o:me", "gpt-4o-2024-11-2x", "local-20"})
    EXPECT_EQ(table.find(unknown), nullptr) << unknown;
  EXPECT_NE(PriceTable(anthropic::prices(), {}).find("claude-sonnet-4-5-20250929"), nullptr);
}

TEST(Prices, EveryRowMakesSense) {
  for (const auto rows : {openai::prices(), anthropic::prices()}) {
    for (const Row& row : rows) {
      EXPECT_GT(row.input, 0) << row.model;
      EXPECT_LE(row.cached, row.input) << row.model;
      EXPECT_GE(row.write, 100) << row.model;
      EXPECT_GE(row.write_long, row.write) << row.model;
      EXPECT_GT(row.context, 0) << row.model;
      EXPECT_EQ(row.output == 0, row.max_output == 0) << row.model;
    }
  }
}

// --- answers

const ModelPrice& sonnet() {
  static const PriceTable kTable(anthropic::prices(), {});
  return *kTable.find("claude-sonnet-4-5");  // 3 and 15 dollars
}

Outcome hear(const Listening& about, int status, const char* type, std::string_view body,
             bool whole, std::size_t piece = 7) {
  UsageReader reader(about);
  http::Headers headers;
  headers.add("Content-Type", type);
  headers.add("x-request-id", "req_1");
  reader.begin(status, headers);
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size())))
    reader.read(body.substr(0, piece));
  return reader.outcome(whole);
}
constexpr const char* kJson = "application/json";
constexpr const char* kEvents = "text/event-stream; charset=utf-8";

TEST(Reader, SettlesAWholeAnswerByItsUsageHoweverLong) {
  Listening about{.price = &sonnet(), .input = 500};
  std::string body = R"({"id":"msg_1","content":[{"text":")" + std::string(700'000, 'x') +
                     R"("}],"usage":{"input_tokens":100,"output_tokens":10}})";
  const Outcome out = hear(about, 200, kJson, body, true, 60'000);
  EXPECT_EQ(out.state, Outcome::State::done);
  EXPECT_EQ(out.usd, micro(450));
  EXPECT_EQ(out.object, "msg_1");
  EXPECT_EQ(out.request_id, "req_1");
  // Without it, or before it came: what was set aside.
  EXPECT_EQ(hear(about, 200, kJson, R"({"id":"x"})", true).usd, std::nullopt);
  EXPECT_EQ(hear(about, 200, kJson, body.substr(0, 600'000), false, 60'000).usd, std::nullopt);
}

TEST(Reader, KnowsWhichFailuresCostNothing) {
  const Listening about{.price = &sonnet(), .input = 1};
  for (const int status : {400, 401, 404, 429, 503, 529})
    EXPECT_EQ(hear(about, status, kJson, "{}", true).state, Outcome::State::refused) << status;
  for (const int status : {408, 500, 502, 504})
    EXPECT_EQ(hear(about, status, kJson, "{}", true).state, Outcome::State::unknown) << status;
}

constexpr std::string_view kMessage =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_2","usage":{"input_tokens":100,)"
    R"("cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"12345678"}})"
    "\n\n";

TEST(Reader, SettlesAStreamByItsLastUsage) {
  const Listening about{.price = &sonnet(), .input = 900, .stream = true};
  const std::string whole = std::string(kMessage) +
                            "event: message_delta\n"
                            R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
                            R"("usage":{"output_tokens":20}})"
                            "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  for (const std::size_t piece : {1UL, 7UL, 100'000UL}) {
    const Outcome out = hear(about, 200, kEvents, whole, true, piece);
    EXPECT_EQ(out.usd, micro(100 * 3 + 20 * 15));
    EXPECT_EQ(out.object, "msg_2");
  }
}

TEST(Reader, ACutStreamCostsWhatWasDelivered) {
  Listening about{.price = &sonnet(), .input = 900, .stream = true};
  EXPECT_EQ(hear(about, 200, kEvents, kMessage, false).usd, micro(100 * 3 + 2 * 15));
  const std::string_view chat =
      "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"12345678\"}}]}\n\n"
      "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"1\"}}]}\n\n";
  EXPECT_EQ(hear(about, 200, kEvents, chat, false).usd, micro(900 * 3 + 3 * 15));
  // Its own usage, where the agent asked for it.
  const std::string told = std::string(chat) +
                           "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,"
                           "\"completion_tokens\":2,\"total_tokens\":7}}\n\ndata: [DONE]\n\n";
  EXPECT_EQ(hear(about, 200, kEvents, told, true).usd, micro(5 * 3 + 2 * 15));
  // Thoughts are not in the answer: nobody can count them.
  about.countable = false;
  EXPECT_EQ(hear(about, 200, kEvents, kMessage, false).usd, std::nullopt);
  EXPECT_FALSE(UsageReader(about).ends_with_agent());
  about.countable = true;
  EXPECT_TRUE(UsageReader(about).ends_with_agent());
  about.stream = false;
  EXPECT_FALSE(UsageReader(about).ends_with_agent());
}

TEST(Reader, ReadsTheEventsOfResponses) {
  const Listening about{.price = &sonnet(), .input = 900, .stream = true};
  const std::string_view events =
      "event: response.created\n"
      R"(data: {"type":"response.created","response":{"id":"resp_1","usage":null}})"
      "\n\nevent: response.output_text.delta\n"
      R"(data: {"type":"response.output_text.delta","delta":"hello"})"
      "\n\nevent: response.completed\n"
      R"(data: {"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":7,)"
      R"("output_tokens":3,"total_tokens":10}}})"
      "\n\n";
  const Outcome out = hear(about, 200, kEvents, events, true);
  EXPECT_EQ(out.object, "resp_1");
  EXPECT_EQ(out.usd, micro(7 * 3 + 3 * 15));
}

TEST(Reader, WithoutAPriceItCostsWhatWasAssumed) {
  const Outcome out =
      hear({}, 200, kJson, R"({"usage":{"input_tokens":7,"output_tokens":3}})", true);
  EXPECT_EQ(out.state, Outcome::State::done);
  EXPECT_EQ(out.usd, std::nullopt);
}

}  // namespace
}  // namespace octroi::vault::llm
