// octroi/ledger/store_contract.h: what every ledger::Store must do, as tests. For tests only.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, testing::Values(StoreUnderTest{"memory",
//   make}),
//                            store_name);
//
// Included by exactly one x_test.cc of each adapter. The tests call from outside a loop, where an
// adapter blocks its caller, and from many threads at once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class StoreContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  Store& store() { return fixture_->store(); }
  void restart() { fixture_->restart(); }

  void add_invoice(std::uint32_t n, Millis life = std::chrono::minutes(15)) {
    ASSERT_TRUE(sync(store().record_invoices({invoice_of(n, life)})));
  }
  ConsumeOutcome consume(ConsumeRequest r) {
    auto out = sync(store().consume(std::move(r)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : ConsumeOutcome{};
  }
  ConsumeState state_of(ConsumeRequest r) { return consume(std::move(r)).state; }
  std::vector<Transaction> list(TransactionFilter f = {}) {
    auto rows = sync(store().list_transactions(std::move(f)));
    EXPECT_TRUE(rows);
    return rows ? *std::move(rows) : std::vector<Transaction>{};
  }
  bool knows_invoice(std::uint32_t n) {
    auto found = sync(store().find_invoice(hash_of(n)));
    EXPECT_TRUE(found);
    return found && found->has_value();
  }
  PruneReport prune_at(UnixMillis now) {
    auto report = sync(store().prune(now));
    EXPECT_TRUE(report);
    return report ? *report : PruneReport{};
  }
  std::unique_ptr<StoreFixture> fixture_;
};

// --- invoices
// ----------------------------------------------------------------------------------------

TEST_P(StoreContract, AConsumedHashIsTold) {
  ASSERT_TRUE(sync(store().record_invoices({invoice_of(1), invoice_of(2)})));
  ASSERT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  EXPECT_EQ(sync(store().is_consumed(hash_of(1))).value_or(false), true);
  EXPECT_EQ(sync(store().is_consumed(hash_of(2))).value_or(true), false);
  EXPECT_EQ(sync(store().is_consumed(hash_of(3))).value_or(true), false);
}

TEST_P(StoreContract, AnInvoiceIsFoundAsItWasRecorded) {
  InvoiceRecord made = invoice_of(1);
  made.node_index = 0xFFFF'FFFF'FFFF'FFFFULL;
  ASSERT_TRUE(sync(store().record_invoices({made, invoice_of(2)})));
  auto found = sync(store().find_invoice(hash_of(1)));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->hash, made.hash);
  EXPECT_EQ((*found)->amount, made.amount);
  EXPECT_EQ((*found)->created, made.created);
  EXPECT_EQ((*found)->expires, made.expires);
  EXPECT_EQ((*found)->node_index, made.node_index);
  EXPECT_TRUE(knows_invoice(2));
  EXPECT_FALSE(knows_invoice(3));
}

TEST_P(StoreContract, RecordingAnInvoiceAgainChangesNothing) {
  add_invoice(1);
  InvoiceRecord other = invoice_of(1);
  other.amount = 1_msat;
  ASSERT_TRUE(sync(store().record_invoices({other})));
  auto found = sync(store().find_invoice(hash_of(1)));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->amount, 10'000_msat);
}

TEST_P(StoreContract, InvoicesSurviveARestart) {
  add_invoice(1);
  restart();
  EXPECT_TRUE(knows_invoice(1));
}

// --- transactions
// ------------------------------------------------------------------------------------

TEST_P(StoreContract, ATransactionIsOneRowAHashAndScheme) {
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::l402)})));
  ASSERT_TRUE(sync(store().record_transactions(
      {transaction_of(1, Scheme::l402), transaction_of(1, Scheme::mpp_charge)})));
  const auto rows = list();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].record.scheme, Scheme::mpp_charge);
  EXPECT_FALSE(rows[0].record.token_id);
  const Transaction& t = rows[1];
  EXPECT_EQ(t.record.hash, hash_of(1));
  EXPECT_EQ(t.record.scheme, Scheme::l402);
  EXPECT_EQ(t.record.service, "weather");
  EXPECT_EQ(t.record.amount, 10'000_msat);
  EXPECT_EQ(t.record.challenge_id, "challenge-1");
  EXPECT_EQ(t.record.token_id, token_of(1));
  EXPECT_EQ(t.record.request_id, "request-1");
  EXPECT_EQ(t.record.created, kStart + Millis(1));
  EXPECT_EQ(t.record.expires, kStart + std::chrono::minutes(15));
  EXPECT_EQ(t.state, TransactionState::pending);
  EXPECT_FALSE(t.settled);
}

