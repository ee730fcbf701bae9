// octroi/ledger/bundle_contract.h: what every ledger::BundleStore must do, as tests: each outcome
// of each operation, and many threads at once. For tests only.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, BundleContract, testing::Values(StoreUnderTest{"memory",
//   make}), store_name);
//
// Included by exactly one x_test.cc of each adapter.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "octroi/ledger/bundle_testing.h"
#include "octroi/ledger/bundles.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class BundleContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override {
    fixture_ = GetParam().make();
    ASSERT_NE(fixture_->store().bundles(), nullptr);
  }
  Store& store() { return fixture_->store(); }
  BundleStore& bundles() { return *store().bundles(); }

  void open(std::uint32_t n) {
    ASSERT_TRUE(sync(store().record_invoices({invoice_of(n)})));
    ASSERT_EQ(opened(bundle_of(n)).proof.state, ConsumeState::fresh);
  }
  OpenBundleOutcome opened(OpenBundle r) { return value(bundles().open_bundle(std::move(r))); }
  BundleResult debit(std::uint8_t n, std::int64_t units, std::int64_t bound = kMostUnits,
                     UnixMillis now = kShown) {
    return value(bundles().debit_bundle(token_of(n), units, bound, now));
  }
  BundleResult give_back(std::uint8_t n, std::int64_t units, UnixMillis now = kShown) {
    return value(bundles().return_units(token_of(n), units, now));
  }
  Bundle find(std::uint8_t n) {
    const auto found = value(bundles().find_bundle(token_of(n)));
    EXPECT_TRUE(found) << int{n};
    return found.value_or(Bundle{});
  }
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

TEST_P(BundleContract, AnOpenedBundleIsFoundAsItWasSold) {
  open(1);
  fixture_->restart();
  const Bundle b = find(1);
  EXPECT_EQ(b.id, token_of(1));
  EXPECT_EQ(b.hash, hash_of(1));
  EXPECT_EQ(b.service, "weather");
  EXPECT_EQ(b.unit, "request");
  EXPECT_EQ(b.granted, 50);
  EXPECT_EQ(b.used, 0);
  EXPECT_EQ(b.left(), 50);
  EXPECT_EQ(b.sold, invoice_of(1).amount);
  EXPECT_EQ(b.opened, kShown);
  EXPECT_EQ(b.last_used, kShown);
  EXPECT_EQ(b.keep_until, kTokenEnds);
  EXPECT_FALSE(value(bundles().find_bundle(token_of(2))));
}

TEST_P(BundleContract, NoBundleWithoutAnInvoiceOfOurs) {
  const OpenBundleOutcome out = opened(bundle_of(1));
  EXPECT_EQ(out.proof.state, ConsumeState::unknown_hash);
  EXPECT_FALSE(out.bundle);
  EXPECT_FALSE(value(bundles().find_bundle(token_of(1))));
  EXPECT_EQ(debit(1, 1).outcome, BundleOutcome::not_found);
  EXPECT_EQ(give_back(1, 1).outcome, BundleOutcome::not_found);
}

TEST_P(BundleContract, ATokenShownAgainFindsWhatIsLeftAndIsNotSoldTwice) {
  open(1);
  EXPECT_EQ(debit(1, 7).bundle->used, 7);
  for (const bool restarted : {false, true}) {
    if (restarted) fixture_->restart();
    OpenBundle again = bundle_of(1);
    again.granted = 5000;  // a forged or a foreign number changes nothing
    again.keep_until = UnixMillis{1};
    const OpenBundleOutcome out = opened(again);
    EXPECT_NE(out.proof.state, ConsumeState::fresh);
    EXPECT_NE(out.proof.state, ConsumeState::spent);
    ASSERT_TRUE(out.bundle);
    EXPECT_EQ(out.bundle->used, 7);
    EXPECT_EQ(out.bundle->granted, 50);
    EXPECT_EQ(out.bundle->keep_until, kTokenEnds);
  }
  const auto rows = value(store().list_transactions({}));
  ASSERT_EQ(rows.size(), 1U) << "booked once, when it was sold";
  EXPECT_EQ(rows[0].state, TransactionState::settled);
  EXPECT_EQ(rows[0].record.amount, invoice_of(1).amount);
}

TEST_P(BundleContract, APaymentOfAnotherSchemeOpensNone) {
  ASSERT_TRUE(sync(store().record_invoices({invoice_of(1)})));
  ASSERT_EQ(value(store().consume(consume_of(1))).state, ConsumeState::fresh);
  const OpenBundleOutcome out = opened(bundle_of(1));
  EXPECT_EQ(out.proof.state, ConsumeState::spent);
  EXPECT_FALSE(out.bundle);
  EXPECT_FALSE(value(bundles().find_bundle(token_of(1))));
}

