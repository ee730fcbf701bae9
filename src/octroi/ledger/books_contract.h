// octroi/ledger/books_contract.h: what every store's sums must be: those of its rows, also when
// rows have been pruned. For tests only; instantiated as StoreContract is.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/session_testing.h"
#include "octroi/ledger/sessions.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

/// The books of a store, from its rows: those that are there, and those that pruning took.
class Books {
 public:
  using Key = std::tuple<std::int64_t, std::string, Scheme>;
  struct Sum {
    std::int64_t sales = 0;
    std::int64_t amount = 0;
    bool operator==(const Sum&) const = default;
  };
  using Sums = std::map<Key, Sum>;

  explicit Books(Store& store) : store_(&store) {}
  void use(Store& store) { store_ = &store; }

  /// Prunes, and remembers what went.
  PruneReport prune(UnixMillis now, Retention keep) {
    const auto rows = settled();
    const auto sessions = all_sessions();
    const auto report = sync(store_->prune(now, keep));
    EXPECT_TRUE(report);
    std::map<std::int64_t, bool> left;
    for (const Transaction& t : settled()) left[t.id] = true;
    for (const Transaction& t : rows) {
      if (!left.contains(t.id)) add(gone_, t);
    }
    std::map<PaymentHash, bool> open;
    for (const Session& s : all_sessions()) open[s.id] = true;
    for (const Session& s : sessions) {
      if (open.contains(s.id)) continue;
      EXPECT_TRUE(refund_is_over(s.refund.stage)) << describe(s);
      sessions_gone_.push_back(s);
    }
    return report.value_or(PruneReport{});
  }

  void expect_to_balance() {
    Sums rows = gone_;
    for (const Transaction& t : settled()) add(rows, t);
    Sums sums;
    const auto told = sync(store_->revenue({}));
    ASSERT_TRUE(told) << told.error().message();
    for (const Revenue& r : *told) {
      EXPECT_EQ(r.day.value % kDay.count(), 0);
      sums[{r.day.value, r.service, r.scheme}] = {r.sales, raw(r.amount)};
    }
    EXPECT_EQ(sums.size(), told->size()) << "one row a day, service and scheme";
    EXPECT_TRUE(sums == rows) << sums.size() << " sums, " << rows.size() << " from rows";

    SessionTotals expected;
    for (const Session& s : sessions_gone_) add(expected, s);
    for (const Session& s : all_sessions()) add(expected, s);
    const auto totals = sync(store_->sessions()->session_totals());
    ASSERT_TRUE(totals) << totals.error().message();
    EXPECT_EQ(describe(*totals), describe(expected));
    EXPECT_TRUE(balanced(*totals));
  }

  std::vector<Transaction> settled() {
    TransactionFilter filter;
    filter.state = TransactionState::settled;
    filter.limit = 1000;
    auto rows = sync(store_->list_transactions(filter));
    EXPECT_TRUE(rows);
    EXPECT_LT(rows->size(), 1000U) << "more than one page";
    return rows.value_or(std::vector<Transaction>{});
  }
  std::vector<Session> all_sessions() {
    SessionFilter filter;
    filter.limit = kMostSessions;
    auto rows = sync(store_->sessions()->list_sessions(filter));
    EXPECT_TRUE(rows);
    return rows.value_or(std::vector<Session>{});
  }
  [[nodiscard]] std::size_t gone() const { return gone_.size(); }
  [[nodiscard]] std::size_t sessions_gone() const { return sessions_gone_.size(); }

 private:
  static void add(Sums& sums, const Transaction& t) {
    const std::int64_t day = t.settled->value - t.settled->value % kDay.count();
    Sum& sum = sums[{day, t.record.service, t.record.scheme}];
    ++sum.sales;
    sum.amount += raw(t.record.amount);
  }
  static void add(Msat& sum, Msat amount) { sum = sum.plus(amount).value_or(sum); }
  static void add(SessionTotals& t, const Session& s) {
    add(t.deposits, s.deposit);
    add(t.spent, s.spent);
    if (s.state == SessionState::open) return add(t.open_balances, s.balance());
    add(t.rounding, s.refund.rounding);
    add(t.refund_fees, s.refund.fee);
    const bool paid = s.refund.stage == RefundStage::succeeded;
    add(paid ? t.refunded : t.unpaid_refunds, s.refund.amount);
  }

