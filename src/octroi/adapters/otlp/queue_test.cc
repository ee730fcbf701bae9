#include "octroi/adapters/otlp/queue.h"

#include <thread>

#include <gtest/gtest.h>

namespace octroi::otlp {
namespace {

std::unique_ptr<Span> numbered(std::int64_t n) {
  auto span = std::make_unique<Span>();
  span->start_ns = n;
  return span;
}

TEST(SpanQueue, KeepsTheOrderAndTheBound) {
  Counter dropped;
  SpanQueue queue(3, dropped);
  for (int i = 0; i < 5; ++i) queue.take(numbered(i));
  EXPECT_EQ(dropped.value(), 2);
  EXPECT_EQ(queue.held(), 3U);
  std::vector<std::unique_ptr<Span>> out;
  queue.drain(out);
  ASSERT_EQ(out.size(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)]->start_ns, i);
  // What was taken out is still in memory: it counts until it is forgotten.
  queue.take(numbered(5));
  EXPECT_EQ(dropped.value(), 3);
  queue.forget(2);
  queue.take(numbered(6));
  queue.take(numbered(7));
  EXPECT_EQ(dropped.value(), 3);
  queue.drain(out);
  ASSERT_EQ(out.size(), 5U);
  EXPECT_EQ(out[3]->start_ns, 6);
  EXPECT_EQ(out[4]->start_ns, 7);
}

TEST(SpanQueue, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr std::int64_t kEach = 20'000;
  Counter dropped;
  SpanQueue queue(1'000, dropped);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&queue, t] {
      for (std::int64_t i = 0; i < kEach; ++i) queue.take(numbered(t * kEach + i));
    });
  }
  std::vector<std::int64_t> last(kThreads, -1);
  std::int64_t seen = 0;
  while (seen + dropped.value() < kThreads * kEach) {
    std::vector<std::unique_ptr<Span>> out;
    queue.drain(out);
    ASSERT_LE(out.size(), 1'000U);
    for (const auto& span : out) {
      // Of one thread, in its order.
      std::int64_t& before = last[static_cast<std::size_t>(span->start_ns / kEach)];
      ASSERT_LT(before, span->start_ns);
      before = span->start_ns;
    }
    seen += static_cast<std::int64_t>(out.size());
    queue.forget(out.size());
    std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(seen + dropped.value(), kThreads * kEach);
  EXPECT_EQ(queue.held(), 0U);
}

}  // namespace
}  // namespace octroi::otlp
