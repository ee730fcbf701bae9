#include "octroi/adapters/otlp/exporter.h"

#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/http/server.h"
#include "octroi/json/value.h"
#include "octroi/net/run_until.h"

namespace octroi::otlp {
namespace {

using testing::HasSubstr;

std::size_t count_of(std::string_view text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
    ++n;
  return n;
}

/// A collector on the test's own loop.
struct Collector {
  struct Got {
    std::string path;
    std::string content_type;
    std::string token;
    std::string body;
  };
  struct Reply {
    int status = 200;
    std::string retry_after;
    std::string body = "{}";
  };

  explicit Collector(net::Loop& loop) {
    http::ServerConfig config;
    config.listen = net::Endpoint::parse("127.0.0.1:0").value();
    server = http::listen(loop, std::move(config), [this](http::Exchange& e) {
               return serve(this, &e);
             }).value();
  }
  static Task<void> serve(Collector* self, http::Exchange* exchange) {
    const auto& head = exchange->request();
    Got got{head.target, std::string(head.headers.get("Content-Type").value_or("")),
            std::string(head.headers.get("Authorization").value_or("")), ""};
    auto body = co_await http::read_all(exchange->body(), 64U << 20);
    got.body = std::move(*body);
    const bool traces = got.path.ends_with("/v1/traces");
    self->got.push_back(std::move(got));
    Reply reply;
    if (traces && !self->replies.empty()) {
      reply = self->replies.front();
      self->replies.pop_front();
    }
    http::ResponseHead out;
    out.status = reply.status;
    if (!reply.retry_after.empty()) out.headers.set("Retry-After", reply.retry_after);
    std::ignore = co_await exchange->respond(std::move(out), reply.body);
  }
  [[nodiscard]] std::vector<std::size_t> batches() const {
    std::vector<std::size_t> out;
    for (const Got& one : got) {
      if (one.path.ends_with("/v1/traces")) out.push_back(count_of(one.body, "\"traceId\""));
    }
    return out;
  }
  [[nodiscard]] std::size_t metrics() const {
    return static_cast<std::size_t>(std::count_if(
        got.begin(), got.end(), [](const Got& one) { return one.path.ends_with("/v1/metrics"); }));
  }
  [[nodiscard]] std::string url() const { return "http://" + server->local().str(); }