TEST_P(StoreContract, SettlingIsFirstOnce) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::l402)})));
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart + Millis(5))));
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart + Millis(9))));
  const auto rows = list();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].state, TransactionState::settled);
  EXPECT_EQ(rows[0].settled, kStart + Millis(5));
}

TEST_P(StoreContract, SettlingAnUnknownHashIsNothing) {
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart)));
}

TEST_P(StoreContract, ARowRecordedAfterItsInvoiceSettledIsSettled) {
  add_invoice(1);
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart + Millis(5))));
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart + Millis(9))));
  const auto rows = list();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].settled, kStart + Millis(5));
}

TEST_P(StoreContract, TransactionsAreFilteredAndPaged) {
  std::vector<TransactionRecord> rows;
  for (std::uint32_t n = 1; n <= 6; ++n) {
    rows.push_back(transaction_of(n, n % 2 == 0 ? Scheme::mpp_charge : Scheme::l402,
                                  n <= 3 ? "weather" : "maps"));
  }
  ASSERT_TRUE(sync(store().record_transactions(rows)));
  EXPECT_TRUE(*sync(store().settle(hash_of(2), kStart)));
  EXPECT_TRUE(*sync(store().settle(hash_of(5), kStart)));

  const auto numbers = [&](const TransactionFilter& f) {
    std::vector<std::uint32_t> out;
    for (const Transaction& t : list(f)) out.push_back(t.record.hash.raw()[0]);
    return out;
  };
  using Numbers = std::vector<std::uint32_t>;
  TransactionFilter f;
  EXPECT_EQ(numbers(f), (Numbers{6, 5, 4, 3, 2, 1}));
  f.service = "maps";
  EXPECT_EQ(numbers(f), (Numbers{6, 5, 4}));
  f.scheme = Scheme::mpp_charge;
  EXPECT_EQ(numbers(f), (Numbers{6, 4}));
  f = {};
  f.state = TransactionState::settled;
  EXPECT_EQ(numbers(f), (Numbers{5, 2}));
  f.state = TransactionState::pending;
  EXPECT_EQ(numbers(f), (Numbers{6, 4, 3, 1}));
  f = {};
  f.from = kStart + Millis(2);  // included
  f.to = kStart + Millis(5);    // excluded
  EXPECT_EQ(numbers(f), (Numbers{4, 3, 2}));
  f = {};
  f.limit = 2;
  const auto page = list(f);
  ASSERT_EQ(page.size(), 2U);
  f.before_id = page[1].id;
  EXPECT_EQ(numbers(f), (Numbers{4, 3}));
  f.limit = 0;  // at least one
  EXPECT_EQ(numbers(f), (Numbers{4}));
  f = {};
  f.service = "' OR 1=1 --";
  EXPECT_EQ(numbers(f), Numbers{});
}

// --- consuming
// ---------------------------------------------------------------------------------------

TEST_P(StoreContract, AHashWeNeverMadeIsRefusedAndLeavesNothing) {
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unknown_hash);
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
}

TEST_P(StoreContract, ConsumingSettlesTheTransaction) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  ASSERT_EQ(list().size(), 1U);
  EXPECT_EQ(list()[0].settled, consume_of(1).now);
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart)));
}

