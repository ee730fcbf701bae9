#include "octroi/lightning/pool.h"

#include <atomic>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/lightning/fake_node.h"
#include "octroi/lightning/run_task.h"

namespace octroi::lightning {
namespace {

using namespace octroi::literals;

const UnixMillis kStart{1'800'000'000'000};

struct PoolTest : testing::Test {
  net::Loop loop;
  ManualClock clock{kStart};
  FakeNode node{clock, 1};
  ledger::MemoryStore store;
  MetricRegistry metrics;
  NodeHealth health{metrics};
  PoolOptions options;
  std::unique_ptr<InvoicePool> pool;

  InvoicePool& make() {
    pool = std::make_unique<InvoicePool>(loop, node, store, health, clock, metrics, options);
    loop.post([this] { pool->start(); });
    return *pool;
  }
  Result<Invoice> take(Msat amount = 10'000_msat, std::string memo = "weather") {
    return run_task(loop, pool->take(amount, std::move(memo)));
  }
  static Task<int> nap(net::Loop* loop, Millis time) {
    co_await loop->sleep(time);
    co_return 0;
  }
  void settle_down(Millis time = Millis(60)) { run_task(loop, nap(&loop, time)); }
  /// Lets the upkeep come round.
  void tick() { settle_down(Millis(450)); }
};

TEST_F(PoolTest, NothingIsMadeBeforeTheFirstDemand) {
  make();
  tick();
  EXPECT_EQ(node.made, 0);
}

TEST_F(PoolTest, EveryTakerGetsAnInvoiceOfItsOwnThatIsOnRecord) {
  make();
  std::set<PaymentHash> seen;
  for (int i = 0; i < 50; ++i) {
    auto invoice = take();
    ASSERT_TRUE(invoice) << invoice.error().message();
    EXPECT_TRUE(seen.insert(invoice->hash).second);
    auto record = run_task(loop, store.find_invoice(invoice->hash));
    ASSERT_TRUE(record && *record);
    EXPECT_EQ((*record)->amount, 10'000_msat);
    EXPECT_GE(invoice->expires, clock.now() + options.challenge_ttl);
  }
}

TEST_F(PoolTest, ABurstMakesNoMoreThanItTookAndOnePool) {
  make();
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(take());
  tick();
  EXPECT_GE(node.made, 64);
  EXPECT_LE(node.made, 64 + options.size);
  EXPECT_LE(pool->ready(), static_cast<std::size_t>(options.size));
  EXPECT_EQ(metrics.counter("octroi_invoices_created_total", "").value(), node.made);
  EXPECT_EQ(metrics.gauge("octroi_invoice_pool", "").value(),
            static_cast<std::int64_t>(pool->ready()));
}

TEST_F(PoolTest, OnceBegunAFillGoesOnToTheTop) {
  options.size = 100;
  options.max_batch = 16;
  make();
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(take());
  tick();
  while (pool->ready() > 51) ASSERT_TRUE(take());
  ASSERT_TRUE(take());  // which leaves it half empty
  tick();
  EXPECT_EQ(pool->ready(), 100U);
}

TEST_F(PoolTest, AReadyInvoiceCostsTheNodeNothing) {
  make();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(take());
  tick();
  ASSERT_GE(pool->ready(), 4U);
  node.down = true;
  EXPECT_TRUE(take());
}

TEST_F(PoolTest, SizeZeroMakesExactlyWhatIsTaken) {
  options.size = 0;
  make();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(take());
  tick();
  EXPECT_EQ(node.made, 5);
}

TEST_F(PoolTest, AmountAndMemoHaveListsOfTheirOwn) {
  make();
  auto a = take(1000_msat, "a");
  auto b = take(2000_msat, "a");
  auto c = take(1000_msat, "c");
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->amount, 1000_msat);
  EXPECT_EQ(b->amount, 2000_msat);
  EXPECT_EQ(bolt11::decode(c->bolt11)->description, "c");
}

TEST_F(PoolTest, AnAmountThatIsAskedOnceHasNoneMadeAhead) {
  make();
  for (int i = 1; i <= 20; ++i) {
    auto invoice = run_task(loop, pool->take_once(Msat::from_raw_unchecked(1'000 * i), "quoted"));
    ASSERT_TRUE(invoice) << invoice.error().message();
    EXPECT_EQ(invoice->amount, Msat::from_raw_unchecked(1'000 * i));
  }
  tick();
  EXPECT_EQ(node.made, 20);
  EXPECT_EQ(pool->ready(), 0U);
  // One that was given back waits for the next who asks the same.
  auto again = run_task(loop, pool->take_once(5'000_msat, "quoted"));
  ASSERT_TRUE(again);
  pool->give_back(*again);
  EXPECT_EQ(run_task(loop, pool->take_once(5'000_msat, "quoted"))->hash, again->hash);
  EXPECT_EQ(node.made, 21);
}

TEST_F(PoolTest, OldInvoicesAreNotGivenOutAndDemandThatEndedMakesNoNewOnes) {
  make();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(take());
  tick();
  ASSERT_GT(pool->ready(), 0U);
  const int before = node.made;
  clock.advance(options.max_age);
  tick();
  EXPECT_EQ(pool->ready(), 0U);
  EXPECT_EQ(node.made, before);
  auto fresh = take();
  ASSERT_TRUE(fresh);
  EXPECT_GE(fresh->expires, clock.now() + options.challenge_ttl);
}

TEST_F(PoolTest, WhatIsGivenBackGoesToTheNextTaker) {
  make();
  auto invoice = take();
  ASSERT_TRUE(invoice);
  pool->give_back(*invoice);
  auto again = take();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->hash, invoice->hash);
}

TEST_F(PoolTest, ADeadNodeRefusesAtOnceAndIsTriedAgainWithBackOff) {
  node.down = true;
  make();
  auto refused = take();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
  EXPECT_FALSE(health.up());
  EXPECT_EQ(metrics.gauge("octroi_node_up", "").value(), 0);
  const int calls = node.calls;
  EXPECT_FALSE(take());  // within the back-off: the node is not asked
  EXPECT_EQ(node.calls, calls);

  node.down = false;
  clock.advance(Millis(300));
  EXPECT_TRUE(take());
  EXPECT_TRUE(health.up());
}

TEST_F(PoolTest, ASlowNodeIsUnavailableAfterTheDeadline) {
  node.delay_ms = 2'000;
  options.deadline = Millis(100);
  make();
  std::atomic<bool> done = false;
  std::thread turn([&] {
    while (!done) {
      std::this_thread::sleep_for(Millis(150));
      clock.advance(Millis(200));
    }
  });
  auto refused = take();
  done = true;
  turn.join();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
}

TEST_F(PoolTest, AStoreThatCannotRecordGivesNothingOut) {
  store.set_unavailable(true);
  make();
  auto refused = take();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
}

TEST_F(PoolTest, AnInvoiceThatSaysSomethingElseIsNotShown) {
  node.wrong_amount = true;
  make();
  auto refused = take();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
}

Task<void> take_many(InvoicePool* pool, int count, std::vector<PaymentHash>* out, net::Loop* loop) {
  for (int i = 0; i < count; ++i) {
    auto invoice = co_await pool->take(Msat::from_raw_unchecked(5000), "shared");
    if (invoice) out->push_back(invoice->hash);
  }
  loop->stop();
}

TEST_F(PoolTest, TakersOnSeveralLoopsNeverShareAnInvoice) {
  make();
  constexpr int kWorkers = 4;
  constexpr int kEach = 100;
  std::vector<std::vector<PaymentHash>> taken(kWorkers);
  std::thread control([this] { loop.run(); });
  std::vector<std::thread> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([this, out = &taken[static_cast<std::size_t>(i)]] {
      net::Loop own;
      own.post([&] { own.tasks().start(take_many(pool.get(), kEach, out, &own)); });
      own.run();
    });
  }
  for (std::thread& worker : workers) worker.join();
  loop.stop();
  control.join();
  std::set<PaymentHash> all;
  for (const auto& list : taken) {
    EXPECT_EQ(list.size(), static_cast<std::size_t>(kEach));
    all.insert(list.begin(), list.end());
  }
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kWorkers * kEach));
  EXPECT_LE(node.made, kWorkers * kEach + options.size);
}

}  // namespace
}  // namespace octroi::lightning