  Store* store_;
  Sums gone_;
  std::vector<Session> sessions_gone_;
};

class BooksContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  Store& store() { return fixture_->store(); }
  SessionStore& sessions() { return *store().sessions(); }
  void add_invoices(std::uint32_t from, std::uint32_t to) {
    std::vector<InvoiceRecord> all;
    for (std::uint32_t n = from; n < to; ++n) all.push_back(invoice_of(n));
    ASSERT_TRUE(sync(store().record_invoices(all)));
  }
  ConsumeState consume(ConsumeRequest r) {
    auto out = sync(store().consume(std::move(r)));
    EXPECT_TRUE(out);
    return out ? out->state : ConsumeState::spent;
  }
  std::unique_ptr<StoreFixture> fixture_;
};

constexpr Retention kKeepNothing{.transactions = Millis(0), .sessions = Millis(0)};

TEST_P(BooksContract, ASaleIsCountedOnceHoweverOftenItIsTold) {
  Books books(store());
  add_invoices(1, 4);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart)));
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart)));
  EXPECT_EQ(consume(consume_of(1)), ConsumeState::fresh);
  EXPECT_EQ(consume(consume_of(1)), ConsumeState::pending);
  EXPECT_EQ(consume(consume_of(2)), ConsumeState::fresh) << "its row was lost";
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(2, Scheme::mpp_charge)})));
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(3, Scheme::l402, "maps")})));
  const auto told = sync(store().revenue({}));
  ASSERT_TRUE(told);
  ASSERT_EQ(told->size(), 1U) << "what nobody paid is no revenue";
  EXPECT_EQ((*told)[0].service, "weather");
  EXPECT_EQ((*told)[0].sales, 2);
  EXPECT_EQ(raw((*told)[0].amount), 20'000);
  books.expect_to_balance();
}

TEST_P(BooksContract, RevenueIsByDayServiceAndScheme) {
  add_invoices(1, 6);
  const UnixMillis day{kStart.value - kStart.value % kDay.count()};
  const auto sell = [&](std::uint32_t n, Scheme scheme, const char* service, UnixMillis when) {
    ASSERT_TRUE(sync(store().record_transactions({transaction_of(n, scheme, service)})));
    EXPECT_TRUE(*sync(store().settle(hash_of(n), when)));
  };
  sell(1, Scheme::l402, "maps", day);
  sell(2, Scheme::mpp_charge, "maps", day + kDay - Millis(1));
  sell(3, Scheme::mpp_charge, "maps", day + kDay);
  sell(4, Scheme::mpp_charge, "maps", day + kDay);
  sell(5, Scheme::mpp_session, "weather", day + kDay * 2);
  const auto rows = [&](RevenueFilter f) {
    std::string out;
    const auto told = sync(store().revenue(std::move(f)));
    EXPECT_TRUE(told);
    for (const Revenue& r : *told) {
      out += fmt::format("{}:{}/{}/{}x{} ", (r.day - day) / kDay, r.service, to_string(r.scheme),
                         r.sales, raw(r.amount));
    }
    return out;
  };
  EXPECT_EQ(rows({}),
            "0:maps/l402/1x10000 0:maps/mpp_charge/1x10000 1:maps/mpp_charge/2x20000"
            " 2:weather/mpp_session/1x10000 ");
  EXPECT_EQ(rows({"weather", {}, {}}), "2:weather/mpp_session/1x10000 ");
  EXPECT_EQ(rows({"", day + kDay, day + kDay * 2}), "1:maps/mpp_charge/2x20000 ");
  EXPECT_EQ(rows({"nobody", {}, {}}), "");
}

TEST_P(BooksContract, PrunedRowsStayInTheSumsAndAreNotBookedAgain) {
  Books books(store());
  add_invoices(1, 4);
  for (const Scheme scheme : {Scheme::l402, Scheme::mpp_charge}) {
    const std::uint32_t n = scheme == Scheme::l402 ? 1 : 2;
    ASSERT_TRUE(sync(store().record_transactions({transaction_of(n, scheme)})));
    EXPECT_TRUE(*sync(store().settle(hash_of(n), kStart)));
  }
  Retention keep;
  keep.transactions = kDay * 30;
  keep.expired = kDay * 365;  // the invoices stay: what is over them may come later
  EXPECT_EQ(books.prune(kStart + kDay * 30 - Millis(1), keep).settled, 0);
  EXPECT_EQ(books.prune(kStart + kDay * 30, keep).settled, 2);
  EXPECT_TRUE(books.settled().empty());
  books.expect_to_balance();
  ConsumeRequest token = consume_of(1);
  token.scheme = Scheme::l402;
  EXPECT_EQ(consume(token), ConsumeState::fresh) << "a token may be used for the first time";
  EXPECT_EQ(consume(consume_of(2)), ConsumeState::fresh);
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart + kDay * 31)));
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::l402)})));
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(2, Scheme::mpp_charge)})));
  EXPECT_TRUE(books.settled().empty()) << "it was sold once";
  books.expect_to_balance();
}