TEST_P(StoreContract, AConsumedProofIsInTheBooksThoughItsRowWasLost) {
  add_invoice(1);
  ConsumeRequest sale = consume_of(1);
  sale.scheme = Scheme::l402;
  sale.token_id = token_of(1);
  sale.request_id = "request-1";
  EXPECT_EQ(state_of(sale), ConsumeState::fresh);
  for (int late = 0; late < 2; ++late) {  // the row that was on its way
    const auto rows = list();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].record.service, sale.service);
    EXPECT_EQ(rows[0].record.amount, 10'000_msat);
    EXPECT_EQ(rows[0].record.token_id, token_of(1));
    EXPECT_EQ(rows[0].record.challenge_id, "");
    EXPECT_EQ(rows[0].record.request_id, "request-1");
    EXPECT_EQ(rows[0].settled, sale.now);
    ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::l402)})));
  }
  restart();
  EXPECT_EQ(list().size(), 1U);
  EXPECT_FALSE(*sync(store().settle(hash_of(1), kStart)));
}

TEST_P(StoreContract, ARowIsSettledAlsoAfterARestart) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  restart();
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart)));
  ASSERT_EQ(list().size(), 1U);
  EXPECT_EQ(list()[0].state, TransactionState::settled);
  EXPECT_EQ(list()[0].record.challenge_id, "challenge-1");
}

TEST_P(StoreContract, TheSameCredentialIsPendingThenReplayed) {
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::pending);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of())));
  for (int again = 0; again < 2; ++again) {
    const ConsumeOutcome out = consume(consume_of(1));
    EXPECT_EQ(out.state, ConsumeState::replay);
    ASSERT_TRUE(out.response);
    EXPECT_EQ(out.response->status, 200);
    EXPECT_EQ(out.response->headers, answer_of().headers);
    EXPECT_EQ(out.response->body, "sunny");
  }
  restart();
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::replay);
}

TEST_P(StoreContract, AnAnswerIsKeptAlsoWhenNobodyWaits) {
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  store().keep_answer(hash_of(1), answer_of());
  store().keep_answer(hash_of(2), answer_of());  // nobody is told that it was not ours to keep
  ConsumeOutcome out;
  for (int i = 0; i < 500 && out.state != ConsumeState::replay; ++i) {
    out = consume(consume_of(1));
    if (out.state == ConsumeState::pending) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  ASSERT_EQ(out.state, ConsumeState::replay);
  EXPECT_EQ(out.response->body, "sunny");
  EXPECT_EQ(state_of(consume_of(2)), ConsumeState::unknown_hash);
}

TEST_P(StoreContract, ABodyIsKeptByteForByte) {
  add_invoice(1);
  std::string body;
  for (int i = 0; i < 65536; ++i) body.push_back(static_cast<char>(i * 7));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of(body))));
  const ConsumeOutcome out = consume(consume_of(1));
  ASSERT_TRUE(out.response);
  EXPECT_EQ(out.response->body, body);
}

TEST_P(StoreContract, WhoeverComesSecondWithSomethingElseIsTooLate) {
  struct Row {
    const char* name;
    std::function<void(ConsumeRequest&)> change;
  };
  const std::vector<Row> rows = {
      {"other challenge", [](ConsumeRequest& r) { r.challenge_id = "other"; }},
      {"other payload", [](ConsumeRequest& r) { r.payload = digest_of(2); }},
      {"other key", [](ConsumeRequest& r) { r.idempotency_key = "key-2"; }},
      {"no key", [](ConsumeRequest& r) { r.idempotency_key.clear(); }},
      {"other scheme", [](ConsumeRequest& r) { r.scheme = Scheme::mpp_session; }},
  };
  std::uint32_t n = 0;
  for (const Row& row : rows) {
    for (const bool finished : {false, true}) {
      SCOPED_TRACE(std::string(row.name) + (finished ? ", finished" : ", pending"));
      add_invoice(++n);
      EXPECT_EQ(state_of(consume_of(n)), ConsumeState::fresh);
      if (finished) ASSERT_TRUE(sync(store().finish_consume(hash_of(n), answer_of())));
      ConsumeRequest again = consume_of(n);
      row.change(again);
      const ConsumeOutcome out = consume(again);
      EXPECT_EQ(out.state, ConsumeState::spent);
      EXPECT_FALSE(out.response);
    }
  }
}

