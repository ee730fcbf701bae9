#include "octroi/paywall/limits.h"

#include <thread>  // the bound has to be exact over workers

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};
constexpr UnixMillis kLater{1'800'000'900'000};

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }
PaymentHash hash(std::uint64_t n) {
  std::array<std::uint8_t, 32> raw{};
  std::memcpy(raw.data(), &n, sizeof n);
  return PaymentHash(raw);
}

TEST(UnpaidBound, HoldsToTheLastPlace) {
  UnpaidBound bound(3);
  const auto who = address("192.0.2.1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bound.reserve(who, OfferScheme::l402, kNow, kLater).granted) << i;
  }
  const auto full = bound.reserve(who, OfferScheme::l402, kNow, kLater);
  EXPECT_FALSE(full.granted);
  EXPECT_EQ(full.retry_after, kLater - kNow);
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 3U);
  // Other schemes and other clients have places of their own.
  EXPECT_TRUE(bound.reserve(who, OfferScheme::payment, kNow, kLater).granted);
  EXPECT_TRUE(bound.reserve(address("192.0.2.2"), OfferScheme::l402, kNow, kLater).granted);
  EXPECT_TRUE(bound.reserve(address("2001:db8::"), OfferScheme::l402, kNow, kLater).granted);
}

TEST(UnpaidBound, ExpiryFreesAndTellsWhen) {
  UnpaidBound bound(2);
  const auto who = address("192.0.2.1");
  EXPECT_TRUE(bound.reserve(who, OfferScheme::l402, kNow, kNow + Millis(900)).granted);
  EXPECT_TRUE(bound.reserve(who, OfferScheme::l402, kNow, kNow + Millis(300)).granted);
  const auto full = bound.reserve(who, OfferScheme::l402, kNow, kLater);
  EXPECT_FALSE(full.granted);
  EXPECT_EQ(full.retry_after, Millis(300));  // the first to expire, not the first that came
  EXPECT_FALSE(bound.reserve(who, OfferScheme::l402, kNow + Millis(299), kLater).granted);
  EXPECT_TRUE(bound.reserve(who, OfferScheme::l402, kNow + Millis(300), kLater).granted);
  EXPECT_FALSE(bound.reserve(who, OfferScheme::l402, kNow + Millis(300), kLater).granted);
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow + Millis(900)), 1U);
}

TEST(UnpaidBound, SettlingFreesOnePlaceOnce) {
  UnpaidBound bound(2);
  const auto who = address("192.0.2.1");
  const auto first = bound.reserve(who, OfferScheme::payment, kNow, kLater);
  bound.attach(first, who, OfferScheme::payment, hash(1));
  const auto second = bound.reserve(who, OfferScheme::payment, kNow, kLater);
  bound.attach(second, who, OfferScheme::payment, hash(2));
  bound.settled(hash(3));  // nobody's
  EXPECT_EQ(bound.count(who, OfferScheme::payment, kNow), 2U);
  bound.settled(hash(1));
  bound.settled(hash(1));  // the node tells it too
  EXPECT_EQ(bound.count(who, OfferScheme::payment, kNow), 1U);
  EXPECT_TRUE(bound.reserve(who, OfferScheme::payment, kNow, kLater).granted);
  EXPECT_FALSE(bound.reserve(who, OfferScheme::payment, kNow, kLater).granted);
}

TEST(UnpaidBound, ReleaseGivesTheOwnPlaceBackOnly) {
  UnpaidBound bound(2);
  const auto who = address("192.0.2.1");
  const auto first = bound.reserve(who, OfferScheme::l402, kNow, kLater);
  const auto second = bound.reserve(who, OfferScheme::l402, kNow, kLater);
  bound.release(first, who, OfferScheme::l402);
  bound.release(first, who, OfferScheme::l402);  // twice is once
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 1U);
  bound.attach(second, who, OfferScheme::l402, hash(9));
  bound.settled(hash(9));
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 0U);
}

TEST(UnpaidBound, AttachingWhatIsGoneDoesNothing) {
  UnpaidBound bound(1);
  const auto who = address("192.0.2.1");
  const auto place = bound.reserve(who, OfferScheme::l402, kNow, kLater);
  bound.release(place, who, OfferScheme::l402);
  bound.attach(place, who, OfferScheme::l402, hash(1));
  bound.settled(hash(1));
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 0U);
  bound.attach({}, who, OfferScheme::l402, hash(2));  // a place that was refused
  EXPECT_TRUE(bound.reserve(who, OfferScheme::l402, kNow, kLater).granted);
}

TEST(UnpaidBound, ZeroIsOff) {
  UnpaidBound bound(0);
  const auto who = address("192.0.2.1");
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(bound.reserve(who, OfferScheme::l402, kNow, kLater).granted);
  }
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 0U);
}

TEST(UnpaidBound, IsExactOverEightThreads) {
  constexpr int kThreads = 8;
  constexpr int kTries = 500;
  UnpaidBound bound(64);
  const auto who = address("192.0.2.1");
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTries; ++i) {
        const auto place = bound.reserve(who, OfferScheme::payment, kNow, kLater);
        if (!place.granted) continue;
        ++granted;
        bound.attach(place, who, OfferScheme::payment,
                     hash(static_cast<std::uint64_t>(t * kTries + i + 1)));
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(granted.load(), 64);
  EXPECT_EQ(bound.count(who, OfferScheme::payment, kNow), 64U);
}