TEST_P(BooksContract, TheInvoiceOfATokenOutlivesItsRow) {
  add_invoices(1, 3);
  for (const std::uint32_t n : {1U, 2U}) {
    const Scheme scheme = n == 1 ? Scheme::l402 : Scheme::mpp_charge;
    ASSERT_TRUE(sync(store().record_transactions({transaction_of(n, scheme)})));
    EXPECT_TRUE(*sync(store().settle(hash_of(n), kStart)));
  }
  ASSERT_TRUE(sync(store().prune(kStart + kDay * 400, kKeepNothing)));
  ASSERT_TRUE(sync(store().prune(kStart + kDay * 800, kKeepNothing)));
  EXPECT_TRUE(*sync(store().find_invoice(hash_of(1)))) << "its token may be valid for years";
  EXPECT_FALSE(*sync(store().find_invoice(hash_of(2))));
  EXPECT_EQ(consume(consume_of(2)), ConsumeState::unknown_hash);
}

TEST_P(BooksContract, WhatIsNotOverIsNeverPruned) {
  add_invoices(1, 8);
  Books books(store());
  const auto open = [&](std::uint32_t n) {
    ASSERT_EQ(sync(sessions().open_session(open_of(n)))->proof.state, ConsumeState::fresh);
  };
  for (std::uint32_t n = 1; n <= 5; ++n) open(n);
  // 1 stays open; 2 is due; 3 is being sent; 4 failed; 5 was paid.
  for (std::uint32_t n = 2; n <= 5; ++n) ASSERT_TRUE(sync(sessions().close_session(close_of(n))));
  for (std::uint32_t n = 3; n <= 5; ++n)
    ASSERT_TRUE(*sync(sessions().claim_refund(hash_of(n), kUsed)));
  ASSERT_TRUE(sync(sessions().record_refund(hash_of(4), RefundStage::failed, {}, "x", kUsed)));
  ASSERT_TRUE(
      sync(sessions().record_refund(hash_of(5), RefundStage::succeeded, 3_msat, "", kUsed)));
  EXPECT_EQ(books.prune(kUsed + kDay * 1000, kKeepNothing).sessions, 1);
  EXPECT_EQ(numbers(books.all_sessions()), (std::vector<std::uint32_t>{4, 3, 2, 1}));
  books.expect_to_balance();
  EXPECT_EQ(sync(sessions().open_session(open_of(5)))->proof.state, ConsumeState::unknown_hash);
  add_invoices(6, 7);
  OpenSession again = open_of(6);
  again.return_hash = return_hash_of(5);
  EXPECT_TRUE(sync(sessions().open_session(again))->return_invoice_taken)
      << "one return invoice, one refund, for good";
  EXPECT_EQ(books.all_sessions().size(), 4U);
  // The operator retries the failed one; then it may go, too.
  ASSERT_EQ(*sync(sessions().retry_refund(hash_of(4), kUsed)), SessionOutcome::applied);
  ASSERT_TRUE(*sync(sessions().claim_refund(hash_of(4), kUsed)));
  ASSERT_TRUE(
      sync(sessions().record_refund(hash_of(4), RefundStage::succeeded, 1_msat, "", kUsed)));
  EXPECT_EQ(books.prune(kUsed + kDay * 1000, kKeepNothing).sessions, 1);
  books.expect_to_balance();
  fixture_->restart();
  books.use(store());
  books.expect_to_balance();
}