TEST_P(StoreContract, AnIdempotencyKeyMayBeAnyBytes) {
  const std::vector<std::string> keys = {"k\xFF\xFE", std::string("k\0x", 3), "k\xC3\xA9",
                                         "\x1Fhex:6b"};
  std::uint32_t n = 0;
  for (const std::string& key : keys) {
    add_invoice(++n);
    EXPECT_EQ(state_of(consume_of(n, key)), ConsumeState::fresh) << n;
    ASSERT_TRUE(sync(store().finish_consume(hash_of(n), answer_of())));
    EXPECT_EQ(state_of(consume_of(n, key)), ConsumeState::replay) << n;
    EXPECT_EQ(state_of(consume_of(n, key + "x")), ConsumeState::spent) << n;
  }
}

TEST_P(StoreContract, WithoutAnIdempotencyKeyNothingReplays) {
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1, "")), ConsumeState::fresh);
  EXPECT_EQ(state_of(consume_of(1, "")), ConsumeState::spent);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of())));
  EXPECT_EQ(state_of(consume_of(1, "")), ConsumeState::spent);
  restart();
  EXPECT_EQ(state_of(consume_of(1, "")), ConsumeState::spent);
}

TEST_P(StoreContract, PendingAfterARestartIsUnfinishedForGood) {
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  restart();
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unfinished);
  EXPECT_EQ(state_of(consume_of(1, "")), ConsumeState::spent);
  const auto finished = sync(store().finish_consume(hash_of(1), answer_of()));
  ASSERT_FALSE(finished);
  EXPECT_TRUE(finished.error().is(Errc::not_pending));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unfinished);
}

TEST_P(StoreContract, AnAnswerWhoseBodyWasNotKeptIsUnfinished) {
  add_invoice(1);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  StoredResponse large = answer_of();
  large.body_kept = false;
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), large)));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unfinished);
}

TEST_P(StoreContract, AnAnswerIsStoredOnce) {
  EXPECT_TRUE(sync(store().finish_consume(hash_of(1), answer_of())).error().is(Errc::not_pending));
  add_invoice(1);
  EXPECT_TRUE(sync(store().finish_consume(hash_of(1), answer_of())).error().is(Errc::not_pending));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::fresh);
  ASSERT_TRUE(sync(store().finish_consume(hash_of(1), answer_of("first"))));
  EXPECT_TRUE(
      sync(store().finish_consume(hash_of(1), answer_of("second"))).error().is(Errc::not_pending));
  EXPECT_EQ(consume(consume_of(1)).response->body, "first");
}

TEST_P(StoreContract, ATokenClaimsItsHashForEveryWorkerAndLifeOfTheProcess) {
  // How an L402 token is claimed at its first sight: the token is its own idempotency key.
  add_invoice(1);
  ConsumeRequest token = consume_of(1, token_of(1).hex());
  token.scheme = Scheme::l402;
  token.challenge_id = token_of(1).hex();
  EXPECT_EQ(state_of(token), ConsumeState::fresh);
  EXPECT_EQ(state_of(token), ConsumeState::pending);
  restart();
  EXPECT_EQ(state_of(token), ConsumeState::unfinished);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::spent);
}

TEST_P(StoreContract, OfManyThreadsExactlyOneConsumes) {
  constexpr int kThreads = 64;
  for (std::uint32_t round = 1; round <= 4; ++round) {
    add_invoice(round);
    std::atomic<int> fresh{0};
    std::atomic<int> pending{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const auto out = sync(store().consume(consume_of(round)));
        if (out && out->state == ConsumeState::fresh) ++fresh;
        if (out && out->state == ConsumeState::pending) ++pending;
      });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(fresh, 1);
    EXPECT_EQ(pending, kThreads - 1);
  }
}

TEST_P(StoreContract, ANonceIsClaimedOnceAScope) {
  EXPECT_TRUE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
  EXPECT_FALSE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
  EXPECT_TRUE(*sync(store().claim_nonce("b", digest_of(1), kStart)));
  EXPECT_TRUE(*sync(store().claim_nonce("a", digest_of(2), kStart)));
  restart();
  EXPECT_FALSE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
}

// --- L402 and counters
// -------------------------------------------------------------------------------

