// Refunds and idle sessions, without a door: a session in the ledger, and a node with moods.
#include "octroi/paywall/refunds.h"

#include <gtest/gtest.h>

#include "octroi/paywall/session_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::PayingNode;
using ledger::CloseReason;
using ledger::RefundStage;
using ledger::SessionOutcome;
using ledger::SessionState;

class RefundsTest : public testing::Test {
 protected:
  void start() {
    refunds.emplace(loop, node, *store.sessions(), clock, metrics,
                    RefundOptions{.reap_every = Millis(10), .ask_every = Millis(10)});
    PaywallSettings settings;
    settings.services.emplace_back().name = ServiceName("api");
    settings.services[0].session.refund = limits;
    refunds->publish(settings);
    refunds->start();
  }
  /// As if the process had been killed: what was on its way is on its way.
  void kill() {
    refunds.reset();
    store.restart();
  }
  PaymentHash open(Msat deposit = to_msat(100_sat), Msat spent = to_msat(10_sat)) {
    const PaymentHash hash(random.bytes<32>());
    std::vector<ledger::InvoiceRecord> invoice{
        {hash, deposit, clock.now(), clock.now() + Millis(900'000), 0}};
    EXPECT_TRUE(run(store.record_invoices(std::move(invoice))));
    ledger::OpenSession request;
    request.proof.hash = hash;
    request.proof.scheme = ledger::Scheme::mpp_session;
    request.proof.service = "api";
    request.proof.challenge_id = hash.hex();
    request.proof.now = clock.now();
    request.proof.keep_until = clock.now() + Millis(3'600'000);
    request.deposit = deposit;
    request.first_debit = spent;
    request.return_invoice = returns.make();
    request.return_hash = bolt11::decode(request.return_invoice)->payment_hash;
    request.idle_timeout = Millis(300'000);
    auto opened = run(store.sessions()->open_session(std::move(request)));
    EXPECT_TRUE(opened && opened->session);
    return hash;
  }
  /// Closed and written down, and nothing sent.
  void close(const PaymentHash& id) {
    ledger::CloseSession request;
    request.session = id;
    request.service = "api";
    request.now = clock.now();
    auto closed = run(store.sessions()->close_session(std::move(request)));
    EXPECT_TRUE(closed && closed->outcome == SessionOutcome::applied);
  }
  ledger::Session session(const PaymentHash& id) {
    return run(store.sessions()->find_session(id)).value().value();
  }
  RefundStage stage(const PaymentHash& id) { return session(id).refund.stage; }
  bool becomes(const PaymentHash& id, RefundStage wanted) {
    for (int i = 0; i < 200 && stage(id) != wanted; ++i) pause(Millis(10));
    return stage(id) == wanted;
  }
  void pause(Millis time) { net::run_until(loop, loop.sleep(time)); }
  template <class T>
  T run(Task<T> task) {
    return net::run_until(loop, std::move(task));
  }

  net::Loop loop;
  ManualClock clock{fixture::kStart};
  SeededRandom random{3};
  MetricRegistry metrics;
  ledger::MemoryStore store;
  PayingNode node;
  fixture::ReturnInvoices returns{clock};
  RefundSettings limits;
  std::optional<Refunds> refunds;
};

// --- once, whatever happens ---------------------------------------------------------------------

TEST_F(RefundsTest, DueRefundOfAnEarlierRunIsPaid) {
  const auto id = open();
  close(id);
  start();
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
  ASSERT_EQ(node.asked.size(), 1U);
  EXPECT_EQ(node.asked[0].amount, to_msat(90_sat));
  pause(Millis(50));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, KilledBetweenSendAndRecordIsPaidOnce) {
  node.delay = Millis(50);
  const auto id = open();
  close(id);
  start();
  for (int i = 0; i < 100 && node.asked.empty(); ++i) pause(Millis(5));
  kill();  // the node pays, and nobody hears of it
  ASSERT_EQ(stage(id), RefundStage::sending);
  start();
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(node.asked.size(), 1U) << "it was looked up, not sent again";
  EXPECT_GE(node.tracked, 1);
}

TEST_F(RefundsTest, KilledBetweenClaimAndSendIsFailedAndMayBeRetried) {
  const auto id = open();
  close(id);
  ASSERT_TRUE(run(store.sessions()->claim_refund(id, clock.now())).value());
  kill();
  start();
  EXPECT_TRUE(becomes(id, RefundStage::failed));
  EXPECT_EQ(node.asked.size(), 0U);
  auto retried = run(refunds->retry_refund(id));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->outcome, SessionOutcome::applied);
  EXPECT_EQ(retried->session->refund.stage, RefundStage::succeeded);
  EXPECT_EQ(retried->session->refund.attempts, 2);
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, AnswerThatWasLostIsAskedFor) {
  node.mood = PayingNode::Mood::loses_answer;
  const auto id = open();
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::sending));
  pause(Millis(50));
  EXPECT_EQ(stage(id), RefundStage::sending) << "nothing is known, nothing is said";
  node.mood = PayingNode::Mood::pays;
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, PaymentOnItsWayEndsAsTheNodeSays) {
  node.mood = PayingNode::Mood::in_flight;
  const auto id = open();
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::sending));
  pause(Millis(50));
  EXPECT_EQ(stage(id), RefundStage::sending);
  for (auto& [hash, payment] : node.payments) payment.state = lightning::PaymentState::failed;
  EXPECT_TRUE(becomes(id, RefundStage::failed));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, NothingIsClaimedWhileTheNodeIsAway) {
  node.away = true;
  const auto id = open();
  close(id);
  start();
  pause(Millis(50));
  EXPECT_EQ(stage(id), RefundStage::due);
  EXPECT_EQ(node.asked.size(), 0U);
  node.away = false;
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
}