/// A holder may begin to count a token that was sold without a count.
TEST_P(BundleContract, ATokenThatWasClaimedBeforeCanBeginToCount) {
  ASSERT_TRUE(sync(store().record_invoices({invoice_of(1)})));
  ASSERT_EQ(value(store().consume(bundle_of(1).proof)).state, ConsumeState::fresh);
  const OpenBundleOutcome out = opened(bundle_of(1));
  EXPECT_NE(out.proof.state, ConsumeState::fresh);
  ASSERT_TRUE(out.bundle);
  EXPECT_EQ(out.bundle->left(), 50);
}

TEST_P(BundleContract, UnitsAreTakenWholeOrNotAtAll) {
  open(1);
  const BundleResult some = debit(1, 20, kMostUnits, kShown + Millis(5));
  EXPECT_EQ(some.outcome, BundleOutcome::applied);
  EXPECT_EQ(some.bundle->left(), 30);
  EXPECT_EQ(some.bundle->last_used, kShown + Millis(5));
  const BundleResult more = debit(1, 31);
  EXPECT_EQ(more.outcome, BundleOutcome::exhausted);
  EXPECT_EQ(more.bundle->used, 20);
  EXPECT_EQ(debit(1, 30).outcome, BundleOutcome::applied);
  EXPECT_EQ(debit(1, 1).outcome, BundleOutcome::exhausted);
  EXPECT_EQ(find(1).last_used, kShown + Millis(5)) << "an older clock does not turn it back";
}

TEST_P(BundleContract, EachCopyIsGoodWithinItsOwnBound) {
  open(1);
  EXPECT_EQ(debit(1, 10, 10).outcome, BundleOutcome::applied);
  EXPECT_EQ(debit(1, 1, 10).outcome, BundleOutcome::exhausted) << "the narrow copy";
  EXPECT_EQ(debit(1, 1, 50).outcome, BundleOutcome::applied) << "the whole token";
  EXPECT_EQ(debit(1, 10, 20).outcome, BundleOutcome::exhausted) << "11 are used by all";
  EXPECT_EQ(debit(1, 9, 20).outcome, BundleOutcome::applied);
  EXPECT_EQ(debit(1, 31, kMostUnits).outcome, BundleOutcome::exhausted)
      << "no bound reaches beyond what was sold";
}

TEST_P(BundleContract, WhatWasNotDeliveredComesBackAndNoMore) {
  open(1);
  EXPECT_EQ(debit(1, 30).outcome, BundleOutcome::applied);
  const BundleResult back = give_back(1, 12);
  EXPECT_EQ(back.outcome, BundleOutcome::applied);
  EXPECT_EQ(back.bundle->used, 18);
  EXPECT_EQ(give_back(1, 19).outcome, BundleOutcome::exhausted);
  EXPECT_EQ(find(1).used, 18);
  EXPECT_EQ(give_back(1, 18).outcome, BundleOutcome::applied);
  EXPECT_EQ(find(1).used, 0);
}

TEST_P(BundleContract, TokensDoNotShareARow) {
  open(1);
  open(2);
  EXPECT_EQ(debit(1, 50).outcome, BundleOutcome::applied);
  EXPECT_EQ(debit(2, 50).outcome, BundleOutcome::applied);
  EXPECT_EQ(debit(1, 1).outcome, BundleOutcome::exhausted);
}

TEST_P(BundleContract, WhatCannotBeCountedIsRefused) {
  open(1);
  for (const std::int64_t wrong : {std::int64_t{0}, std::int64_t{-1}, kMostUnits + 1}) {
    SCOPED_TRACE(wrong);
    EXPECT_TRUE(refused(bundles().debit_bundle(token_of(1), wrong, kMostUnits, kShown)));
    EXPECT_TRUE(refused(bundles().return_units(token_of(1), wrong, kShown)));
    OpenBundle r = bundle_of(1);
    r.granted = wrong;
    EXPECT_TRUE(refused(bundles().open_bundle(r)));
  }
  OpenBundle nameless = bundle_of(1);
  nameless.proof.token_id.reset();
  EXPECT_TRUE(refused(bundles().open_bundle(nameless)));
  EXPECT_EQ(find(1).used, 0);
}