TEST_P(StoreContract, RevokedTokensAreListed) {
  EXPECT_EQ(sync(store().revoked_tokens())->size(), 0U);
  ASSERT_TRUE(sync(store().revoke_token(token_of(2), kStart + Millis(1), kStart)));
  ASSERT_TRUE(sync(store().revoke_token(token_of(1), kStart + Millis(1), kStart)));
  ASSERT_TRUE(sync(store().revoke_token(token_of(2), kStart + Millis(9), kStart)));
  EXPECT_EQ(*sync(store().revoked_tokens()), (std::vector<TokenId>{token_of(1), token_of(2)}));
  restart();
  EXPECT_EQ(sync(store().revoked_tokens())->size(), 2U);
}

TEST_P(StoreContract, FreeRequestsRunOutAndComeBackWithTheWindow) {
  const auto take = [&](std::string client, UnixMillis at, std::int64_t limit = 3) {
    return *sync(store().take_free("weather", std::move(client), limit, Millis(1000), at));
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("a", kStart + Millis(i)));
  EXPECT_FALSE(take("a", kStart + Millis(999)));
  EXPECT_TRUE(take("b", kStart));
  EXPECT_TRUE(*sync(store().take_free("maps", "a", 3, Millis(1000), kStart)));
  restart();
  EXPECT_FALSE(take("a", kStart + Millis(999)));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("a", kStart + Millis(1000)));
  EXPECT_FALSE(take("a", kStart + Millis(1999)));
  EXPECT_FALSE(take("c", kStart, 0));
}

TEST_P(StoreContract, FreeRequestsAreExactUnderConcurrency) {
  constexpr std::int64_t kLimit = 40;
  std::atomic<std::int64_t> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 8; ++k) {
        if (*sync(store().take_free("s", "c", kLimit, Millis(1000), kStart))) ++taken;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(taken, kLimit);
}

// --- small values
// ------------------------------------------------------------------------------------

TEST_P(StoreContract, TheFirstSecretStays) {
  using namespace std::string_view_literals;
  auto first = sync(store().get_or_put_secret("mpp", Secret("one\0byte"sv)));
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->equals("one\0byte"sv));
  EXPECT_TRUE(sync(store().get_or_put_secret("mpp", Secret("two"sv)))->equals("one\0byte"sv));
  EXPECT_TRUE(sync(store().get_or_put_secret("l402", Secret("two"sv)))->equals("two"sv));
  restart();
  EXPECT_TRUE(sync(store().get_or_put_secret("mpp", Secret("three"sv)))->equals("one\0byte"sv));
}

TEST_P(StoreContract, RacingForASecretAllGetTheSame) {
  std::mutex mutex;
  std::set<std::string> seen;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      auto got = sync(store().get_or_put_secret("mpp", Secret("candidate " + std::to_string(i))));
      const std::scoped_lock lock(mutex);
      seen.insert(got ? std::string(got->reveal_text()) : "error");
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen.contains("error"));
}

TEST_P(StoreContract, ValuesAreReplaced) {
  EXPECT_FALSE(*sync(store().get_value("cursor")));
  ASSERT_TRUE(sync(store().put_value("cursor", "")));
  EXPECT_EQ(*sync(store().get_value("cursor")), "");
  ASSERT_TRUE(sync(store().put_value("cursor", "42")));
  restart();
  EXPECT_EQ(*sync(store().get_value("cursor")), "42");
}

TEST_P(StoreContract, PingCommits) { EXPECT_TRUE(sync(store().ping())); }

// --- upkeep
// ------------------------------------------------------------------------------------------

TEST_P(StoreContract, NothingIsPrunedBeforeItsEndAndMargin) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  const UnixMillis end = kStart + std::chrono::minutes(15) + kPruneMargin;
  const PruneReport early = prune_at(end - Millis(1));
  EXPECT_EQ(early.invoices + early.transactions + early.consumed, 0);
  EXPECT_TRUE(knows_invoice(1));
  const PruneReport late = prune_at(end);
  EXPECT_EQ(late.invoices, 1);
  EXPECT_EQ(late.transactions, 1);
  EXPECT_FALSE(knows_invoice(1));
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unknown_hash);
}

