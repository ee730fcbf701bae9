#include "octroi/base/metrics.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace octroi {
namespace {

using testing::HasSubstr;

TEST(Metrics, ExposesInTextFormat) {
  MetricRegistry registry;
  registry.counter("octroi_requests_total", "Requests.", {{"service", "weather"}, {"code", "200"}})
      .add(3);
  registry.counter("octroi_requests_total", "Requests.", {{"service", "api"}, {"code", "402"}})
      .add();
  registry.gauge("octroi_pool_depth", "Invoices\nwaiting \\ ready.").set(-2);
  EXPECT_EQ(registry.exposition(),
            "# HELP octroi_pool_depth Invoices\\nwaiting \\\\ ready.\n"
            "# TYPE octroi_pool_depth gauge\n"
            "octroi_pool_depth -2\n"
            "# HELP octroi_requests_total Requests.\n"
            "# TYPE octroi_requests_total counter\n"
            "octroi_requests_total{code=\"200\",service=\"weather\"} 3\n"
            "octroi_requests_total{code=\"402\",service=\"api\"} 1\n");
}

TEST(Metrics, SnapshotIsWhatIsExposed) {
  MetricRegistry registry;
  registry.counter("octroi_b_total", "B.", {{"z", "a\\b\"c\nd,e=\"f"}, {"a", ""}}).add(3);
  registry.counter("octroi_b_total", "B.").add(1);
  registry.counter("octroi_b_total", "B.", {{"a", "hidden"}}).add(1);
  registry.hide("octroi_b_total", {{"a", "hidden"}});
  registry.gauge("octroi_a", "A.").set(-2);
  registry.histogram("octroi_c_seconds", "C.").observe_micros(300);
  const auto all = registry.snapshot();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].name, "octroi_a");
  EXPECT_EQ(all[0].type, MetricType::gauge);
  EXPECT_EQ(all[0].points.at(0).value, -2);
  EXPECT_EQ(all[1].help, "B.");
  ASSERT_EQ(all[1].points.size(), 2U);
  EXPECT_TRUE(all[1].points[0].labels.empty());
  EXPECT_EQ(all[1].points[1].labels, (Labels{{"a", ""}, {"z", "a\\b\"c\nd,e=\"f"}}));
  EXPECT_EQ(all[1].points[1].value, 3);
  EXPECT_EQ(all[2].type, MetricType::histogram);
  EXPECT_EQ(all[2].points.at(0).histogram.buckets[2], 1);
  EXPECT_EQ(all[2].points.at(0).histogram.sum_micros, 300);
}

TEST(Metrics, EscapesLabelValues) {
  MetricRegistry registry;
  registry.gauge("g", "h", {{"l", "a\"b\\c\nd"}}).set(1);
  EXPECT_THAT(registry.exposition(), HasSubstr("g{l=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST(Metrics, SameNameAndLabelsIsTheSameCell) {
  MetricRegistry registry;
  Counter& a = registry.counter("c", "h", {{"x", "1"}, {"y", "2"}});
  Counter& b = registry.counter("c", "h", {{"y", "2"}, {"x", "1"}});
  EXPECT_EQ(&a, &b);
  EXPECT_NE(&a, &registry.counter("c", "h", {{"x", "2"}, {"y", "2"}}));
}

TEST(Metrics, ANumberIsGivenAgainWithEmptyCells) {
  std::vector<std::thread> threads;
  {
    std::vector<std::unique_ptr<Counter>> many;
    for (int i = 0; i < 2000; ++i) many.push_back(std::make_unique<Counter>());
    for (int t = 0; t < 20; ++t) {  // more threads than shards
      threads.emplace_back([&many] {
        for (auto& counter : many) counter->add(2);
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& counter : many) EXPECT_EQ(counter->value(), 40);
  }
  std::vector<std::unique_ptr<Counter>> again;
  for (int i = 0; i < 2000; ++i) {
    again.push_back(std::make_unique<Counter>());
    EXPECT_EQ(again.back()->value(), 0);
  }
}

TEST(MetricsDeathTest, OneNameHasOneType) {
  MetricRegistry registry;
  registry.counter("c", "h");
  EXPECT_DEATH(registry.gauge("c", "h"), "registered twice");
}

TEST(Metrics, HistogramIsCumulativeAndInSeconds) {
  MetricRegistry registry;
  Histogram& h = registry.histogram("octroi_latency_seconds", "Latency.", {{"s", "a"}});
  for (const std::int64_t micros : {0L, 100L, 101L, 30'000'000L, 30'000'001L, -5L})
    h.observe_micros(micros);
  const std::string text = registry.exposition();
  EXPECT_THAT(text, HasSubstr("# TYPE octroi_latency_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_bucket{s=\"a\",le=\"0.0001\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_bucket{s=\"a\",le=\"0.00025\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_bucket{s=\"a\",le=\"30\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_bucket{s=\"a\",le=\"+Inf\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_sum{s=\"a\"} 60.000202\n"));
  EXPECT_THAT(text, HasSubstr("octroi_latency_seconds_count{s=\"a\"} 6\n"));
  EXPECT_EQ(h.snapshot().buckets.back(), 1);
}

TEST(Metrics, HistogramWithoutLabels) {
  MetricRegistry registry;
  registry.histogram("h", "H.").observe_micros(1'000'000);
  const std::string text = registry.exposition();
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("h_sum 1\nh_count 1\n"));
}

TEST(Metrics, HiddenUntilAskedForAgain) {
  MetricRegistry registry;
  Gauge& gauge = registry.gauge("g", "h", {{"a", "1"}});
  registry.gauge("g", "h", {{"a", "2"}}).set(2);
  gauge.set(1);
  registry.hide("g", {{"a", "1"}});
  registry.hide("g", {{"a", "3"}});
  registry.hide("other", {});
  EXPECT_THAT(registry.exposition(), Not(HasSubstr("a=\"1\"")));
  EXPECT_THAT(registry.exposition(), HasSubstr("g{a=\"2\"} 2\n"));
  gauge.set(5);  // whoever still holds it may go on
  EXPECT_EQ(&registry.gauge("g", "h", {{"a", "1"}}), &gauge);
  EXPECT_THAT(registry.exposition(), HasSubstr("g{a=\"1\"} 5\n"));
}

TEST(Metrics, ThreadsLoseNothing) {
  MetricRegistry registry;
  Counter& counter = registry.counter("c", "h");
  Gauge& gauge = registry.gauge("g", "h");
  Histogram& histogram = registry.histogram("h", "h");
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        counter.add();
        gauge.add(i % 2 == 0 ? 1 : -1);
        histogram.observe_micros(i);
        if (i % 1000 == 0) registry.counter("c", "h").add(0);
      }
    });
  }
  (void)registry.exposition();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 30000);
  EXPECT_EQ(gauge.value(), 0);
  EXPECT_EQ(histogram.snapshot().count, 30000);
}

}  // namespace
}  // namespace octroi
