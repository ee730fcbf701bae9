// octroi/ledger/session_contract.h: what every ledger::SessionStore must do, as tests: each outcome
// of each operation, random histories against a model, and many threads at once. For tests only;
// session_model_contract.h and session_race_contract.h belong to it.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, SessionContract, testing::Values(StoreUnderTest{"memory",
//   make}), store_name);
//
// Included by exactly one x_test.cc of each adapter.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/session_testing.h"
#include "octroi/ledger/sessions.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class SessionContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override {
    fixture_ = GetParam().make();
    ASSERT_NE(fixture_->store().sessions(), nullptr);
  }
  Store& store() { return fixture_->store(); }
  SessionStore& sessions() { return *store().sessions(); }
  void restart() { fixture_->restart(); }

  void add_invoices(std::uint32_t first, std::uint32_t last) {
    std::vector<InvoiceRecord> all;
    for (std::uint32_t n = first; n <= last; ++n) all.push_back(invoice_of(n));
    ASSERT_TRUE(sync(store().record_invoices(std::move(all))));
  }
  /// Session n: 10'000 msat on hash n, opened at kStart + 1 min.
  void open(std::uint32_t n, Msat first_debit = 0_msat) {
    add_invoices(n, n);
    OpenSession request = open_of(n);
    request.first_debit = first_debit;
    ASSERT_EQ(opened(std::move(request)).proof.state, ConsumeState::fresh);
  }
  OpenOutcome opened(OpenSession r) { return value(sessions().open_session(std::move(r))); }
  SessionResult debit(std::uint32_t n, Msat amount, UnixMillis now = kUsed,
                      std::string service = "weather") {
    return value(sessions().debit_session(hash_of(n), std::move(service), amount, now));
  }
  SessionResult give_back(std::uint32_t n, Msat amount, UnixMillis now = kUsed) {
    return value(sessions().give_back(hash_of(n), amount, now));
  }
  TopUpOutcome top_up(TopUp r) { return value(sessions().top_up_session(std::move(r))); }
  CloseOutcome close(CloseSession r) { return value(sessions().close_session(std::move(r))); }
  std::optional<Session> claim(std::uint32_t n, UnixMillis now = kUsed) {
    return value(sessions().claim_refund(hash_of(n), now));
  }
  SessionOutcome record(std::uint32_t n, RefundStage stage, Msat fee = 0_msat,
                        std::string detail = "", UnixMillis now = kUsed) {
    return value(sessions().record_refund(hash_of(n), stage, fee, std::move(detail), now));
  }
  SessionOutcome retry(std::uint32_t n, UnixMillis now = kUsed) {
    return value(sessions().retry_refund(hash_of(n), now));
  }
  Session find(std::uint32_t n) {
    auto found = value(sessions().find_session(hash_of(n)));
    EXPECT_TRUE(found) << n;
    return found ? *std::move(found) : Session{};
  }
  SessionTotals totals() { return value(sessions().session_totals()); }
  std::vector<std::uint32_t> list(SessionFilter f = {}) {
    return numbers(value(sessions().list_sessions(std::move(f))));
  }
  std::vector<std::uint32_t> idle(UnixMillis now, int limit = 100) {
    return numbers(value(sessions().idle_sessions(now, limit)));
  }
  std::vector<std::uint32_t> unfinished(UnixMillis now, Millis stale = std::chrono::hours(1)) {
    return numbers(value(sessions().unfinished_refunds(now, stale)));
  }
  bool is_consumed(std::uint32_t n) { return value(store().is_consumed(hash_of(n))); }

  template <class T>
  static T value(Task<Result<T>> task) {
    auto out = sync(std::move(task));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : T{};
  }
  template <class T>
  static bool refused(Task<Result<T>> task) {
    const auto out = sync(std::move(task));
    return !out && out.error().is(Errc::bad_amount);
  }

  std::unique_ptr<StoreFixture> fixture_;
};

using Numbers = std::vector<std::uint32_t>;

// --- opening
// -----------------------------------------------------------------------------------------