TEST_P(StoreContract, AnExtendedInvoiceStays) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().extend_invoice(hash_of(1), kStart + std::chrono::hours(48))));
  ASSERT_TRUE(sync(store().extend_invoice(hash_of(1), kStart)));  // never backwards
  ASSERT_TRUE(sync(store().extend_invoice(hash_of(9), kStart)));
  auto found = sync(store().find_invoice(hash_of(1)));
  EXPECT_EQ((*found)->expires, kStart + std::chrono::minutes(15));
  prune_at(kStart + std::chrono::hours(47) + kPruneMargin);
  EXPECT_TRUE(knows_invoice(1));
  prune_at(kStart + std::chrono::hours(48) + kPruneMargin);
  EXPECT_FALSE(knows_invoice(1));
}

TEST_P(StoreContract, AClaimAndItsInvoiceStayAsLongAsEitherMust) {
  add_invoice(1);  // the claim must stay longer
  ConsumeRequest longer = consume_of(1);
  longer.keep_until = kStart + std::chrono::hours(48);
  EXPECT_EQ(state_of(longer), ConsumeState::fresh);
  add_invoice(2, std::chrono::hours(48));  // the invoice must stay longer
  EXPECT_EQ(state_of(consume_of(2)), ConsumeState::fresh);
  EXPECT_EQ(prune_at(kStart + std::chrono::hours(47) + kPruneMargin).consumed, 0);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::pending);
  EXPECT_EQ(state_of(consume_of(2)), ConsumeState::pending);
  const PruneReport late = prune_at(kStart + std::chrono::hours(48) + kPruneMargin);
  EXPECT_EQ(late.consumed, 2);
  EXPECT_EQ(late.invoices, 2);
  EXPECT_EQ(state_of(consume_of(1)), ConsumeState::unknown_hash);
  EXPECT_EQ(state_of(consume_of(2)), ConsumeState::unknown_hash);
}

TEST_P(StoreContract, ThePaidInvoiceOfATokenStays) {
  add_invoice(1);
  add_invoice(2);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::l402)})));
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart)));
  EXPECT_TRUE(*sync(store().settle(hash_of(2), kStart)));
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(2, Scheme::l402)})));
  prune_at(kStart + std::chrono::hours(24 * 365));
  EXPECT_TRUE(knows_invoice(1));
  EXPECT_TRUE(knows_invoice(2));
  EXPECT_EQ(list().size(), 2U);
}

TEST_P(StoreContract, SettledTransactionsAreTheBooksAndStay) {
  add_invoice(1);
  ASSERT_TRUE(sync(store().record_transactions({transaction_of(1, Scheme::mpp_charge)})));
  EXPECT_TRUE(*sync(store().settle(hash_of(1), kStart)));
  const PruneReport report = prune_at(kStart + std::chrono::hours(24 * 365));
  EXPECT_EQ(report.invoices, 1);
  EXPECT_EQ(report.transactions, 0);
  EXPECT_EQ(list().size(), 1U);
}

TEST_P(StoreContract, NoncesAndRevocationsArePrunedAfterTheirEnd) {
  EXPECT_TRUE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
  ASSERT_TRUE(sync(store().revoke_token(token_of(1), kStart, kStart)));
  EXPECT_EQ(prune_at(kStart + kPruneMargin - Millis(1)).consumed, 0);
  EXPECT_FALSE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
  EXPECT_EQ(prune_at(kStart + kPruneMargin).consumed, 1);
  EXPECT_TRUE(*sync(store().claim_nonce("a", digest_of(1), kStart)));
  EXPECT_EQ(sync(store().revoked_tokens())->size(), 0U);
}

TEST_P(StoreContract, PruningManyRowsTakesAllOfThem) {
  std::vector<InvoiceRecord> many;
  for (std::uint32_t n = 0; n < 1203; ++n) many.push_back(invoice_of(n));
  ASSERT_TRUE(sync(store().record_invoices(many)));
  EXPECT_EQ(prune_at(kStart + std::chrono::minutes(15) + kPruneMargin).invoices, 1203);
}

}  // namespace octroi::ledger