TEST_P(BundleContract, ListsNewestFirstInPages) {
  for (std::uint32_t n = 1; n <= 5; ++n) {
    ASSERT_TRUE(sync(store().record_invoices({invoice_of(n)})));
    OpenBundle r = bundle_of(n);
    if (n == 3) r.proof.service = "maps";
    opened(r);
  }
  const auto page = [&](BundleFilter f) {
    std::string out;
    for (const Bundle& b : value(bundles().list_bundles(std::move(f)))) {
      for (std::uint8_t n = 1; n <= 5; ++n) out += b.id == token_of(n) ? std::to_string(n) : "";
    }
    return out;
  };
  EXPECT_EQ(page({}), "54321");
  EXPECT_EQ(page({.service = "weather", .before = {}, .limit = 2}), "54");
  EXPECT_EQ(page({.service = "weather", .before = token_of(4), .limit = 2}), "21");
  EXPECT_EQ(page({.service = "maps", .before = {}, .limit = 9}), "3");
  EXPECT_EQ(page({.service = {}, .before = token_of(9), .limit = 9}), "") << "an unknown cursor";
}

TEST_P(BundleContract, TotalsAreByServiceAndUnit) {
  EXPECT_TRUE(value(bundles().bundle_totals()).empty());
  for (std::uint32_t n = 1; n <= 3; ++n) {
    ASSERT_TRUE(sync(store().record_invoices({invoice_of(n)})));
    OpenBundle r = bundle_of(n);
    if (n == 3) {
      r.unit = "token";
      r.granted = 100'000;
    }
    opened(r);
  }
  debit(1, 20);
  debit(2, 30);
  debit(3, 999);
  std::string told;
  for (const BundleTotals& t : value(bundles().bundle_totals())) {
    told += fmt::format("{} {} {} {} {} {}|", t.service, t.unit, t.bundles, t.granted, t.used,
                        t.sold.count() /* raw: shown by a test */);
  }
  const std::int64_t price = invoice_of(1).amount.count() /* raw: likewise */;
  EXPECT_EQ(told, fmt::format("weather request 2 100 50 {}|weather token 1 100000 999 {}|",
                              2 * price, price));
}

TEST_P(BundleContract, ABundleIsForgottenOnlyWhenNoCopyCanBeGood) {
  open(1);
  debit(1, 50);
  EXPECT_TRUE(sync(store().prune(kTokenEnds + kPruneMargin - Millis(1))));
  EXPECT_EQ(find(1).used, 50);
  EXPECT_TRUE(sync(store().prune(kTokenEnds + kPruneMargin)));
  EXPECT_FALSE(value(bundles().find_bundle(token_of(1))));
}

TEST_P(BundleContract, OfSixtyFourThreadsFiftyPass) {
  open(1);
  std::atomic<int> applied{0};
  std::atomic<int> exhausted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      const auto out = sync(bundles().debit_bundle(token_of(1), 1, 50, kShown));
      ASSERT_TRUE(out) << out.error().message();
      ++(out->outcome == BundleOutcome::applied ? applied : exhausted);
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(applied, 50);
  EXPECT_EQ(exhausted, 14);
  EXPECT_EQ(find(1).left(), 0);
}

TEST_P(BundleContract, OfManyFirstPresentationsOneOpens) {
  ASSERT_TRUE(sync(store().record_invoices({invoice_of(1)})));
  std::atomic<int> fresh{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      const auto out = sync(bundles().open_bundle(bundle_of(1)));
      ASSERT_TRUE(out) << out.error().message();
      ASSERT_TRUE(out->bundle);
      if (out->proof.state == ConsumeState::fresh) ++fresh;
      EXPECT_TRUE(sync(bundles().debit_bundle(token_of(1), 1, 50, kShown)));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(find(1).used, 50);
}

/// Copies of different bounds, and answers that give back, all at once.
TEST_P(BundleContract, WhatIsUsedIsWhatWasTakenAndNotReturned) {
  open(1);
  std::atomic<std::int64_t> used{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 4; ++turn) {
        const std::int64_t units = 1 + i % 5;
        const auto out = sync(bundles().debit_bundle(token_of(1), units, 30 + i % 21, kShown));
        ASSERT_TRUE(out);
        if (out->outcome != BundleOutcome::applied) continue;
        used += units;
        if (turn % 2 == 0) continue;
        const auto back = sync(bundles().return_units(token_of(1), 1, kShown));
        ASSERT_TRUE(back);
        EXPECT_EQ(back->outcome, BundleOutcome::applied);
        --used;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(find(1).used, used);
  EXPECT_LE(used, 50);
}

}  // namespace octroi::ledger
