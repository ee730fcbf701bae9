#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/adapters/sim/sim_node.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/lightning/run_task.h"

namespace octroi::sim {
namespace {

using namespace octroi::literals;
using lightning::Errc;
using lightning::run_task;

constexpr Msat kInitial = Msat::from_raw_unchecked(1'000'000'000);

struct SimTest : testing::Test {
  std::filesystem::path directory = std::filesystem::temp_directory_path() /
                                    ("octroi_sim_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
  std::string file = directory / "sim.db";
  net::Loop loop;
  ManualClock clock{UnixMillis{1'800'000'000'000}};
  SeededRandom random{7};
  std::unique_ptr<lightning::Node> merchant, agent;

  void SetUp() override {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    merchant = open("merchant");
    agent = open("agent", 1000);
  }
  void TearDown() override {
    merchant.reset();
    agent.reset();
    conserve();
    std::filesystem::remove_all(directory);
  }
  std::unique_ptr<lightning::Node> open(std::string account, std::int64_t fee_ppm = 0) {
    auto node = make_sim_node(
        loop,
        {.file = file, .account = std::move(account), .initial = kInitial, .fee_ppm = fee_ppm},
        random, clock);
    EXPECT_TRUE(node) << node.error().message();
    return *std::move(node);
  }
  /// No money is made or lost, whatever happened.
  void conserve() {
    auto totals = read_totals(file);
    ASSERT_TRUE(totals);
    Msat sum = totals->in_flight;
    sum = *sum.plus(totals->fees);
    for (const AccountBalance& account : totals->accounts) sum = *sum.plus(account.balance);
    EXPECT_EQ(sum, totals->issued);
  }
  lightning::Invoice invoice(Msat amount = 10'000_msat, Seconds expiry = Seconds(900)) {
    auto made =
        run_task(loop, merchant->add_invoice({.amount = amount, .memo = "tea", .expiry = expiry}));
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }
  Result<lightning::Payment> pay(const std::string& bolt11, Msat fee_limit = 1'000_msat,
                                 std::optional<Msat> amount = std::nullopt) {
    return run_task(
        loop,
        agent->pay(
            {.bolt11 = bolt11, .amount = amount, .fee_limit = fee_limit, .timeout = Seconds(1)}));
  }
  Msat balance(lightning::Node& node) { return *run_task(loop, node.balance()); }
  void plan(const std::string& account, Fault fault) {
    ASSERT_TRUE(set_fault(file, account, fault));
  }
};

TEST_F(SimTest, InvoicesAreRealAndSigned) {
  const auto made = invoice();
  auto decoded = bolt11::decode(made.bolt11);
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_TRUE(made.bolt11.starts_with("lnbcrt"));
  EXPECT_EQ(decoded->amount, 10'000_msat);
  EXPECT_EQ(decoded->payment_hash, made.hash);
  EXPECT_EQ(decoded->description, "tea");
  EXPECT_EQ(decoded->expires(), made.expires);
  EXPECT_EQ(decoded->payee.hex(), run_task(loop, merchant->info())->public_key);
}

TEST_F(SimTest, PayingMovesTheMoneyAndGivesThePreimage) {
  const auto made = invoice(1'000'000_msat);
  auto paid = pay(made.bolt11);
  ASSERT_TRUE(paid) << paid.error().message();
  EXPECT_EQ(paid->state, lightning::PaymentState::succeeded);
  EXPECT_EQ(PaymentHash(crypto::sha256(paid->preimage.reveal())), made.hash);
  EXPECT_EQ(paid->fee, 1'000_msat);
  EXPECT_EQ(balance(*merchant), *kInitial.plus(1'000'000_msat));
  EXPECT_EQ(balance(*agent), *kInitial.minus(1'001'000_msat));
  auto status = run_task(loop, merchant->lookup_invoice(made.hash));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, lightning::InvoiceState::settled);
  EXPECT_EQ(status->paid, 1'000'000_msat);
  auto tracked = run_task(loop, agent->track(made.hash));
  ASSERT_TRUE(tracked);
  EXPECT_TRUE(tracked->preimage.equals(paid->preimage));
}

TEST_F(SimTest, TheFeeIsRoundedUp) {
  const auto made = invoice(1_msat);
  auto paid = pay(made.bolt11);
  ASSERT_TRUE(paid);
  EXPECT_EQ(paid->fee, 1_msat);
}

TEST_F(SimTest, RefusalsAreDefiniteAndMoveNothing) {
  const auto made = invoice(5'000_msat);
  EXPECT_TRUE(pay(made.bolt11, 4_msat).error().is(Errc::insufficient));
  EXPECT_TRUE(
      pay(invoice(2'000'000'000_msat).bolt11, 9'000'000_msat).error().is(Errc::insufficient));
  EXPECT_TRUE(pay("lnbcrt1nonsense").error().is(Errc::bad_invoice));
  EXPECT_TRUE(pay(made.bolt11, 1'000_msat, 5'000_msat).error().is(Errc::bad_invoice));
  EXPECT_TRUE(run_task(loop, merchant->pay({.bolt11 = made.bolt11, .amount = {}, .fee_limit = {}}))
                  .error()
                  .is(Errc::bad_invoice));
  clock.advance(Millis(900'000));
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::bad_invoice));
  EXPECT_EQ(balance(*agent), kInitial);
  EXPECT_EQ(balance(*merchant), kInitial);
  auto tracked = run_task(loop, agent->track(made.hash));
  ASSERT_TRUE(tracked);
  EXPECT_EQ(tracked->state, lightning::PaymentState::failed);
  EXPECT_TRUE(run_task(loop, agent->track(PaymentHash{})).error().is(Errc::not_found));
}

TEST_F(SimTest, AnInvoiceOfAnotherNetworkHasNoRoute) {
  const std::string other = directory / "other.db";
  auto stranger = make_sim_node(
      loop, {.file = other, .account = "stranger", .initial = {}, .fee_ppm = 0}, random, clock);
  ASSERT_TRUE(stranger);
  auto made = run_task(loop, (*stranger)->add_invoice({.amount = 1_msat, .memo = "x"}));
  ASSERT_TRUE(made);
  EXPECT_TRUE(pay(made->bolt11).error().is(Errc::payment_failed));
}

TEST_F(SimTest, AnInvoiceIsPaidOnce) {
  const auto made = invoice();
  ASSERT_TRUE(pay(made.bolt11));
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::already_paid));
  EXPECT_EQ(balance(*merchant), *kInitial.plus(10'000_msat));
}

TEST_F(SimTest, AnAmountlessInvoiceNeedsAnAmount) {
  const auto made = invoice(Msat{});
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::bad_invoice));
  auto paid = pay(made.bolt11, 1'000_msat, 700_msat);
  ASSERT_TRUE(paid);
  EXPECT_EQ(paid->amount, 700_msat);
}

TEST_F(SimTest, AChangedInvoiceIsRefused) {
  std::string text = invoice().bolt11;
  text[text.size() - 3] = text[text.size() - 3] == 'q' ? 'p' : 'q';
  EXPECT_TRUE(pay(text).error().is(Errc::bad_invoice));
}

TEST_F(SimTest, NoPreimageIsStored) {
  const auto made = invoice();
  auto paid = pay(made.bolt11);
  ASSERT_TRUE(paid);
  const std::string raw(paid->preimage.reveal_text());
  const std::string hex = to_hex(paid->preimage.reveal());
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)),
                              std::istreambuf_iterator<char>());
    EXPECT_EQ(content.find(raw), std::string::npos) << entry.path();
    EXPECT_EQ(content.find(hex), std::string::npos) << entry.path();
    struct stat info{};
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << entry.path();
  }
}

Task<void> collect(std::vector<lightning::InvoiceStatus>* out, lightning::InvoiceStatus status) {
  out->push_back(status);
  co_return;
}
Task<int> watch(net::Loop* loop, lightning::Node* node, std::uint64_t from,
                std::vector<lightning::InvoiceStatus>* out, Millis time) {
  TaskGroup group;
  struct Watch {
    static Task<void> run(lightning::Node* n, std::uint64_t index,
                          std::vector<lightning::InvoiceStatus>* to) {
      static_cast<void>(co_await n->subscribe(
          index, [to](lightning::InvoiceStatus s) { return collect(to, s); }));
    }
  };
  group.start(Watch::run(node, from, out));
  co_await loop->sleep(time);
  co_return 0;
}

TEST_F(SimTest, ASubscriptionTellsWhatWasMissedInOrder) {
  const auto first = invoice();
  const auto second = invoice();
  ASSERT_TRUE(pay(second.bolt11));
  ASSERT_TRUE(pay(first.bolt11));
  std::vector<lightning::InvoiceStatus> seen;
  run_task(loop, watch(&loop, merchant.get(), 0, &seen, Millis(100)));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].hash, second.hash);
  EXPECT_EQ(seen[1].hash, first.hash);
  std::vector<lightning::InvoiceStatus> later;
  run_task(loop, watch(&loop, merchant.get(), seen[0].settle_index, &later, Millis(100)));
  ASSERT_EQ(later.size(), 1U);
  EXPECT_EQ(later[0].hash, first.hash);
  std::vector<lightning::InvoiceStatus> not_mine;
  run_task(loop, watch(&loop, agent.get(), 0, &not_mine, Millis(100)));
  EXPECT_TRUE(not_mine.empty());
}

TEST_F(SimTest, FaultUnavailableHappensAsOftenAsTold) {
  plan("merchant",
       {.operation = Operation::add_invoice, .kind = FaultKind::unavailable, .count = 2});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(run_task(loop, merchant->add_invoice({.amount = 1_msat, .memo = "x"}))
                    .error()
                    .is(Errc::unavailable));
  }
  EXPECT_TRUE(run_task(loop, merchant->add_invoice({.amount = 1_msat, .memo = "x"})));
  EXPECT_EQ(*count_invoices(file, "merchant"), 1);
}

TEST_F(SimTest, FaultForEverLastsUntilCleared) {
  plan("merchant", {.operation = Operation::any, .kind = FaultKind::unavailable, .count = -1});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(run_task(loop, merchant->info()));
  ASSERT_TRUE(clear_faults(file, "merchant"));
  EXPECT_TRUE(run_task(loop, merchant->info()));
  EXPECT_TRUE(set_fault(file, "nobody", {}).error().is(Errc::not_found));
}

TEST_F(SimTest, FaultFailIsADefiniteFailure) {
  const auto made = invoice();
  plan("agent", {.operation = Operation::pay, .kind = FaultKind::fail});
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::payment_failed));
  EXPECT_EQ(run_task(loop, agent->track(made.hash))->state, lightning::PaymentState::failed);
  EXPECT_TRUE(pay(made.bolt11));  // nothing was paid, so it can be paid again
}