TEST_P(BooksContract, WithoutARetentionRowsStayForGood) {
  add_invoices(1, 3);
  Books books(store());
  ASSERT_EQ(sync(sessions().open_session(open_of(1)))->proof.state, ConsumeState::fresh);
  ASSERT_TRUE(sync(sessions().close_session(close_of(1))));
  ASSERT_TRUE(*sync(sessions().claim_refund(hash_of(1), kUsed)));
  ASSERT_TRUE(sync(sessions().record_refund(hash_of(1), RefundStage::succeeded, {}, "", kUsed)));
  ASSERT_EQ(consume(consume_of(2)), ConsumeState::fresh);
  const PruneReport report = books.prune(kUsed + kDay * 100'000, Retention{});
  EXPECT_EQ(report.settled + report.sessions, 0);
  EXPECT_EQ(books.settled().size(), 2U);
  EXPECT_EQ(books.all_sessions().size(), 1U);
}

TEST_P(BooksContract, ExpiredRowsAreKeptAsLongAsTold) {
  add_invoices(1, 2);
  Retention keep;
  keep.expired = kDay * 10;
  const UnixMillis end = kStart + std::chrono::minutes(15) + kDay * 10;
  EXPECT_EQ(sync(store().prune(end - Millis(1), keep))->invoices, 0);
  EXPECT_EQ(sync(store().prune(end, keep))->invoices, 1);
}

TEST_P(BooksContract, PruningManyTakesAllOfThem) {
  add_invoices(1, 1202);
  std::vector<TransactionRecord> rows;
  for (std::uint32_t n = 1; n < 1202; ++n) rows.push_back(transaction_of(n, Scheme::mpp_charge));
  ASSERT_TRUE(sync(store().record_transactions(rows)));
  for (std::uint32_t n = 1; n < 1202; ++n) ASSERT_TRUE(sync(store().settle(hash_of(n), kStart)));
  EXPECT_EQ(sync(store().prune(kStart + kDay, kKeepNothing))->settled, 1201);
  const auto told = sync(store().revenue({}));
  ASSERT_EQ(told->size(), 1U);
  EXPECT_EQ((*told)[0].sales, 1201);
  EXPECT_EQ(raw((*told)[0].amount), 12'010'000);
}

/// Anything that moves money, at random, with pruning in between.
class BooksWalk {
 public:
  BooksWalk(StoreFixture& fixture, std::uint64_t seed) : fixture_(fixture), random_(seed) {}

  void step(Books& books) {
    Store& store = fixture_.store();
    SessionStore& sessions = *store.sessions();
    now_ = now_ + Millis(pick(3'000'000));
    const std::uint32_t n = pick(60);
    switch (pick(14)) {
      case 0:
        // New hashes all the time: what is pruned does not come back.
        first_ += pick(3);
        for (std::uint32_t i = 0; i < 4; ++i)
          must(store.record_invoices({young(first_ + pick(60))}));
        return;
      case 1:
      case 2:
        return must(store.record_transactions({transaction_of(first_ + n, scheme(), service())}));
      case 3:
        return must(store.settle(hash_of(first_ + n), now_));
      case 4:
      case 5: {
        ConsumeRequest r = consume_of(first_ + n);
        r.scheme = scheme();
        r.service = service();
        r.now = now_;
        r.keep_until = now_ + Millis(pick(1'000'000));
        return must(store.consume(r));
      }
      case 6: {
        OpenSession r = open_of(first_ + n);
        r.proof.now = now_;
        r.deposit = Msat::from_raw_unchecked(1 + pick(30'000));
        return must(sessions.open_session(r));
      }
      case 7: {
        TopUp r = top_up_of(first_ + n, some(books));
        r.proof.now = now_;
        r.amount = Msat::from_raw_unchecked(1 + pick(30'000));
        return must(sessions.top_up_session(r));
      }
      case 8:
        return must(sessions.debit_session(hash_of(some(books)), "weather",
                                           Msat::from_raw_unchecked(1 + pick(9'000)), now_));
      case 9:
        return must(sessions.give_back(hash_of(some(books)),
                                       Msat::from_raw_unchecked(1 + pick(3'000)), now_));
      case 10: {
        CloseSession r = close_of(some(books));
        r.now = now_;
        return must(sessions.close_session(r));
      }
      case 11:
      case 12: {
        const PaymentHash id = hash_of(some(books));
        must(sessions.claim_refund(id, now_));
        const bool paid = pick(3) != 0;
        must(sessions.record_refund(id, paid ? RefundStage::succeeded : RefundStage::failed,
                                    Msat::from_raw_unchecked(pick(50)), "", now_));
        return must(sessions.retry_refund(id, now_));
      }
      default: {
        if (pick(3) != 0) return;
        Retention keep;
        if (pick(2) == 0) keep.transactions = Millis(pick(40'000'000));
        if (pick(2) == 0) keep.sessions = Millis(pick(40'000'000));
        books.prune(now_, keep);
        return;
      }
    }
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  Scheme scheme() { return pick(2) == 0 ? Scheme::l402 : Scheme::mpp_charge; }
  std::string service() { return pick(3) == 0 ? "maps" : "weather"; }
  InvoiceRecord young(std::uint32_t n) {
    InvoiceRecord r = invoice_of(n);
    r.created = now_;
    r.expires = now_ + std::chrono::minutes(15);
    return r;
  }
  std::uint32_t some(Books& books) {
    const auto all = numbers(books.all_sessions());
    return all.empty()
               ? 1
               : all[pick(static_cast<std::uint32_t>(std::min<std::size_t>(all.size(), 8)))];
  }
  template <class T>
  static void must(Task<Result<T>> task) {
    const auto out = sync(std::move(task));
    EXPECT_TRUE(out) << out.error().message();
  }

  StoreFixture& fixture_;
  std::mt19937_64 random_;
  UnixMillis now_ = kStart;
  std::uint32_t first_ = 1;
};

TEST_P(BooksContract, SumsAreThoseOfTheRowsWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    fixture_ = GetParam().make();
    Books books(store());
    BooksWalk walk(*fixture_, seed);
    for (int i = 0; i < 600 && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      walk.step(books);
      if (i % 40 == 39) books.expect_to_balance();
    }
    fixture_->restart();
    books.use(store());
    books.expect_to_balance();
    EXPECT_GE(books.gone(), 3U) << "the walk must have pruned something";
    EXPECT_GE(books.sessions_gone(), 2U);
  }
}

TEST_P(BooksContract, ManyWhoSellAtOnceLoseNothingOfTheSum) {
  constexpr std::uint32_t kThreads = 12;
  constexpr std::uint32_t kEach = 12;
  add_invoices(1, 1 + kThreads * kEach * 2);
  Retention keep = kKeepNothing;
  keep.expired = kDay * 365;  // what nobody has used yet is used later
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        const std::uint32_t n = 1 + (t * kEach + i) * 2;
        ConsumeRequest sale = consume_of(n);
        sale.service = i % 2 == 0 ? "weather" : "maps";
        EXPECT_TRUE(sync(store().consume(sale)));
        EXPECT_TRUE(sync(sessions().open_session(open_of(n + 1))));
        EXPECT_TRUE(sync(sessions().debit_session(hash_of(n + 1), "weather", 1'234_msat, kUsed)));
        EXPECT_TRUE(sync(sessions().close_session(close_of(n + 1))));
        EXPECT_TRUE(sync(sessions().claim_refund(hash_of(n + 1), kUsed)));
        EXPECT_TRUE(sync(
            sessions().record_refund(hash_of(n + 1), RefundStage::succeeded, 7_msat, "", kUsed)));
        if (i % 4 == 3) EXPECT_TRUE(sync(store().prune(kUsed + kDay * 3, keep)));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  constexpr std::int64_t kAll = kThreads * kEach;
  std::map<Scheme, std::int64_t> sales;
  std::map<Scheme, std::int64_t> amount;
  const auto told = sync(store().revenue({}));
  ASSERT_TRUE(told);
  for (const Revenue& r : *told) {
    sales[r.scheme] += r.sales;
    amount[r.scheme] += raw(r.amount);
  }
  EXPECT_EQ(sales[Scheme::mpp_charge], kAll);
  EXPECT_EQ(amount[Scheme::mpp_charge], kAll * 10'000);
  EXPECT_EQ(sales[Scheme::mpp_session], kAll);
  const auto totals = sync(sessions().session_totals());
  ASSERT_TRUE(totals);
  EXPECT_EQ(raw(totals->deposits), kAll * 10'000);
  EXPECT_EQ(raw(totals->spent), kAll * 1'234);
  EXPECT_EQ(raw(totals->refunded), kAll * 8'000);
  EXPECT_EQ(raw(totals->rounding), kAll * 766);
  EXPECT_EQ(raw(totals->refund_fees), kAll * 7);
  EXPECT_TRUE(balanced(*totals));
}

}  // namespace octroi::ledger
