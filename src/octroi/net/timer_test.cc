#include "octroi/net/timer.h"

#include <random>

#include <gtest/gtest.h>

namespace octroi::net {
namespace {

struct Recording : Timer {
  explicit Recording(Millis* clock)
      : Timer([](Timer& t) {
          auto& self = static_cast<Recording&>(t);
          self.fired.push_back(*self.now);
        }),
        now(clock) {}
  Millis* now;
  std::vector<Millis> fired;
};

TEST(TimerWheel, FiresOnceNeverEarlyAndSoonAfter) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same delays each run
  Millis now{123'456};
  TimerWheel wheel;
  wheel.advance(now);
  std::vector<std::unique_ptr<Recording>> timers;
  std::vector<Millis> due;
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<Recording>(&now));
    const Millis delay(random() % 40'000);
    wheel.start(*timers.back(), delay);
    due.push_back(now + delay);
  }
  while (!wheel.empty()) {
    now += Millis(1 + random() % 35);
    wheel.advance(now);
  }
  for (std::size_t i = 0; i < timers.size(); ++i) {
    ASSERT_EQ(timers[i]->fired.size(), 1U);
    EXPECT_GE(timers[i]->fired[0], due[i]);
    EXPECT_LE(timers[i]->fired[0], due[i] + Millis(35 + 4 * TimerWheel::kTickMillis));
  }
}

TEST(TimerWheel, AfterAPauseLongerThanTheWheelAllDueFire) {
  Millis now{0};
  TimerWheel wheel;
  Recording near(&now);
  Recording far(&now);
  Recording later(&now);
  wheel.start(near, Millis(50));
  wheel.start(far, Millis(15'000));
  wheel.start(later, Millis(3'600'000));
  now = Millis(100'000);
  wheel.advance(now);
  EXPECT_EQ(near.fired.size(), 1U);
  EXPECT_EQ(far.fired.size(), 1U);
  EXPECT_TRUE(later.fired.empty());
  EXPECT_TRUE(later.running());
}

TEST(TimerWheel, StoppedAndDestroyedTimersDoNotFire) {
  Millis now{0};
  TimerWheel wheel;
  Recording stopped(&now);
  wheel.start(stopped, Millis(10));
  stopped.stop();
  {
    Recording gone(&now);
    wheel.start(gone, Millis(10));
  }
  EXPECT_TRUE(wheel.empty());
  now = Millis(1000);
  wheel.advance(now);
  EXPECT_TRUE(stopped.fired.empty());
}

TEST(TimerWheel, ACallbackMayStopDestroyAndStartTimersOfItsOwnSlot) {
  struct Actor : Timer {
    Actor() : Timer([](Timer& t) { static_cast<Actor&>(t).act(); }) {}
    std::function<void()> act;
  };
  TimerWheel wheel;
  auto victim = std::make_unique<Actor>();
  auto other = std::make_unique<Actor>();
  Actor actor;
  int fired = 0;
  int restarted = 0;
  victim->act = [&] { ++fired; };
  other->act = [&] { ++fired; };
  bool acted = false;
  actor.act = [&] {
    if (std::exchange(acted, true)) {
      ++restarted;
      return;
    }
    victim.reset();
    other->stop();
    wheel.start(actor, Millis(0));
  };
  // The same slot; the last started is the first to fire.
  wheel.start(*victim, Millis(20));
  wheel.start(*other, Millis(20));
  wheel.start(actor, Millis(20));
  for (Millis now{0}; now < Millis(200); now += Millis(10)) wheel.advance(now);
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(restarted, 1);
  EXPECT_TRUE(wheel.empty());
}

}  // namespace
}  // namespace octroi::net
