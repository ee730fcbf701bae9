#include "octroi/paywall/session_bell.h"

#include <thread>  // money comes to the loops of other workers

#include <gtest/gtest.h>

#include "octroi/net/run_until.h"

namespace octroi::paywall {
namespace {

PaymentHash session(std::uint8_t n) {
  std::array<std::uint8_t, 32> bytes{};
  bytes[0] = n;
  return PaymentHash(bytes);
}

/// How long the ear listened.
Task<Millis> listened(net::Loop* loop, SessionBell::Ear* ear, Millis limit) {
  const Millis since = loop->now();
  co_await ear->wait(limit);
  co_return loop->now() - since;
}

TEST(SessionBell, WakesWhoWaitsForThatSessionAndNobodyElse) {
  net::Loop loop;
  SessionBell bell;
  SessionBell::Ear ear(bell, session(1), loop);
  SessionBell::Ear other(bell, session(2), loop);
  std::thread worker([&] { bell.ring(session(1)); });
  EXPECT_LT(net::run_until(loop, listened(&loop, &ear, Millis(20'000))), Millis(10'000));
  worker.join();
  EXPECT_GE(net::run_until(loop, listened(&loop, &other, Millis(60))), Millis(40));
  EXPECT_GE(net::run_until(loop, listened(&loop, &ear, Millis(60))), Millis(40)) << "it rang once";
}

TEST(SessionBell, IsHeardLaterByWhoDidNotWaitYet) {
  net::Loop loop;
  SessionBell bell;
  SessionBell::Ear ear(bell, session(1), loop);
  bell.ring(session(1));
  net::run_until(loop, loop.sleep(Millis(20)));
  EXPECT_LT(net::run_until(loop, listened(&loop, &ear, Millis(20'000))), Millis(10'000));
  ear.wake();
  EXPECT_LT(net::run_until(loop, listened(&loop, &ear, Millis(20'000))), Millis(10'000));
}

TEST(SessionBell, WakesAllEarsOfASession) {
  net::Loop loop;
  SessionBell bell;
  SessionBell::Ear first(bell, session(1), loop);
  SessionBell::Ear second(bell, session(1), loop);
  bell.ring(session(1));
  EXPECT_LT(net::run_until(loop, listened(&loop, &first, Millis(20'000))), Millis(10'000));
  EXPECT_LT(net::run_until(loop, listened(&loop, &second, Millis(20'000))), Millis(10'000));
}

TEST(SessionBell, MayRingWhileEarsComeAndGo) {
  SessionBell bell;
  std::atomic<bool> done = false;
  std::thread ringer([&] {
    while (!done) bell.ring(session(1));
  });
  for (int i = 0; i < 50; ++i) {
    net::Loop loop;
    SessionBell::Ear ear(bell, session(1), loop);
    EXPECT_LT(net::run_until(loop, listened(&loop, &ear, Millis(20'000))), Millis(10'000));
  }
  done = true;
  ringer.join();
}

}  // namespace
}  // namespace octroi::paywall
