#include "octroi/adapters/otlp/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/base/log.h"
#include "octroi/base/random.h"
#include "octroi/json/value.h"

namespace octroi::otlp {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Kept final : SpanSink {
  void take(std::unique_ptr<Span> span) noexcept override { spans.push_back(std::move(span)); }
  std::vector<std::unique_ptr<Span>> spans;
};

std::vector<std::unique_ptr<Span>> two_spans() {
  Kept kept;
  SeededRandom random(3);
  Tracer tracer(kept, random, 0);
  auto trace = tracer.begin("00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01", "a=1");
  auto child = trace->child(SpanKind::client, "GET");
  child->set("server.address", "127.0.0.1:80");
  trace->server().name = "GET weather";
  trace->server().set_status(502);
  child->start_ns = trace->server().start_ns = 1'544'712'660'000'000'000;
  trace->finish(std::move(child));
  trace->end();
  for (auto& span : kept.spans) span->end_ns = 1'544'712'661'000'000'000;
  return std::move(kept.spans);
}

// The shape of the protocol's own example of a trace in JSON.
TEST(TracesJson, HasTheShapeOfTheProtocol) {
  const auto spans = two_spans();
  const std::string text = traces_json({{"service.name", "octroi"}}, spans);
  const auto doc = json::parse(text).value();
  const auto resource = *doc.root().array("resourceSpans").value().elements().begin();
  const auto attribute =
      *resource.object("resource").value().array("attributes").value().elements().begin();
  EXPECT_EQ(attribute.string("key").value(), "service.name");
  EXPECT_EQ(attribute.object("value").value().string("stringValue").value(), "octroi");
  const auto scope = *resource.array("scopeSpans").value().elements().begin();
  EXPECT_EQ(scope.object("scope").value().string("name").value(), "octroi");
  std::vector<json::Value> made;
  for (const auto& span : scope.array("spans").value().elements()) made.push_back(span);
  ASSERT_EQ(made.size(), 2U);
  const json::Value& client = made[0];
  const json::Value& server = made[1];
  EXPECT_EQ(server.string("traceId").value(), "5b8efff798038103d269b633813fc60c");
  EXPECT_EQ(server.string("parentSpanId").value(), "eee19b7ec3c1b174");
  EXPECT_EQ(server.string("spanId").value().size(), 16U);
  EXPECT_EQ(server.string("traceState").value(), "a=1");
  EXPECT_EQ(server.string("name").value(), "GET weather");
  EXPECT_EQ(server.int64("kind").value(), 2);
  EXPECT_EQ(server.int64("flags").value(), 0x301);
  EXPECT_EQ(server.string("startTimeUnixNano").value(), "1544712660000000000");
  EXPECT_EQ(server.string("endTimeUnixNano").value(), "1544712661000000000");
  EXPECT_EQ(server.object("status").value().int64("code").value(), 2);
  EXPECT_EQ(client.int64("kind").value(), 3);
  EXPECT_EQ(client.int64("flags").value(), 0x101);
  EXPECT_EQ(client.string("parentSpanId").value(), server.string("spanId").value());
  EXPECT_FALSE(client.object("status").value().find("code"));
  EXPECT_THAT(text, HasSubstr(R"({"key":"http.response.status_code","value":{"intValue":"502"}})"));
}

TEST(TracesJson, TextsAreRedacted) {
  constexpr std::string_view kSecret = "a-secret-that-was-loaded-0123456789";
  redactor().add_text(kSecret);
  auto spans = two_spans();
  spans[0]->set("url.path", "/bot" + std::string(kSecret) + "/send");
  spans[0]->name = "GET " + std::string(kSecret);
  spans[0]->tracestate = "a=" + std::string(kSecret);
  const std::string text = traces_json({}, spans);
  EXPECT_THAT(text, Not(HasSubstr(std::string(kSecret))));
  EXPECT_TRUE(json::parse(text));
}

TEST(TracesJson, WhateverBytesAreThereIsJson) {
  auto spans = two_spans();
  spans[0]->set("url.path", std::string_view("/\xff\x00\"\\\n\xf0\x9f", 8));
  EXPECT_TRUE(json::parse(traces_json({}, spans)));
}

TEST(MetricsJson, SumsGaugesAndHistograms) {
  MetricRegistry registry;
  registry.counter("octroi_sent_bytes_total", "Bytes.", {{"service", "weather"}}).add(1LL << 60);
  registry.gauge("octroi_depth", "Depth.").set(-3);
  auto& h = registry.histogram("octroi_latency_seconds", "Latency.");
  h.observe_micros(100);
  h.observe_micros(260);
  h.observe_micros(99'000'000);
  const auto texts = metrics_json({{"service.name", "octroi"}}, registry.snapshot(), 5, 7, 100);
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_TRUE(json::parse(texts[0]));
  EXPECT_THAT(texts[0],
              HasSubstr(R"("name":"octroi_sent_bytes_total","description":"Bytes.","unit":"By",)"
                        R"("sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[)"
                        R"({"attributes":[{"key":"service","value":{"stringValue":"weather"}}],)"
                        R"("startTimeUnixNano":"5","timeUnixNano":"7",)"
                        R"("asInt":"1152921504606846976"}]})"));
  EXPECT_THAT(texts[0], HasSubstr(R"("gauge":{"dataPoints":[{"attributes":[],"timeUnixNano":"7",)"
                                  R"("asInt":"-3"}]})"));
  EXPECT_THAT(texts[0],
              HasSubstr(R"("count":"3","sum":99.000360,"bucketCounts":["1","0","1","0","0","0",)"
                        R"("0","0","0","0","0","0","0","0","1"],"explicitBounds":[0.000100,)"));
  EXPECT_THAT(texts[0], HasSubstr("30.000000]"));
}

TEST(MetricsJson, LargeRegistriesGoInPieces) {
  MetricRegistry registry;
  for (int i = 0; i < 25; ++i)
    registry.counter("octroi_a_total", "A.", {{"n", std::to_string(i)}}).add();
  registry.counter("octroi_b_total", "B.").add();
  const auto texts = metrics_json({}, registry.snapshot(), 1, 2, 10);
  ASSERT_EQ(texts.size(), 3U);
  std::size_t points = 0;
  for (const auto& text : texts) {
    ASSERT_TRUE(json::parse(text));
    for (std::size_t at = text.find("asInt"); at != std::string::npos;
         at = text.find("asInt", at + 1))
      ++points;
  }
  EXPECT_EQ(points, 26U);
  EXPECT_TRUE(metrics_json({}, {}, 1, 2, 10).empty());
}

TEST(Answer, Rejected) {
  EXPECT_EQ(rejected_in(""), 0);
  EXPECT_EQ(rejected_in("{}"), 0);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{}})"), 0);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}})"), 3);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{"rejectedSpans":3}})"), 3);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{"rejectedDataPoints":"4"}})"), 4);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{"rejectedSpans":"-3"}})"), 0);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":{"rejectedSpans":"3x"}})"), 0);
  EXPECT_EQ(rejected_in(R"({"partialSuccess":[]})"), 0);
  EXPECT_EQ(rejected_in("<html>"), 0);
}

TEST(Answer, RetryAfter) {
  EXPECT_EQ(pause_of("0"), Millis(0));
  EXPECT_EQ(pause_of("7"), Millis(7'000));
  EXPECT_EQ(pause_of("61"), kLongestPause);
  EXPECT_EQ(pause_of("99999999999999999999999"), kLongestPause);
  for (const char* bad : {"", "-1", "1.5", "+1", " 1", "Fri, 31 Dec 1999 23:59:59 GMT"})
    EXPECT_EQ(pause_of(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace octroi::otlp