TEST_P(SessionContract, AnOpenedSessionIsFoundAsItWasOpened) {
  add_invoices(1, 1);
  OpenSession request = open_of(1);
  request.first_debit = 2'001_msat;
  const OpenOutcome out = opened(request);
  EXPECT_EQ(out.proof.state, ConsumeState::fresh);
  EXPECT_FALSE(out.return_invoice_taken);
  ASSERT_TRUE(out.session);
  restart();
  const Session s = find(1);
  EXPECT_EQ(describe(s), describe(*out.session));
  EXPECT_EQ(s.id, hash_of(1));
  EXPECT_EQ(s.service, "weather");
  EXPECT_EQ(s.return_invoice, request.return_invoice);
  EXPECT_EQ(s.return_hash, request.return_hash);
  EXPECT_EQ(s.deposit, 10'000_msat);
  EXPECT_EQ(s.spent, 2'001_msat);
  EXPECT_EQ(s.balance(), 7'999_msat);
  EXPECT_EQ(s.opened, request.proof.now);
  EXPECT_EQ(s.last_used, request.proof.now);
  EXPECT_EQ(s.idle_timeout, request.idle_timeout);
  EXPECT_EQ(s.state, SessionState::open);
  EXPECT_EQ(s.reason, CloseReason::none);
  EXPECT_FALSE(s.closed);
  EXPECT_EQ(s.refund.stage, RefundStage::none);
  EXPECT_EQ(s.refund.attempts, 0);
  EXPECT_FALSE(value(sessions().find_session(hash_of(2))));
}

TEST_P(SessionContract, AnOpenNeedsAnInvoiceOfOurs) {
  const OpenOutcome out = opened(open_of(1));
  EXPECT_EQ(out.proof.state, ConsumeState::unknown_hash);
  EXPECT_FALSE(out.session);
  EXPECT_FALSE(value(sessions().find_session(hash_of(1))));
  open(1);  // nothing was left behind
}

TEST_P(SessionContract, TheSameOpenReplaysWithoutAnIdempotencyKeyOfTheClient) {
  open(1);
  OpenOutcome again = opened(open_of(1));
  EXPECT_EQ(again.proof.state, ConsumeState::pending);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of("opened"))));
  ASSERT_EQ(debit(1, 500_msat).outcome, SessionOutcome::applied);
  for (const bool after_restart : {false, true}) {
    if (after_restart) restart();
    again = opened(open_of(1));
    EXPECT_EQ(again.proof.state, ConsumeState::replay);
    ASSERT_TRUE(again.proof.response);
    EXPECT_EQ(again.proof.response->body, "opened");
    ASSERT_TRUE(again.session);
    EXPECT_EQ(again.session->spent, 500_msat) << "a replay debits nothing, and tells what is now";
  }
}

TEST_P(SessionContract, AnOpenWhoseAnswerWasLostIsUnfinished) {
  open(1, 100_msat);
  restart();
  const OpenOutcome again = opened(open_of(1));
  EXPECT_EQ(again.proof.state, ConsumeState::unfinished);
  ASSERT_TRUE(again.session);
  EXPECT_EQ(again.session->spent, 100_msat);
}