TEST_F(SimTest, ALostAnswerLeavesAPaymentThatTrackFinds) {
  const auto made = invoice();
  plan("agent", {.operation = Operation::pay, .kind = FaultKind::lose_answer});
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::payment_unknown));
  auto tracked = run_task(loop, agent->track(made.hash));
  ASSERT_TRUE(tracked);
  EXPECT_EQ(tracked->state, lightning::PaymentState::succeeded);
  EXPECT_EQ(PaymentHash(crypto::sha256(tracked->preimage.reveal())), made.hash);
}

TEST_F(SimTest, ADelayedPaymentIsInFlightAndArrivesWithoutItsPayer) {
  const auto made = invoice();
  plan(
      "agent",
      {.operation = Operation::pay, .kind = FaultKind::delay, .count = 1, .delay = Millis(60'000)});
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::payment_unknown));
  EXPECT_EQ(run_task(loop, agent->track(made.hash))->state, lightning::PaymentState::in_flight);
  conserve();
  EXPECT_TRUE(pay(made.bolt11).error().is(Errc::payment_unknown));  // never twice
  agent.reset();
  clock.advance(Millis(60'000));
  EXPECT_EQ(run_task(loop, merchant->lookup_invoice(made.hash))->state,
            lightning::InvoiceState::settled);
  agent = open("agent");
  EXPECT_EQ(run_task(loop, agent->track(made.hash))->state, lightning::PaymentState::succeeded);
}

TEST_F(SimTest, ManyPayersOfOneInvoicePayItOnce) {
  const auto made = invoice(1'000_msat);
  std::atomic<int> paid{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      net::Loop own;
      auto node = make_sim_node(
          own,
          {.file = file, .account = "p" + std::to_string(i), .initial = kInitial, .fee_ppm = 0},
          random, clock);
      ASSERT_TRUE(node) << node.error().message();
      auto payment =
          run_task(own, (*node)->pay({.bolt11 = made.bolt11, .amount = {}, .fee_limit = {}}));
      if (payment) ++paid;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(paid, 1);
  EXPECT_EQ(balance(*merchant), *kInitial.plus(1'000_msat));
}

TEST_F(SimTest, AnotherProcessSharesTheNetwork) {
  const auto made = invoice();
  merchant.reset();  // no thread of ours may hold the file's locks across the fork
  agent.reset();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    net::Loop own;
    auto node = make_sim_node(
        own, {.file = file, .account = "child", .initial = kInitial, .fee_ppm = 0}, random, clock);
    if (!node) _exit(2);
    auto payment =
        run_task(own, (*node)->pay({.bolt11 = made.bolt11, .amount = {}, .fee_limit = {}}));
    _exit(payment ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  merchant = open("merchant");
  EXPECT_EQ(run_task(loop, merchant->lookup_invoice(made.hash))->state,
            lightning::InvoiceState::settled);
}

TEST_F(SimTest, AMissingDirectoryIsSaid) {
  auto node = make_sim_node(
      loop, {.file = directory / "none" / "sim.db", .account = "a", .initial = {}, .fee_ppm = 0},
      random, clock);
  ASSERT_FALSE(node);
  EXPECT_NE(node.error().message().find("sim.file"), std::string::npos);
}

}  // namespace
}  // namespace octroi::sim
