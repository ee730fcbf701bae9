#include "octroi/lightning/settlement.h"

#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/lightning/fake_node.h"
#include "octroi/lightning/run_task.h"

namespace octroi::lightning {
namespace {

const UnixMillis kStart{1'800'000'000'000};

struct SettlementTest : testing::Test {
  net::Loop loop;
  ManualClock clock{kStart};
  FakeNode node{clock, 2};
  ledger::MemoryStore store;
  MetricRegistry metrics;
  NodeHealth health{metrics};
  std::vector<PaymentHash> told;
  std::unique_ptr<SettlementTracker> tracker;

  void start() {
    tracker = std::make_unique<SettlementTracker>(
        loop, node, store, health, clock,
        [this](const PaymentHash& hash) { told.push_back(hash); });
    loop.post([this] { tracker->start(); });
  }
  static Task<int> nap(net::Loop* loop, Millis time) {
    co_await loop->sleep(time);
    co_return 0;
  }
  void run_for(Millis time) { run_task(loop, nap(&loop, time)); }

  /// An invoice with a transaction row, as the paywall leaves it.
  PaymentHash sold() {
    auto invoice =
        run_task(loop, node.add_invoice({.amount = Msat::from_raw_unchecked(1000), .memo = "x"}));
    EXPECT_TRUE(invoice);
    EXPECT_TRUE(run_task(loop, store.record_invoices({{.hash = invoice->hash,
                                                       .amount = invoice->amount,
                                                       .created = invoice->created,
                                                       .expires = invoice->expires}})));
    ledger::TransactionRecord row;
    row.hash = invoice->hash;
    row.service = "weather";
    row.amount = invoice->amount;
    row.created = invoice->created;
    row.expires = invoice->expires;
    EXPECT_TRUE(run_task(loop, store.record_transactions({row})));
    return invoice->hash;
  }
  std::int64_t settled_rows() {
    ledger::TransactionFilter filter;
    filter.state = ledger::TransactionState::settled;
    auto rows = run_task(loop, store.list_transactions(filter));
    return rows ? static_cast<std::int64_t>(rows->size()) : -1;
  }
};

TEST_F(SettlementTest, AnInvoicePaidWhileConnectedIsMarkedSettled) {
  const PaymentHash hash = sold();
  start();
  run_for(Millis(50));
  node.settle(hash);
  run_for(Millis(100));
  EXPECT_EQ(told, std::vector{hash});
  EXPECT_EQ(settled_rows(), 1);
  EXPECT_TRUE(health.up());
}

TEST_F(SettlementTest, WhatWasMissedIsToldAfterARestartAndNothingTwice) {
  const PaymentHash first = sold();
  const PaymentHash second = sold();
  start();
  node.settle(first);
  run_for(Millis(1'300));  // long enough for the index to be kept
  tracker.reset();
  node.settle(second);
  start();
  run_for(Millis(100));
  EXPECT_EQ(node.subscribed_from, 1U);
  EXPECT_EQ(told, (std::vector{first, second}));
}

TEST_F(SettlementTest, ALostNodeIsSaidAndFollowedAgainWhenItIsBack) {
  const PaymentHash hash = sold();
  start();
  run_for(Millis(50));
  EXPECT_TRUE(health.up());
  node.down = true;
  run_for(Millis(100));
  EXPECT_FALSE(health.up());
  node.settle(hash);
  node.down = false;
  run_for(Millis(900));
  EXPECT_TRUE(health.up());
  EXPECT_EQ(told, std::vector{hash});
  EXPECT_GE(node.subscriptions, 2);
}

TEST_F(SettlementTest, AStoreThatIsAwayLosesNoSettlement) {
  const PaymentHash hash = sold();
  start();
  run_for(Millis(50));
  store.set_unavailable(true);
  node.settle(hash);
  run_for(Millis(100));
  EXPECT_TRUE(told.empty());
  store.set_unavailable(false);
  run_for(Millis(700));
  EXPECT_EQ(told, std::vector{hash});
}

TEST_F(SettlementTest, TheNodeIsAskedForStrictServices) {
  const PaymentHash hash = sold();
  start();
  auto open = run_task(loop, tracker->is_settled(hash));
  ASSERT_TRUE(open);
  EXPECT_FALSE(*open);
  node.settle(hash);
  auto paid = run_task(loop, tracker->is_settled(hash));
  ASSERT_TRUE(paid);
  EXPECT_TRUE(*paid);
  auto unknown = run_task(loop, tracker->is_settled(PaymentHash{}));
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
}

TEST_F(SettlementTest, AStrictQuestionToASlowNodeEndsAtItsDeadline) {
  start();
  run_for(Millis(20));
  node.delay_ms = 5'000;
  auto late = run_task(loop, tracker->is_settled(PaymentHash{}, Millis(100)));
  ASSERT_FALSE(late);
  EXPECT_TRUE(late.error().is(Errc::unavailable));
}

}  // namespace
}  // namespace octroi::lightning
