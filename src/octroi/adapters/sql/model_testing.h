// octroi/adapters/sql/model_testing.h: random stories told to a store and to the memory store,
// which is the model. For tests only.
#pragma once

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::sql {
namespace model {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

/// Does the same random things to both stores, one after another, and compares every answer.
class Pair {
 public:
  Pair(StoreFixture& disk, std::uint32_t seed) : random_(seed), disk_(disk) {}

  void step() {
    const std::uint32_t n = pick(12);
    switch (pick(12)) {
      case 0:
        return same([&](Store& s) { return sync(s.record_invoices({invoice_of(n)})).has_value(); });
      case 1:
        return same([&](Store& s) {
          return sync(s.record_transactions({transaction_of(n, scheme_)})).has_value();
        });
      case 2:
        return same([&](Store& s) { return *sync(s.settle(hash_of(n), now_)); });
      case 3:
        return same([&](Store& s) { return sync(s.find_invoice(hash_of(n)))->has_value(); });
      case 4:
        return finish(n);
      case 5:
        return same([&](Store& s) {
          return *sync(s.claim_nonce("x", digest_of(static_cast<std::uint8_t>(n)), now_));
        });
      case 6:
        return same([&](Store& s) {
          return *sync(s.take_free("s", std::to_string(n % 3), 3, Millis(5000), now_));
        });
      case 7:
        return same([&](Store& s) {
          return sync(s.extend_invoice(hash_of(n), now_ + Millis(60'000))).has_value();
        });
      case 8:
        now_ = now_ + Millis(1 + pick(400'000'0));
        scheme_ = static_cast<Scheme>(pick(3));
        return;
      case 9:
        return prune_both();
      case 10:
        if (pick(8) != 0) return;
        memory_.restart();
        disk_.restart();
        return;
      default:
        return consume_both(n);
    }
  }
  void compare_books() {
    const auto left = sync(memory_.list_transactions({}));
    const auto right = sync(disk_.store().list_transactions({}));
    ASSERT_EQ(left->size(), right->size());
    for (std::size_t i = 0; i < left->size(); ++i) {
      EXPECT_EQ((*left)[i].record.hash, (*right)[i].record.hash);
      EXPECT_EQ((*left)[i].record.scheme, (*right)[i].record.scheme);
      EXPECT_EQ((*left)[i].settled, (*right)[i].settled);
    }
    const auto sums = sync(memory_.revenue({}));
    const auto kept = sync(disk_.store().revenue({}));
    ASSERT_EQ(sums->size(), kept->size());
    for (std::size_t i = 0; i < sums->size(); ++i) {
      EXPECT_EQ((*sums)[i].service, (*kept)[i].service);
      EXPECT_EQ((*sums)[i].day, (*kept)[i].day);
      EXPECT_EQ((*sums)[i].sales, (*kept)[i].sales);
      EXPECT_EQ((*sums)[i].amount, (*kept)[i].amount);
    }
  }

 private:
  std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  template <class F>
  void same(const F& f) {
    EXPECT_EQ(f(memory_), f(disk_.store()));
  }
  void finish(std::uint32_t n) {
    StoredResponse answer = answer_of("body " + std::to_string(pick(5)));
    answer.body_kept = pick(4) != 0;
    same([&](Store& s) { return sync(s.finish_consume(hash_of(n), answer)).has_value(); });
  }
  void consume_both(std::uint32_t n) {
    ConsumeRequest r = consume_of(n, pick(3) == 0 ? "" : "key-" + std::to_string(pick(2)));
    r.scheme = scheme_;
    r.now = now_;
    r.keep_until = now_ + Millis(pick(1'000'000));
    const auto left = sync(memory_.consume(r));
    const auto right = sync(disk_.store().consume(r));
    ASSERT_EQ(left->state, right->state);
    ASSERT_EQ(left->response.has_value(), right->response.has_value());
    if (left->response) EXPECT_EQ(left->response->body, right->response->body);
  }
  void prune_both() {
    Retention keep;
    if (pick(3) == 0) keep.transactions = Millis(pick(100'000'000));
    const auto left = sync(memory_.prune(now_, keep));
    const auto right = sync(disk_.store().prune(now_, keep));
    EXPECT_EQ(left->settled, right->settled);
    EXPECT_EQ(left->invoices, right->invoices);
    EXPECT_EQ(left->transactions, right->transactions);
    EXPECT_EQ(left->consumed, right->consumed);
  }

  std::mt19937 random_;
  MemoryStore memory_;
  StoreFixture& disk_;
  UnixMillis now_ = kStart;
  Scheme scheme_ = Scheme::mpp_charge;
};

}  // namespace model

/// `steps` random operations on both, restarts and pruning among them; every answer must be the
/// same.
inline void tell_random_story(ledger::StoreFixture& disk, std::uint32_t seed, int steps) {
  model::Pair pair(disk, seed);
  for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) pair.step();
  pair.compare_books();
}

}  // namespace octroi::sql