TEST_P(SessionContract, ADepositIsClaimedOnceOverEverything) {
  add_invoices(1, 5);
  open(9);
  ASSERT_EQ(sync(store().consume(consume_of(1)))->state, ConsumeState::fresh);
  EXPECT_EQ(opened(open_of(1)).proof.state, ConsumeState::spent) << "a charge, then an open";
  ASSERT_EQ(top_up(top_up_of(2, 9)).outcome, SessionOutcome::applied);
  EXPECT_EQ(opened(open_of(2)).proof.state, ConsumeState::spent) << "a top-up, then an open";
  open(3);
  EXPECT_EQ(sync(store().consume(consume_of(3)))->state, ConsumeState::spent) << "open, charge";
  const TopUpOutcome credited = top_up(top_up_of(3, 9));
  EXPECT_EQ(credited.outcome, SessionOutcome::replayed) << "open, top-up";
  EXPECT_EQ(credited.proof.state, ConsumeState::spent);
  EXPECT_FALSE(credited.session) << "whoever has not paid is not told";
  OpenSession other = open_of(3);
  other.proof.payload = digest_of(77);
  other.return_hash = return_hash_of(50);
  const OpenOutcome stolen = opened(other);
  EXPECT_EQ(stolen.proof.state, ConsumeState::spent) << "another payload over the same challenge";
  EXPECT_FALSE(stolen.session);
  EXPECT_EQ(find(9).deposit, 20'000_msat);
  EXPECT_EQ(totals().deposits, 30'000_msat);
}

TEST_P(SessionContract, AReturnInvoiceIsTakenOnceAndForGood) {
  open(1);
  add_invoices(2, 3);
  OpenSession second = open_of(2);
  second.return_hash = return_hash_of(1);
  OpenOutcome out = opened(second);
  EXPECT_TRUE(out.return_invoice_taken);
  EXPECT_FALSE(out.session);
  EXPECT_FALSE(is_consumed(2)) << "nothing was consumed";
  ASSERT_EQ(close(close_of(1)).outcome, SessionOutcome::applied);
  restart();
  EXPECT_TRUE(opened(second).return_invoice_taken) << "also that of a session which has ended";
  OpenSession circle = open_of(3);
  circle.return_hash = hash_of(3);
  EXPECT_TRUE(opened(circle).return_invoice_taken) << "a deposit cannot be its own refund";
  EXPECT_EQ(opened(open_of(2)).proof.state, ConsumeState::fresh) << "with an invoice of its own";
  EXPECT_EQ(opened(open_of(1)).proof.state, ConsumeState::unfinished) << "no second use";
}

TEST_P(SessionContract, AmountsThatCannotBeBookedAreRefused) {
  add_invoices(1, 2);
  OpenSession nothing = open_of(1);
  nothing.deposit = 0_msat;
  EXPECT_TRUE(refused(sessions().open_session(nothing)));
  OpenSession too_dear = open_of(1);
  too_dear.first_debit = 10'001_msat;
  EXPECT_TRUE(refused(sessions().open_session(too_dear)));
  EXPECT_FALSE(is_consumed(1));
  OpenSession all = open_of(1);
  all.first_debit = all.deposit;
  EXPECT_EQ(opened(all).proof.state, ConsumeState::fresh);
  EXPECT_TRUE(refused(sessions().debit_session(hash_of(1), "weather", 0_msat, kUsed)));
  EXPECT_TRUE(refused(sessions().give_back(hash_of(1), 0_msat, kUsed)));
  TopUp empty = top_up_of(2, 1);
  empty.amount = 0_msat;
  EXPECT_TRUE(refused(sessions().top_up_session(empty)));
  EXPECT_TRUE(
      refused(sessions().record_refund(hash_of(1), RefundStage::sending, 0_msat, "", kUsed)));
}

TEST_P(SessionContract, ADepositBeyondAllMoneyIsAnErrorAndConsumesNothing) {
  open(1);
  add_invoices(2, 2);
  TopUp huge = top_up_of(2, 1);
  huge.amount = Msat::from_raw_unchecked(Msat::kMax);
  EXPECT_FALSE(sync(sessions().top_up_session(huge)));
  EXPECT_FALSE(is_consumed(2));
  EXPECT_EQ(find(1).deposit, 10'000_msat);
}

// --- spending
// ----------------------------------------------------------------------------------------

TEST_P(SessionContract, EachOutcomeOfADebit) {
  open(1);
  open(2);
  ASSERT_EQ(close(close_of(2)).outcome, SessionOutcome::applied);
  struct Row {
    const char* name;
    std::uint32_t session;
    const char* service;
    Msat amount;
    SessionOutcome outcome;
    Msat spent_after;
  };
  const std::vector<Row> rows = {
      {"part", 1, "weather", 4'000_msat, SessionOutcome::applied, 4'000_msat},
      {"unknown", 7, "weather", 1_msat, SessionOutcome::not_found, 4'000_msat},
      {"other service", 1, "maps", 1_msat, SessionOutcome::not_found, 4'000_msat},
      {"ended", 2, "weather", 1_msat, SessionOutcome::closed, 4'000_msat},
      {"one too many", 1, "weather", 6'001_msat, SessionOutcome::insufficient, 4'000_msat},
      {"to the last", 1, "weather", 6'000_msat, SessionOutcome::applied, 10'000_msat},
      {"empty", 1, "weather", 1_msat, SessionOutcome::insufficient, 10'000_msat},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const SessionResult out = debit(row.session, row.amount, kUsed, row.service);
    EXPECT_EQ(out.outcome, row.outcome);
    EXPECT_EQ(out.session.has_value(), row.outcome != SessionOutcome::not_found);
    if (out.session && row.session == 1) {
      EXPECT_EQ(out.session->spent, row.spent_after);
      EXPECT_EQ(describe(*out.session), describe(find(1)));
    }
    EXPECT_EQ(find(1).spent, row.spent_after);
  }
  EXPECT_EQ(find(2).spent, 0_msat);
}

TEST_P(SessionContract, GivingBackIsLimitedToWhatWasSpent) {
  open(1);
  ASSERT_EQ(debit(1, 700_msat).outcome, SessionOutcome::applied);
  EXPECT_EQ(give_back(1, 701_msat).outcome, SessionOutcome::insufficient);
  EXPECT_EQ(find(1).spent, 700_msat);
  EXPECT_EQ(give_back(1, 200_msat).outcome, SessionOutcome::applied);
  EXPECT_EQ(find(1).spent, 500_msat);
  EXPECT_EQ(give_back(3, 1_msat).outcome, SessionOutcome::not_found);
  ASSERT_EQ(close(close_of(1)).outcome, SessionOutcome::applied);
  const SessionResult late = give_back(1, 1_msat);
  EXPECT_EQ(late.outcome, SessionOutcome::closed);
  ASSERT_TRUE(late.session);
  EXPECT_EQ(late.session->spent, 500_msat) << "the refund is written down already";
}

TEST_P(SessionContract, UseIsRememberedAndNeverGoesBackwards) {
  open(1);
  ASSERT_EQ(debit(1, 1_msat, kUsed + Millis(50)).outcome, SessionOutcome::applied);
  ASSERT_EQ(debit(1, 1_msat, kUsed + Millis(20)).outcome, SessionOutcome::applied);
  EXPECT_EQ(find(1).last_used, kUsed + Millis(50)) << "clocks of replicas differ";
  ASSERT_EQ(debit(1, 999'999_msat, kUsed + Millis(70)).outcome, SessionOutcome::insufficient);
  EXPECT_EQ(find(1).last_used, kUsed + Millis(50)) << "what was refused changes nothing";
  ASSERT_EQ(give_back(1, 1_msat, kUsed + Millis(80)).outcome, SessionOutcome::applied);
  EXPECT_EQ(find(1).last_used, kUsed + Millis(80));
  EXPECT_EQ(find(1).opened, open_of(1).proof.now);
}

// --- topping up
// --------------------------------------------------------------------------------------

TEST_P(SessionContract, EachOutcomeOfATopUp) {
  open(1);
  open(2);
  add_invoices(10, 13);
  ASSERT_EQ(close(close_of(2)).outcome, SessionOutcome::applied);

  TopUpOutcome out = top_up(top_up_of(10, 1));
  EXPECT_EQ(out.outcome, SessionOutcome::applied);
  EXPECT_EQ(out.proof.state, ConsumeState::fresh);
  ASSERT_TRUE(out.session);
  EXPECT_EQ(out.session->deposit, 20'000_msat);
  EXPECT_EQ(out.session->last_used, top_up_of(10, 1).proof.now);

  EXPECT_EQ(top_up(top_up_of(11, 7)).outcome, SessionOutcome::not_found);
  TopUp elsewhere = top_up_of(11, 1);
  elsewhere.proof.service = "maps";
  EXPECT_EQ(top_up(elsewhere).outcome, SessionOutcome::not_found);
  const TopUpOutcome ended = top_up(top_up_of(11, 2));
  EXPECT_EQ(ended.outcome, SessionOutcome::closed);
  ASSERT_TRUE(ended.session);
  EXPECT_EQ(ended.session->deposit, 10'000_msat);
  EXPECT_FALSE(is_consumed(11)) << "what could not be credited was not consumed";
  EXPECT_EQ(top_up(top_up_of(11, 1)).outcome, SessionOutcome::applied);

  const TopUpOutcome unknown = top_up(top_up_of(99, 1));
  EXPECT_EQ(unknown.outcome, SessionOutcome::replayed);
  EXPECT_EQ(unknown.proof.state, ConsumeState::unknown_hash);
  EXPECT_FALSE(unknown.session);
  EXPECT_EQ(find(1).deposit, 30'000_msat);
}

TEST_P(SessionContract, ATopUpReplaysItsAnswerAndAddsOnce) {
  open(1);
  add_invoices(10, 10);
  ASSERT_EQ(top_up(top_up_of(10, 1)).outcome, SessionOutcome::applied);
  EXPECT_EQ(top_up(top_up_of(10, 1)).proof.state, ConsumeState::pending);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(10), answer_of("ok"))));
  ASSERT_EQ(close(close_of(1)).outcome, SessionOutcome::applied);
  restart();
  const TopUpOutcome again = top_up(top_up_of(10, 1));
  EXPECT_EQ(again.outcome, SessionOutcome::replayed) << "also when the session has ended";
  EXPECT_EQ(again.proof.state, ConsumeState::replay);
  ASSERT_TRUE(again.proof.response);
  EXPECT_EQ(again.proof.response->body, "ok");
  ASSERT_TRUE(again.session);
  EXPECT_EQ(again.session->deposit, 20'000_msat);
}

// --- closing
// -----------------------------------------------------------------------------------------

TEST_P(SessionContract, ClosingWritesDownTheRefundInWholeSatoshi) {
  struct Row {
    const char* name;
    Msat spent;
    Msat refund;
    Msat rounding;
    RefundStage stage;
  };
  const std::vector<Row> rows = {
      {"untouched", 0_msat, 10'000_msat, 0_msat, RefundStage::due},
      {"a rest below one satoshi", 1'001_msat, 8'000_msat, 999_msat, RefundStage::due},
      {"one satoshi", 9'000_msat, 1'000_msat, 0_msat, RefundStage::due},
      {"less than one", 9'001_msat, 0_msat, 999_msat, RefundStage::skipped},
      {"nothing", 10'000_msat, 0_msat, 0_msat, RefundStage::skipped},
  };
  std::uint32_t n = 0;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    open(++n, row.spent);
    CloseSession request = close_of(n);
    request.reason = CloseReason::operator_;
    const CloseOutcome out = close(request);
    EXPECT_EQ(out.outcome, SessionOutcome::applied);
    ASSERT_TRUE(out.session);
    EXPECT_EQ(describe(*out.session), describe(find(n)));
    EXPECT_EQ(out.session->state, SessionState::closed);
    EXPECT_EQ(out.session->reason, CloseReason::operator_);
    EXPECT_EQ(out.session->closed, request.now);
    EXPECT_EQ(out.session->refund.stage, row.stage);
    EXPECT_EQ(out.session->refund.amount, row.refund);
    EXPECT_EQ(out.session->refund.rounding, row.rounding);
    EXPECT_EQ(out.session->refund.updated, request.now);
    EXPECT_EQ(out.session->refund.attempts, 0);
  }
}

TEST_P(SessionContract, ACloseIsShownWithAChallengeThatIsClaimedAndNotSold) {
  open(1);
  add_invoices(20, 21);
  ASSERT_TRUE(sync(store().record_transactions(
      {transaction_of(20, Scheme::mpp_session), transaction_of(21, Scheme::mpp_session)})));
  const CloseSession request = close_with(20, 1);
  const CloseOutcome out = close(request);
  EXPECT_EQ(out.outcome, SessionOutcome::applied);
  EXPECT_EQ(out.proof.state, ConsumeState::fresh);
  EXPECT_TRUE(is_consumed(20));
  for (const Transaction& t : value(store().list_transactions({}))) {
    if (t.record.hash == hash_of(1)) continue;
    EXPECT_EQ(t.state, TransactionState::pending) << "nobody paid the invoice of a close";
  }
  CloseOutcome again = close(request);
  EXPECT_EQ(again.outcome, SessionOutcome::replayed);
  EXPECT_EQ(again.proof.state, ConsumeState::pending);
  ASSERT_TRUE(claim(1));
  ASSERT_EQ(record(1, RefundStage::succeeded, 3_msat), SessionOutcome::applied);
  restart();
  again = close(request);
  EXPECT_EQ(again.outcome, SessionOutcome::replayed);
  EXPECT_EQ(again.proof.state, ConsumeState::unfinished);
  ASSERT_TRUE(again.session) << "so that the answer can be given again, with how it ended";
  EXPECT_EQ(again.session->refund.stage, RefundStage::succeeded);
}

TEST_P(SessionContract, TheAnswerOfACloseIsReplayed) {
  open(1);
  add_invoices(20, 20);
  ASSERT_EQ(close(close_with(20, 1)).outcome, SessionOutcome::applied);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(20), answer_of("closed"))));
  const CloseOutcome again = close(close_with(20, 1));
  EXPECT_EQ(again.proof.state, ConsumeState::replay);
  ASSERT_TRUE(again.proof.response);
  EXPECT_EQ(again.proof.response->body, "closed");
}

TEST_P(SessionContract, EachOutcomeOfAClose) {
  open(1);
  open(2);
  add_invoices(20, 23);
  CloseSession elsewhere = close_with(20, 1);
  elsewhere.service = "maps";
  struct Row {
    const char* name;
    CloseSession request;
    SessionOutcome outcome;
    bool tells;
  };
  const std::vector<Row> rows = {
      {"unknown session", close_with(20, 7), SessionOutcome::not_found, false},
      {"other service", elsewhere, SessionOutcome::not_found, false},
      {"unknown challenge", close_with(99, 1), SessionOutcome::replayed, false},
      {"the deposit's own challenge again", close_with(1, 1), SessionOutcome::replayed, false},
      {"ended by this", close_with(21, 1), SessionOutcome::applied, true},
      {"ended before, another challenge", close_with(20, 1), SessionOutcome::closed, true},
      {"ended before, by the operator", close_of(1), SessionOutcome::replayed, true},
      {"the challenge of another close", close_with(21, 2), SessionOutcome::replayed, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const CloseOutcome out = close(row.request);
    EXPECT_EQ(out.outcome, row.outcome);
    EXPECT_EQ(out.session.has_value(), row.tells);
  }
  EXPECT_FALSE(is_consumed(20)) << "what ended nothing claimed nothing";
  EXPECT_EQ(find(2).state, SessionState::open);
}

TEST_P(SessionContract, TheReaperEndsOnlyWhatIsIdle) {
  open(1);  // at kStart + 1 min, for 5 min
  CloseSession reap = close_of(1);
  reap.reason = CloseReason::idle;
  reap.only_if_idle = true;
  reap.now = kUsed + std::chrono::minutes(5);
  ASSERT_EQ(debit(1, 1_msat, kUsed + Millis(1)).outcome, SessionOutcome::applied);
  const CloseOutcome used = close(reap);
  EXPECT_EQ(used.outcome, SessionOutcome::replayed);
  ASSERT_TRUE(used.session);
  EXPECT_EQ(used.session->state, SessionState::open);
  reap.now = reap.now + Millis(1);
  EXPECT_EQ(close(reap).outcome, SessionOutcome::applied);
  EXPECT_EQ(find(1).reason, CloseReason::idle);
}

TEST_P(SessionContract, IdleSessionsComeOldestUseFirst) {
  for (std::uint32_t n = 1; n <= 5; ++n) open(n);
  ASSERT_EQ(debit(1, 1_msat, kUsed + Millis(30)).outcome, SessionOutcome::applied);
  ASSERT_EQ(debit(2, 1_msat, kUsed + Millis(10)).outcome, SessionOutcome::applied);
  ASSERT_EQ(debit(3, 1_msat, kUsed + Millis(20)).outcome, SessionOutcome::applied);
  ASSERT_EQ(debit(4, 1_msat, kUsed + Millis(99)).outcome, SessionOutcome::applied);
  ASSERT_EQ(close(close_of(5)).outcome, SessionOutcome::applied);
  const UnixMillis later = kUsed + std::chrono::minutes(5);
  EXPECT_EQ(idle(later + Millis(9)), Numbers{});
  EXPECT_EQ(idle(later + Millis(30)), (Numbers{2, 3, 1}));
  EXPECT_EQ(idle(later + Millis(30), 2), (Numbers{2, 3}));
  EXPECT_EQ(idle(later + Millis(30), 0), (Numbers{2})) << "at least one";
}

// --- refunds
// -----------------------------------------------------------------------------------------

TEST_P(SessionContract, ARefundIsSentByOneAndItsEndIsWrittenOnce) {
  open(1);
  EXPECT_FALSE(claim(1)) << "open";
  EXPECT_FALSE(claim(2)) << "unknown";
  EXPECT_EQ(record(2, RefundStage::failed), SessionOutcome::not_found);
  ASSERT_EQ(close(close_of(1)).outcome, SessionOutcome::applied);
  EXPECT_EQ(record(1, RefundStage::failed), SessionOutcome::replayed) << "nobody has sent it";
  const auto mine = claim(1, kUsed + Millis(7));
  ASSERT_TRUE(mine);
  EXPECT_EQ(mine->refund.stage, RefundStage::sending);
  EXPECT_EQ(mine->refund.attempts, 1);
  EXPECT_EQ(mine->refund.updated, kUsed + Millis(7));
  EXPECT_EQ(mine->refund.amount, 10'000_msat);
  EXPECT_EQ(mine->return_invoice, open_of(1).return_invoice);
  EXPECT_FALSE(claim(1)) << "by one";
  EXPECT_EQ(record(1, RefundStage::succeeded, 12_msat, "", kUsed + Millis(9)),
            SessionOutcome::applied);
  EXPECT_EQ(record(1, RefundStage::failed, 0_msat, "late"), SessionOutcome::replayed);
  EXPECT_EQ(record(1, RefundStage::succeeded, 99_msat), SessionOutcome::replayed);
  EXPECT_EQ(retry(1), SessionOutcome::replayed);
  EXPECT_FALSE(claim(1));
  restart();
  const Refund r = find(1).refund;
  EXPECT_EQ(r.stage, RefundStage::succeeded);
  EXPECT_EQ(r.fee, 12_msat);
  EXPECT_EQ(r.attempts, 1);
  EXPECT_EQ(r.updated, kUsed + Millis(9));
}

TEST_P(SessionContract, AFailedRefundIsSentAgainWhenSomebodyAsks) {
  open(1);
  EXPECT_EQ(retry(1), SessionOutcome::replayed) << "open";
  EXPECT_EQ(retry(2), SessionOutcome::not_found);
  ASSERT_EQ(close(close_of(1)).outcome, SessionOutcome::applied);
  EXPECT_EQ(retry(1), SessionOutcome::replayed) << "due";
  ASSERT_TRUE(claim(1));
  EXPECT_EQ(retry(1), SessionOutcome::replayed) << "on its way";
  EXPECT_EQ(record(1, RefundStage::failed, 55_msat, "no route"), SessionOutcome::applied);
  EXPECT_EQ(find(1).refund.detail, "no route");
  EXPECT_EQ(find(1).refund.fee, 0_msat) << "what failed cost nothing";
  EXPECT_FALSE(claim(1)) << "not by itself";
  EXPECT_EQ(retry(1, kUsed + Millis(4)), SessionOutcome::applied);
  EXPECT_EQ(find(1).refund.stage, RefundStage::due);
  EXPECT_EQ(find(1).refund.updated, kUsed + Millis(4));
  const auto again = claim(1);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->refund.attempts, 2);
  EXPECT_EQ(again->refund.detail, "");
  EXPECT_EQ(record(1, RefundStage::succeeded, 1_msat), SessionOutcome::applied);
}

TEST_P(SessionContract, WhatTheNodePaidIsPaidWhateverWasWrittenBefore) {
  for (const bool retried : {false, true}) {
    const std::uint32_t n = retried ? 2 : 1;
    open(n);
    ASSERT_EQ(close(close_of(n)).outcome, SessionOutcome::applied);
    ASSERT_TRUE(claim(n));
    ASSERT_EQ(record(n, RefundStage::failed, 0_msat, "timeout"), SessionOutcome::applied);
    if (retried) ASSERT_EQ(retry(n), SessionOutcome::applied);
    EXPECT_EQ(record(n, RefundStage::succeeded, 2_msat), SessionOutcome::applied);
    EXPECT_EQ(find(n).refund.detail, "");
    EXPECT_FALSE(claim(n)) << "and is not sent again";
  }
}

TEST_P(SessionContract, UnfinishedRefundsAreThoseThatNobodyWillFinish) {
  for (std::uint32_t n = 1; n <= 6; ++n) {
    open(n, n == 6 ? 10'000_msat : 0_msat);
    if (n > 1) ASSERT_EQ(close(close_of(n)).outcome, SessionOutcome::applied);
    if (n > 2) EXPECT_EQ(claim(n, kUsed).has_value(), n != 6);
  }
  ASSERT_EQ(record(4, RefundStage::succeeded), SessionOutcome::applied);
  ASSERT_EQ(record(5, RefundStage::failed), SessionOutcome::applied);
  // 1 open, 2 due, 3 being sent by us, 4 paid, 5 failed, 6 skipped
  const Millis stale = std::chrono::minutes(2);
  EXPECT_EQ(unfinished(kUsed + stale - Millis(1), stale), (Numbers{2}));
  EXPECT_EQ(unfinished(kUsed + stale, stale), (Numbers{2, 3}));
  restart();
  if (fixture_->shared()) {
    EXPECT_EQ(unfinished(kUsed, stale), (Numbers{2})) << "another replica may be sending it";
  } else {
    const Numbers at_once = unfinished(kUsed, stale);
    EXPECT_TRUE(at_once == (Numbers{2, 3}) || at_once == (Numbers{2}))
        << "the sender is gone; on a shared database it might be another one that is alive";
    EXPECT_EQ(unfinished(kUsed + stale, stale), (Numbers{2, 3}));
  }
  EXPECT_FALSE(claim(3)) << "the node is asked first";
  EXPECT_EQ(record(3, RefundStage::failed, 0_msat, "never sent"), SessionOutcome::applied);
  EXPECT_EQ(unfinished(kUsed, stale), (Numbers{2}));
}

// --- lists and books
// ---------------------------------------------------------------------------------

TEST_P(SessionContract, SessionsAreFilteredAndPagedNewestFirst) {
  add_invoices(1, 6);
  for (std::uint32_t n = 1; n <= 6; ++n) {
    OpenSession request = open_of(n);
    if (n > 3) request.proof.service = "maps";
    ASSERT_EQ(opened(request).proof.state, ConsumeState::fresh);
  }
  for (const std::uint32_t n : {2U, 5U}) {
    CloseSession request = close_of(n);
    request.service.clear();
    ASSERT_EQ(close(request).outcome, SessionOutcome::applied);
  }
  ASSERT_TRUE(claim(5));
  ASSERT_EQ(record(5, RefundStage::failed), SessionOutcome::applied);

  SessionFilter f;
  EXPECT_EQ(list(f), (Numbers{6, 5, 4, 3, 2, 1}));
  f.service = "maps";
  EXPECT_EQ(list(f), (Numbers{6, 5, 4}));
  f.state = SessionState::open;
  EXPECT_EQ(list(f), (Numbers{6, 4}));
  f = {};
  f.state = SessionState::closed;
  EXPECT_EQ(list(f), (Numbers{5, 2}));
  f.refund = RefundStage::failed;
  EXPECT_EQ(list(f), (Numbers{5}));
  f = {};
  f.refund = RefundStage::due;
  EXPECT_EQ(list(f), (Numbers{2}));
  f = {};
  f.limit = 2;
  EXPECT_EQ(list(f), (Numbers{6, 5}));
  f.before = hash_of(5);
  EXPECT_EQ(list(f), (Numbers{4, 3}));
  f.limit = 0;  // at least one
  EXPECT_EQ(list(f), (Numbers{4}));
  f.before = hash_of(1);
  EXPECT_EQ(list(f), Numbers{});
  f.before = hash_of(77);
  EXPECT_EQ(list(f), Numbers{}) << "a cursor that is no session";
  f = {};
  f.service = "' OR 1=1 --";
  EXPECT_EQ(list(f), Numbers{});
}

TEST_P(SessionContract, DepositsAndTopUpsAreSettledTransactions) {
  add_invoices(1, 4);
  ASSERT_TRUE(sync(store().record_transactions(
      {transaction_of(1, Scheme::mpp_session), transaction_of(2, Scheme::mpp_session)})));
  ASSERT_EQ(opened(open_of(1)).proof.state, ConsumeState::fresh);
  ASSERT_EQ(top_up(top_up_of(2, 1)).outcome, SessionOutcome::applied);
  ASSERT_EQ(opened(open_of(3)).proof.state, ConsumeState::fresh);  // whose rows were lost
  ASSERT_EQ(top_up(top_up_of(4, 3)).outcome, SessionOutcome::applied);
  TransactionFilter sold;
  sold.state = TransactionState::settled;
  sold.scheme = Scheme::mpp_session;
  const auto rows = value(store().list_transactions(sold));
  ASSERT_EQ(rows.size(), 4U);
  for (const Transaction& t : rows) {
    EXPECT_EQ(t.record.amount, 10'000_msat);
    EXPECT_EQ(t.record.service, "weather");
    EXPECT_EQ(t.settled, open_of(1).proof.now);
  }
}

TEST_P(SessionContract, ASessionIsNeverForgotten) {
  open(1);
  open(2);
  add_invoices(20, 20);
  ASSERT_EQ(close(close_with(20, 2)).outcome, SessionOutcome::applied);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of("opened"))));
  ASSERT_TRUE(sync(store().prune(kStart + std::chrono::hours(24 * 365 * 10))));
  EXPECT_EQ(find(1).state, SessionState::open);
  EXPECT_EQ(find(2).state, SessionState::closed);
  EXPECT_TRUE(is_consumed(1));
  EXPECT_TRUE(is_consumed(2));
  EXPECT_FALSE(is_consumed(20)) << "the challenge of a close goes when it has ended";
  EXPECT_EQ(opened(open_of(1)).proof.state, ConsumeState::replay);
  EXPECT_EQ(sync(store().consume(consume_of(2)))->state, ConsumeState::spent);
  EXPECT_EQ(close(close_with(20, 2)).proof.state, ConsumeState::unknown_hash);
}

TEST_P(SessionContract, TheBooksBalance) {
  EXPECT_EQ(describe(totals()), describe(SessionTotals{}));
  for (std::uint32_t n = 1; n <= 4; ++n) open(n, 1'001_msat);
  for (std::uint32_t n = 2; n <= 4; ++n) {
    ASSERT_EQ(close(close_of(n)).outcome, SessionOutcome::applied);
    ASSERT_EQ(claim(n).has_value(), true);
  }
  ASSERT_EQ(record(2, RefundStage::succeeded, 7_msat), SessionOutcome::applied);
  ASSERT_EQ(record(3, RefundStage::failed), SessionOutcome::applied);
  SessionTotals expected;
  expected.deposits = 40'000_msat;
  expected.spent = 4'004_msat;
  expected.refunded = 8'000_msat;
  expected.refund_fees = 7_msat;
  expected.rounding = 2'997_msat;
  expected.open_balances = 8'999_msat;
  expected.unpaid_refunds = 16'000_msat;
  EXPECT_EQ(describe(totals()), describe(expected));
  EXPECT_TRUE(balanced(expected));
}

}  // namespace octroi::ledger

#include "octroi/ledger/session_model_contract.h"  // IWYU pragma: export
#include "octroi/ledger/session_race_contract.h"   // IWYU pragma: export