  std::deque<Reply> replies;  // to traces; then 200
  std::vector<Got> got;
  std::unique_ptr<http::Server> server;
};

struct Exporting : testing::Test {
  net::Loop loop;
  MetricRegistry registry;
  Counter& dropped = registry.counter("octroi_otlp_dropped_total", "Spans that nobody will see.",
                                      {{"reason", "queue"}});
  SpanQueue queue{2'000, dropped};
  std::unique_ptr<Exporter> exporter;

  void make(std::string url, Millis interval = Millis(60'000)) {
    ExporterOptions options;
    options.url = std::move(url);
    options.headers.emplace_back("Authorization",
                                 std::make_shared<const Secret>(std::string_view("Bearer tok")));
    options.resource = {{"service.name", "octroi"}};
    options.interval = interval;
    exporter = Exporter::make(loop, std::move(options), queue, registry).value();
  }
  void put(int n) {
    for (int i = 0; i < n; ++i) {
      auto span = std::make_unique<Span>();
      span->trace[0] = span->id[0] = 1;
      span->name = "GET";
      queue.take(std::move(span));
    }
  }
  std::int64_t lost(const char* reason) {
    return registry
        .counter("octroi_otlp_dropped_total", "Spans that nobody will see.", {{"reason", reason}})
        .value();
  }
  std::int64_t sent() {
    return registry.counter("octroi_otlp_spans_total", "Spans that the collector took.").value();
  }
  /// Runs the exporter until `done`, for as long as that takes.
  template <class Done>
  void run_while_not(Done done) {
    TaskGroup group;
    group.start(exporter->run());
    net::run_until(loop, wait_for(&loop, std::move(done)));
  }
  template <class Done>
  static Task<void> wait_for(net::Loop* loop, Done done) {
    while (!done()) co_await loop->sleep(Millis(10));
  }
};

TEST_F(Exporting, SendsWhatComes) {
  Collector collector(loop);
  make(collector.url() + "/otlp/", Millis(300));
  put(3);
  run_while_not([&] { return queue.held() == 0 && collector.metrics() > 0; });
  const auto& first = collector.got.front();
  EXPECT_TRUE(first.path == "/otlp/v1/traces" || first.path == "/otlp/v1/metrics") << first.path;
  EXPECT_EQ(first.content_type, "application/json");
  EXPECT_EQ(first.token, "Bearer tok");
  EXPECT_EQ(collector.batches(), std::vector<std::size_t>{3});
  EXPECT_EQ(sent(), 3);
}

TEST_F(Exporting, FullBatchesDoNotWait) {
  Collector collector(loop);
  make(collector.url());
  put(1'200);
  run_while_not([&] { return queue.held() == 0; });
  EXPECT_EQ(collector.batches(), (std::vector<std::size_t>{512, 512, 176}));
}

TEST_F(Exporting, WhatIsNotTakenNowIsSentAgain) {
  Collector collector(loop);
  for (const int status : {429, 502, 503, 504}) collector.replies.push_back({status, "0", ""});
  make(collector.url(), Millis(100));
  put(2);
  run_while_not([&] { return queue.held() == 0; });
  EXPECT_EQ(collector.batches(), (std::vector<std::size_t>{2, 2, 2, 2, 2}));
  EXPECT_EQ(sent(), 2);
  EXPECT_EQ(lost("failed"), 0);
}

TEST_F(Exporting, NotForEver) {
  Collector collector(loop);
  for (int i = 0; i < Exporter::kAttempts; ++i) collector.replies.push_back({503, "0", ""});
  make(collector.url(), Millis(100));
  put(2);
  run_while_not([&] { return queue.held() == 0; });
  EXPECT_EQ(collector.batches().size(), static_cast<std::size_t>(Exporter::kAttempts));
  EXPECT_EQ(lost("failed"), 2);
  EXPECT_EQ(sent(), 0);
}

TEST_F(Exporting, WhatIsRefusedIsDropped) {
  Collector collector(loop);
  collector.replies.push_back({400, "", "bad"});
  collector.replies.push_back({302, "", ""});
  make(collector.url());
  put(1'024);
  run_while_not([&] { return queue.held() == 0; });
  EXPECT_EQ(collector.batches().size(), 2U);
  EXPECT_EQ(lost("refused"), 1'024);
}

TEST_F(Exporting, WhatIsTakenInPartIsCounted) {
  Collector collector(loop);
  collector.replies.push_back({200, "", R"({"partialSuccess":{"rejectedSpans":"5"}})"});
  make(collector.url(), Millis(100));
  put(7);
  run_while_not([&] { return queue.held() == 0; });
  EXPECT_EQ(sent(), 2);
  EXPECT_EQ(lost("rejected"), 5);
}

TEST_F(Exporting, WithoutACollectorMemoryIsBounded) {
  make("http://127.0.0.1:1", Millis(100));
  put(5'000);
  EXPECT_EQ(queue.held(), 2'000U);
  EXPECT_EQ(dropped.value(), 3'000);
  auto& later = registry.counter("octroi_otlp_requests_total",
                                 "Messages to the collector by signal and outcome.",
                                 {{"outcome", "later"}, {"signal", "traces"}});
  run_while_not([&] { return later.value() > 0; });
  put(10);
  EXPECT_EQ(queue.held(), 2'000U);
  EXPECT_EQ(dropped.value(), 3'010);
}

TEST_F(Exporting, TheLastWords) {
  Collector collector(loop);
  make(collector.url());
  put(600);
  net::run_until(loop, exporter->flush(Millis(30'000)));
  EXPECT_EQ(collector.batches(), (std::vector<std::size_t>{512, 88}));
  EXPECT_EQ(collector.metrics(), 1U);
  EXPECT_THAT(collector.got.back().body, HasSubstr("octroi_otlp_spans_total"));
  EXPECT_EQ(queue.held(), 0U);
}

TEST_F(Exporting, LastWordsToNobody) {
  make("http://127.0.0.1:1");
  put(600);
  net::run_until(loop, exporter->flush(Millis(30'000)));
  EXPECT_EQ(queue.held(), 0U);
  EXPECT_EQ(lost("stopped"), 600);
}

TEST(Exporter, AnAddressThatIsNone) {
  net::Loop loop;
  MetricRegistry registry;
  Counter dropped;
  SpanQueue queue(1, dropped);
  ExporterOptions options;
  options.url = "collector:4318";
  EXPECT_FALSE(Exporter::make(loop, options, queue, registry));
  options.url = "https://collector:4318";
  options.ca_pem = "no certificate";
  EXPECT_FALSE(Exporter::make(loop, options, queue, registry));
}

}  // namespace
}  // namespace octroi::otlp
