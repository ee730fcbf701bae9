#include "octroi/net/loop.h"

#include <thread>

#include <gtest/gtest.h>

#include "octroi/net/deadline.h"
#include "octroi/net/run_until.h"
#include "octroi/task/sync.h"

namespace octroi::net {
namespace {

Task<Millis> sleep_and_measure(Loop* loop, Millis delay) {
  const auto before = std::chrono::steady_clock::now();
  co_await loop->sleep(delay);
  co_return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - before);
}

TEST(Loop, SleepIsNeverShort) {
  Loop loop;
  for (const int delay : {1, 10, 25, 60}) {
    const Millis slept = run_until(loop, sleep_and_measure(&loop, Millis(delay)));
    EXPECT_GE(slept, Millis(delay));
    EXPECT_LT(slept, Millis(delay + 1000));
  }
}

Task<void> record_turns(Loop* loop, std::vector<int>* order, int id) {
  for (int i = 0; i < 3; ++i) {
    order->push_back(id);
    co_await loop->yield();
  }
}
Task<void> two_turns(Loop* loop, std::vector<int>* order) {
  TaskGroup group;
  group.start(record_turns(loop, order, 1));
  group.start(record_turns(loop, order, 2));
  co_await group.join();
}

TEST(Loop, YieldLetsOthersRun) {
  Loop loop;
  std::vector<int> order;
  run_until(loop, two_turns(&loop, &order));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2, 1, 2}));
}

TEST(Loop, PostsFromManyThreadsArriveOnceEachAndInOrder) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::array<std::vector<int>, kThreads> seen;
  int total = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          EXPECT_TRUE(loop.on_thread());
          EXPECT_EQ(Loop::current(), &loop);
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (++total == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& list : seen) {
    ASSERT_EQ(list.size(), static_cast<std::size_t>(kEach));
    EXPECT_TRUE(std::ranges::is_sorted(list));
  }
  EXPECT_EQ(Loop::current(), nullptr);
}

TEST(Loop, RunsAgainAfterStop) {
  Loop loop;
  for (int i = 0; i < 3; ++i) {
    bool ran = false;
    loop.post([&] {
      ran = true;
      loop.stop();
    });
    loop.run();
    EXPECT_TRUE(ran);
  }
}

Task<int> wait_remote(Remote<int>* remote) { co_return co_await remote->get(); }

TEST(Remote, GivesAcrossThreadsAndToleratesACopiedOrUnusedGiver) {
  Loop loop;
  Remote<int> remote(loop);
  auto give = remote.giver();
  auto copy = give;
  std::thread thread([give = std::move(give)]() mutable { give(42); });
  EXPECT_EQ(run_until(loop, wait_remote(&remote)), 42);
  thread.join();
  copy(43);
}

TEST(Remote, DropsTheValueWhenTheWaiterIsGone) {
  Loop loop;
  auto remote = std::make_unique<Remote<int>>(loop);
  auto give = remote->giver();
  {
    TaskGroup group;
    struct Wait {
      static Task<void> go(Remote<int>* r) { std::ignore = co_await r->get(); }
    };
    group.start(Wait::go(remote.get()));
  }
  remote.reset();
  give(1);
  loop.stop();
  loop.run();
}

struct CountsItsDeath {
  int* deaths;
  explicit CountsItsDeath(int* d) : deaths(d) {}
  CountsItsDeath(const CountsItsDeath&) = delete;
  CountsItsDeath& operator=(const CountsItsDeath&) = delete;
  ~CountsItsDeath() { ++*deaths; }
};
Task<int> slow(Loop* loop, Millis delay, int* deaths) {
  const CountsItsDeath witness(deaths);
  co_await loop->sleep(delay);
  co_return 7;
}
Task<std::optional<int>> limited(Loop* loop, Millis limit, Millis delay, int* deaths) {
  co_return co_await within(*loop, limit, slow(loop, delay, deaths));
}

TEST(Within, CancelsWhatTakesTooLong) {
  Loop loop;
  int deaths = 0;
  EXPECT_EQ(run_until(loop, limited(&loop, Millis(20), Millis(5000), &deaths)), std::nullopt);
  EXPECT_EQ(deaths, 1);
  EXPECT_EQ(run_until(loop, limited(&loop, Millis(5000), Millis(10), &deaths)), 7);
  EXPECT_EQ(run_until(loop, limited(&loop, Millis(0), Millis(10), &deaths)), 7);
  EXPECT_EQ(deaths, 3);
}

TEST(Loop, DestructionCancelsItsTasks) {
  int deaths = 0;
  {
    Loop loop;
    struct Hold {
      static Task<void> go(Loop* l, int* d) { std::ignore = co_await slow(l, Millis(60'000), d); }
    };
    loop.tasks().start(Hold::go(&loop, &deaths));
  }
  EXPECT_EQ(deaths, 1);
}

TEST(Deferred, RunsAfterTheCallbackAndCanBeCancelled) {
  Loop loop;
  struct Node : Deferred {
    explicit Node(std::vector<int>* o, int i)
        : Deferred([](Deferred& d) {
            auto& n = static_cast<Node&>(d);
            n.order->push_back(n.id);
          }),
          order(o),
          id(i) {}
    std::vector<int>* order;
    int id;
  };
  std::vector<int> order;
  Node first(&order, 1);
  Node second(&order, 2);
  loop.post([&] {
    loop.defer(first);
    loop.defer(second);
    {
      Node gone(&order, 9);
      loop.defer(gone);
    }
    loop.defer(first);  // moves to the end
    order.push_back(0);
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{0, 2, 1}));
}

TEST(Deferred, AtTheEndComesAfterWhatWasDeferred) {
  Loop loop;
  struct Node : Deferred {
    Node(Loop* l, std::vector<int>* o, int i)
        : Deferred([](Deferred& d) {
            auto& n = static_cast<Node&>(d);
            n.order->push_back(n.id);
            if (n.then != nullptr) n.loop->defer(*n.then);
          }),
          loop(l),
          order(o),
          id(i) {}
    Loop* loop;
    std::vector<int>* order;
    int id;
    Node* then = nullptr;
  };
  std::vector<int> order;
  Node last(&loop, &order, 3);
  Node second(&loop, &order, 2);
  Node first(&loop, &order, 1);
  first.then = &second;  // deferred by what is deferred
  loop.post([&] {
    loop.defer_to_end(last);
    loop.defer(first);
  });
  loop.tasks().start([](Loop* l) -> Task<void> {
    co_await l->sleep(Millis(30));
    l->stop();
  }(&loop));
  loop.run();
  EXPECT_EQ(order.size(), 3U);
  EXPECT_EQ(order.front(), 1);
}

}  // namespace
}  // namespace octroi::net
