#include "octroi/adapters/sql/lane.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::sql {
namespace {

using ledger::sync;
using std::chrono::milliseconds;

/// Runs every call and counts the commits that it would have made.
class Counting final : public Worker {
 public:
  explicit Counting(std::atomic<int>& commits) : commits_(commits) {}
  void run_batch(Batch batch) override {
    for (const auto& call : batch) call->refuse({ledger::Errc::unavailable, "counted"});
    ++commits_;
  }

 private:
  std::atomic<int>& commits_;
};

Result<> nothing(Connection& /*db*/) { return {}; }

TEST(Arrivals, ManyIsManyAMomentAgo) {
  const Arrivals::Clock::time_point start{};
  const auto at = [&](int ms) { return start + milliseconds(1000 + ms); };
  Arrivals a;
  EXPECT_FALSE(a.many(at(0)));
  for (int i = 0; i < 31; ++i) a.note(at(0));
  EXPECT_FALSE(a.many(at(1)));
  a.note(at(9));
  EXPECT_TRUE(a.many(at(9)));
  a.note(at(11));  // the next window has one, the one before had many
  EXPECT_TRUE(a.many(at(12)));
  EXPECT_FALSE(a.many(at(31)));
  a.note(at(100));
  EXPECT_FALSE(a.many(at(101)));
}

TEST(Arrivals, OneAfterAnotherIsNeverMany) {
  Arrivals a;
  Arrivals::Clock::time_point now{};
  for (int i = 0; i < 1000; ++i) {
    now += milliseconds(1);
    a.note(now);
    EXPECT_FALSE(a.many(now));
  }
}

TEST(Lane, WhatIsPostedAloneIsDoneAllTheSame) {
  std::atomic<int> commits{0};
  {
    Lane lane(std::make_unique<Counting>(commits), {});
    lane.post(1, "test", nothing);
  }
  EXPECT_EQ(commits, 1);
}

TEST(Lane, WhatIsPostedIsNotDoneUntilItIs) {
  std::atomic<int> commits{0};
  Lane lane(std::make_unique<Counting>(commits), {});
  EXPECT_FALSE(lane.has_posted());
  lane.post(1, "test", nothing);
  EXPECT_TRUE(lane.has_posted() || commits == 1);
  while (lane.has_posted()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(commits, 1) << "alone, after a moment";
  std::this_thread::sleep_for(milliseconds(20));  // it sleeps for good now
  lane.post(1, "test", nothing);
  while (lane.has_posted()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(commits, 2);
}

TEST(Lane, WhatIsPostedGoesWithTheNextThatIsWaitedFor) {
  std::atomic<int> commits{0};
  Lane lane(std::make_unique<Counting>(commits), {});
  for (int i = 0; i < 100; ++i) {
    lane.post(1, "test", nothing);
    EXPECT_FALSE(sync(lane.call(1, nothing)));
  }
  // A posted call that came first may have waited its time out; then it had a commit to itself.
  EXPECT_GE(commits, 100);
  EXPECT_LE(commits, 110);
}

TEST(Lane, ManyCallersShareACommit) {
  constexpr int kThreads = 48;
  constexpr int kCalls = 50;
  std::atomic<int> commits{0};
  std::atomic<int> answered{0};
  {
    Lane::Options options;
    options.gather = milliseconds(3);
    Lane lane(std::make_unique<Counting>(commits), options);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kCalls; ++i) {
          if (!sync(lane.call(1, nothing))) ++answered;
        }
      });
    }
    for (std::thread& t : threads) t.join();
  }
  EXPECT_EQ(answered, kThreads * kCalls) << "every call was run and delivered";
  EXPECT_LT(commits, kThreads * kCalls / 4);
}

}  // namespace
}  // namespace octroi::sql