TEST(UnpaidBound, NeverPassesTheBoundWhilePlacesComeAndGo) {
  constexpr int kThreads = 8;
  UnpaidBound bound(5);
  const auto who = address("2001:db8::");
  std::atomic<int> held{0};
  std::atomic<bool> passed{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        const auto place = bound.reserve(who, OfferScheme::l402, kNow, kLater);
        if (!place.granted) continue;
        if (++held > 5) passed = true;
        const auto mine = hash(static_cast<std::uint64_t>(t * 2000 + i + 1));
        bound.attach(place, who, OfferScheme::l402, mine);
        --held;
        if (i % 2 == 0) {
          bound.settled(mine);
        } else {
          bound.release(place, who, OfferScheme::l402);
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_FALSE(passed.load());
  EXPECT_EQ(bound.count(who, OfferScheme::l402, kNow), 0U);
}

// ---------------------------------------------------------------------------------------------

RateLimit rate(std::int64_t requests, Millis per, std::int64_t burst = 0) {
  RateLimit r;
  r.requests = requests;
  r.per = per;
  r.burst = burst;
  return r;
}

TEST(RateLimiter, BurstThenExactlyTheRate) {
  RateLimiter limiter;
  const auto r = rate(10, Millis(1000));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed) << i;
  const auto refused = limiter.take(1, "a", r, kNow);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, Millis(100));
  EXPECT_FALSE(limiter.take(1, "a", r, kNow + Millis(99)).allowed);
  EXPECT_EQ(limiter.take(1, "a", r, kNow + Millis(99)).retry_after, Millis(1));
  EXPECT_TRUE(limiter.take(1, "a", r, kNow + Millis(100)).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow + Millis(100)).allowed);
}

TEST(RateLimiter, OverALongTimeNeitherMoreNorLess) {
  struct Row {
    std::int64_t requests;
    Millis per;
    Millis step;
  };
  for (const Row& row : {Row{7, Millis(1000), Millis(1)}, Row{3, Millis(1000), Millis(7)},
                         Row{1, Millis(333), Millis(1)}, Row{1000, Millis(1000), Millis(1)},
                         Row{13, Millis(60'000), Millis(11)}}) {
    RateLimiter limiter;
    const auto r = rate(row.requests, row.per);
    std::int64_t allowed = 0;
    const Millis total = row.per * 20;
    for (Millis at{0}; at < total; at += row.step) {
      while (limiter.take(1, "a", r, kNow + at).allowed) ++allowed;
    }
    // The full bucket at the start, and what filled in since; the last step may be incomplete.
    EXPECT_LE(allowed, row.requests * 21) << row.requests << "/" << row.per.count();
    EXPECT_GE(allowed, row.requests * 21 - 1 - row.requests * row.step.count() / row.per.count());
  }
}

TEST(RateLimiter, BurstIsItsOwnNumber) {
  RateLimiter limiter;
  const auto r = rate(1, Millis(1000), 5);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_TRUE(limiter.take(1, "a", r, kNow + Millis(1000)).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow + Millis(1999)).allowed);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(limiter.take(1, "a", r, kNow + Millis(3'600'000)).allowed);
  }
  EXPECT_FALSE(limiter.take(1, "a", r, kNow + Millis(3'600'000)).allowed);  // never above burst
}

TEST(RateLimiter, RulesAndClientsAreApart) {
  RateLimiter limiter;
  const auto r = rate(1, Millis(1000));
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_TRUE(limiter.take(2, "a", r, kNow).allowed);
  EXPECT_TRUE(limiter.take(1, "b", r, kNow).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow).allowed);
}

TEST(RateLimiter, GivingBackIsAsIfNotTaken) {
  RateLimiter limiter;
  const auto r = rate(2, Millis(1000));
  limiter.give_back(1, "a");  // nobody there
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  limiter.give_back(1, "a");
  limiter.give_back(1, "a");  // not above full
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow).allowed);
}

TEST(RateLimiter, AClockThatStepsBackGivesNothing) {
  RateLimiter limiter;
  const auto r = rate(2, Millis(1000));
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow - Millis(60'000)).allowed);
  // And it is not held back until the old time comes again.
  EXPECT_TRUE(limiter.take(1, "a", r, kNow - Millis(59'500)).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow - Millis(59'500)).allowed);
}

TEST(RateLimiter, NoRuleAllowsEverything) {
  RateLimiter limiter;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.take(1, "a", rate(0, Millis(1)), kNow).allowed);
}

TEST(RateLimiter, ForgetsTheLeastRecentlyUsed) {
  RateLimiter limiter(1);  // one key a shard
  const auto r = rate(1, Millis(1'000'000));
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);
  EXPECT_FALSE(limiter.take(1, "a", r, kNow).allowed);
  for (int i = 0; i < 2000; ++i) std::ignore = limiter.take(1, fmt::format("k{}", i), r, kNow);
  EXPECT_TRUE(limiter.take(1, "a", r, kNow).allowed);  // forgotten: memory is bounded
}

TEST(RateLimiter, IsExactOverEightThreads) {
  RateLimiter limiter;
  const auto r = rate(100, Millis(1000));
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) allowed += limiter.take(1, "a", r, kNow).allowed ? 1 : 0;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(allowed.load(), 100);
}

}  // namespace
}  // namespace octroi::paywall