TEST_F(RefundsTest, EndThatTheStoreDoesNotTakeIsRecordedLater) {
  node.delay = Millis(50);
  const auto id = open();
  close(id);
  start();
  for (int i = 0; i < 100 && node.asked.empty(); ++i) pause(Millis(5));
  store.set_unavailable(true);
  pause(Millis(150));
  store.set_unavailable(false);
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, ManyWhoAskGetOnePayment) {
  node.delay = Millis(30);
  const auto id = open();
  start();
  close(id);
  std::vector<RefundStage> stages;
  struct Ask {
    static Task<void> once(Refunds* desk, PaymentHash id, std::vector<RefundStage>* out) {
      out->push_back(co_await desk->send(id));
    }
    static Task<void> all(net::Loop* loop, Refunds* desk, PaymentHash id,
                          std::vector<RefundStage>* out) {
      co_await loop->yield();  // only from here on is it the loop that answers come to
      TaskGroup group;
      for (int i = 0; i < 16; ++i) group.start(once(desk, id, out));
      co_await group.join();
    }
  };
  run(Ask::all(&loop, &*refunds, id, &stages));
  EXPECT_EQ(stages, std::vector<RefundStage>(16, RefundStage::succeeded));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, DrainWaitsForWhatIsOnItsWay) {
  node.delay = Millis(100);
  const auto id = open();
  close(id);
  start();
  for (int i = 0; i < 100 && node.asked.empty(); ++i) pause(Millis(5));
  run(refunds->drain(Millis(5'000)));
  EXPECT_EQ(stage(id), RefundStage::succeeded);
}

// --- the cap on fees ----------------------------------------------------------------------------

struct FeeCase {
  const char* name;
  Msat spent;
  Msat max_fee;
  Msat limit;
};
class FeeLimit : public RefundsTest, public testing::WithParamInterface<FeeCase> {};

TEST_P(FeeLimit, IsNeverMoreThanTheSessionBroughtIn) {
  limits.max_fee = GetParam().max_fee;
  const auto id = open(to_msat(100_sat), GetParam().spent);
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(node.asked[0].fee_limit, GetParam().limit);
}
INSTANTIATE_TEST_SUITE_P(
    Refunds, FeeLimit,
    testing::Values(FeeCase{"Configured", to_msat(50_sat), to_msat(10_sat), to_msat(10_sat)},
                    FeeCase{"Spent", to_msat(3_sat), to_msat(10_sat), to_msat(3_sat)},
                    FeeCase{"OneSatAlways", Msat{}, to_msat(10_sat), to_msat(1_sat)},
                    FeeCase{"NoneConfigured", to_msat(50_sat), Msat{}, Msat{}}),
    [](const auto& info) { return std::string(info.param.name); });

// --- idle sessions ------------------------------------------------------------------------------

TEST_F(RefundsTest, IdleSessionIsClosedAndRefunded) {
  const auto id = open();
  start();
  clock.advance(Millis(299'000));
  pause(Millis(50));
  EXPECT_EQ(session(id).state, SessionState::open);
  clock.advance(Millis(2'000));
  EXPECT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(session(id).reason, CloseReason::idle);
  ASSERT_EQ(node.asked.size(), 1U);
  EXPECT_EQ(node.asked[0].amount, to_msat(90_sat));
}

TEST_F(RefundsTest, SessionInUseIsNotReaped) {
  const auto id = open();
  start();
  for (int i = 0; i < 5; ++i) {
    clock.advance(Millis(200'000));
    ASSERT_TRUE(run(store.sessions()->debit_session(id, "api", to_msat(1_sat), clock.now())));
    pause(Millis(30));
  }
  EXPECT_EQ(session(id).state, SessionState::open);
}

TEST_F(RefundsTest, ManyIdleSessionsAreAllReaped) {
  std::vector<PaymentHash> ids;
  for (int i = 0; i < 250; ++i) ids.push_back(open());
  clock.advance(Millis(301'000));
  start();
  for (const auto& id : ids) ASSERT_TRUE(becomes(id, RefundStage::succeeded));
  EXPECT_EQ(node.asked.size(), 250U);
}

// --- the operator -------------------------------------------------------------------------------

TEST_F(RefundsTest, OperatorClosesOnce) {
  const auto id = open();
  start();
  auto closed = run(refunds->close(id));
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->outcome, SessionOutcome::applied);
  EXPECT_EQ(closed->session->refund.stage, RefundStage::succeeded);
  EXPECT_EQ(closed->session->reason, CloseReason::operator_);
  closed = run(refunds->close(id));
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->outcome, SessionOutcome::replayed);
  EXPECT_EQ(node.asked.size(), 1U);
  EXPECT_EQ(run(refunds->close(PaymentHash{}))->outcome, SessionOutcome::not_found);
}

TEST_F(RefundsTest, RetryActsOnAFailedRefundOnly) {
  node.mood = PayingNode::Mood::refuses;
  const auto id = open();
  start();
  EXPECT_EQ(run(refunds->retry_refund(id))->outcome, SessionOutcome::replayed) << "it is open";
  close(id);
  ASSERT_TRUE(becomes(id, RefundStage::failed));
  node.mood = PayingNode::Mood::pays;
  auto retried = run(refunds->retry_refund(id));
  EXPECT_EQ(retried->outcome, SessionOutcome::applied);
  EXPECT_EQ(retried->session->refund.stage, RefundStage::succeeded);
  EXPECT_EQ(run(refunds->retry_refund(id))->outcome, SessionOutcome::replayed) << "it was paid";
  EXPECT_EQ(node.asked.size(), 2U);
  EXPECT_EQ(run(refunds->retry_refund(PaymentHash{}))->outcome, SessionOutcome::not_found);
}

TEST_F(RefundsTest, RetryOfWhatWasPaidAfterAllPaysNothing) {
  node.mood = PayingNode::Mood::refuses;
  const auto id = open();
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::failed));
  for (auto& [hash, payment] : node.payments) payment.state = lightning::PaymentState::succeeded;
  auto retried = run(refunds->retry_refund(id));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->outcome, SessionOutcome::replayed);
  EXPECT_EQ(stage(id), RefundStage::succeeded);
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, RetryOfWhatIsOnItsWayPaysNothing) {
  node.mood = PayingNode::Mood::refuses;
  const auto id = open();
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::failed));
  for (auto& [hash, payment] : node.payments) payment.state = lightning::PaymentState::in_flight;
  EXPECT_EQ(run(refunds->retry_refund(id))->outcome, SessionOutcome::replayed);
  EXPECT_EQ(stage(id), RefundStage::failed);
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(RefundsTest, RetryWhileTheNodeIsAwayIsAnError) {
  node.mood = PayingNode::Mood::refuses;
  const auto id = open();
  close(id);
  start();
  ASSERT_TRUE(becomes(id, RefundStage::failed));
  node.away = true;
  auto retried = run(refunds->retry_refund(id));
  ASSERT_FALSE(retried);
  EXPECT_TRUE(retried.error().is(lightning::Errc::unavailable));
  EXPECT_EQ(stage(id), RefundStage::failed);
}

}  // namespace
}  // namespace octroi::paywall
