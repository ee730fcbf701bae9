#include "octroi/pricing/model_prices.h"

#include <gtest/gtest.h>

#include "octroi/pricing/currency.h"

namespace octroi::pricing {
namespace {

ModelPrices prices(std::string fallback = "") {
  return {{{"small", {100_msat, 300_msat}}, {"large", {2000_msat, 8000_msat}}},
          std::move(fallback)};
}
std::string text(std::string_view body, std::string_view fields = "") {
  return fmt::format("POST /v1/chat HTTP/1.1\r\nHost: h\r\n{}\r\n{}", fields, body);
}

TEST(ModelPrices, AnEstimateIsTheTextAndWhatTheModelMayAnswer) {
  struct Row {
    const char* name;
    const char* body;
    std::uint64_t output;
  };
  for (const Row& row : {
           Row{"without a bound", R"({"model":"small"})", 4096},
           Row{"max_tokens", R"({"model":"small","max_tokens":10})", 10},
           Row{"max_completion_tokens", R"({"model":"small","max_completion_tokens":20})", 20},
           Row{"several answers", R"({"model":"small","max_tokens":10,"n":3})", 30},
           Row{"several without a bound", R"({"model":"small","n":2})", 8192},
           Row{"the best of several", R"({"model":"small","max_tokens":10,"n":2,"best_of":5})", 50},
       }) {
    const auto read = prices().read(text(row.body));
    ASSERT_TRUE(read) << row.name;
    EXPECT_EQ(read->model, "small") << row.name;
    EXPECT_EQ(read->estimate.output, row.output) << row.name;
  }
  std::string words;
  for (int i = 0; i < 800; ++i) words += "rain ";
  const auto long_text = prices().read(
      text(R"({"model":"small","messages":[{"role":"user","content":")" + words + R"("}]})"));
  ASSERT_TRUE(long_text);
  EXPECT_GE(long_text->estimate.input, 1000U);
}

TEST(ModelPrices, WhatCouldBeReadAnotherWayIsRefused) {
  struct Row {
    const char* name;
    std::string request;
  };
  for (const Row& row : {
           Row{"two models", text(R"({"model":"small","model":"large"})")},
           Row{"two models, escaped", text(R"({"model":"small","mod\u0065l":"large"})")},
           Row{"two bounds", text(R"({"model":"small","max_tokens":1,"max_tokens":9})")},
           Row{"compressed", text(R"({"model":"small"})", "Content-Encoding: gzip\r\n")},
           Row{"no JSON", text("model=small")},
           Row{"a model that is no text", text(R"({"model":["small"]})")},
           Row{"an unknown model", text(R"({"model":"other"})")},
           Row{"no model", text("{}")},
           Row{"no body", text("")},
           Row{"no number of answers", text(R"({"model":"small","n":"9"})")},
           Row{"too many answers", text(R"({"model":"small","n":1000000})")},
           Row{"no request", "small"},
       }) {
    const auto read = prices().read(row.request);
    EXPECT_TRUE(!read && read.error().is(Errc::no_price)) << row.name;
  }
  EXPECT_EQ(prices("large").read(text(""))->model, "large");
  EXPECT_EQ(prices("large").read(text(R"({"model":"small"})"))->model, "small");
}

TEST(ModelPrices, ACostIsRoundedUpOnce) {
  EXPECT_EQ(*prices().cost("small", {1000, 1000, 2000}), 400_msat);
  EXPECT_EQ(*prices().cost("small", {1, 0, 1}), 1_msat);
  EXPECT_EQ(*prices().cost("small", {5, 5, 10}), 2_msat);
  EXPECT_EQ(*prices().cost("small", {0, 0, 0}), Msat());
  EXPECT_FALSE(prices().cost("other", {1, 1, 2}));
  EXPECT_FALSE(prices().cost("large", {10'000'000'000'000'000ULL, 0, 0}));
  EXPECT_FALSE(prices().cost("large", {~0ULL, 0, 0}));
}

TEST(ModelAnswers, UsageIsFoundAtTheEnd) {
  struct Row {
    const char* name;
    const char* type;
    std::string tail;
    std::optional<TokenUsage> usage;
  };
  const TokenUsage told{120, 380, 500};
  const std::string usage =
      R"("usage":{"prompt_tokens":120,"completion_tokens":380,"total_tokens":500})";
  for (const Row& row : {
           Row{"a whole answer", "application/json", R"({"id":"1",)" + usage + "}", told},
           Row{"the end of one", "application/json", R"(ends here."}}],)" + usage + "}", told},
           Row{"in what the model wrote", "application/json",
               R"({"text":"\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}",)" + usage +
                   "}",
               told},
           Row{"only in what the model wrote", "application/json",
               R"(xt":"\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}"})", std::nullopt},
           Row{"cut off", "application/json", R"({"usage":{"prompt_tokens":120)", std::nullopt},
           Row{"twice in one object", "application/json",
               R"(x,"usage":{"prompt_tokens":1,"prompt_tokens":9,"completion_tokens":1}})",
               std::nullopt},
           Row{"none", "application/json", R"({"id":"1"})", std::nullopt},
           Row{"empty", "", "", std::nullopt},
           Row{"a stream", "text/event-stream; charset=utf-8",
               "ut\":\"x\"}\n\ndata: {\"choices\":[]," + usage + "}\n\ndata: [DONE]\n\n", told},
           Row{"a stream with CR LF", "Text/Event-Stream",
               "data: {" + usage + "}\r\n\r\ndata: [DONE]\r\n\r\n", told},
           Row{"a stream without", "text/event-stream", "data: {\"choices\":[]}\n\n", std::nullopt},
       }) {
    EXPECT_EQ(usage_of_tail(row.type, row.tail), row.usage) << row.name;
  }
}

TEST(ModelAnswers, NothingThatWasDeliveredIsFree) {
  const std::string_view usage = R"({"usage":{"prompt_tokens":1,"completion_tokens":2}})";
  struct Row {
    const char* name;
    ModelAnswer answer;
    Settling by;
  };
  for (const Row& row : {
           Row{"with usage", {200, "application/json", "", usage}, Settling::usage},
           Row{"without", {200, "application/json", "", "{}"}, Settling::estimate},
           Row{"compressed", {200, "application/json", "gzip", usage}, Settling::estimate},
           Row{"cut before its usage",
               {200, "text/event-stream", "", "data: {}\n\n"},
               Settling::estimate},
           Row{"unseen", {499, "", "", ""}, Settling::estimate},
           Row{"an error of the client", {400, "application/json", "", usage}, Settling::nothing},
           Row{"an error of the server", {502, "", "", ""}, Settling::nothing},
           Row{"refused by the gate", {503, "", "", ""}, Settling::nothing},
       }) {
    EXPECT_EQ(settlement_of(row.answer).by, row.by) << row.name;
  }
}

}  // namespace
}  // namespace octroi::pricing
