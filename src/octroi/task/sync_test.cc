#include "octroi/task/sync.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/task/group.h"

namespace octroi {
namespace {

using Log = std::vector<std::string>;

Task<void> wait_and_log(Event& event, Log& log, std::string name) {
  co_await event.wait();
  log.push_back(std::move(name));
}

TEST(Event, WakesInOrderAndStaysSet) {
  Event event;
  Log log;
  TaskGroup group;
  group.start(wait_and_log(event, log, "a"));
  group.start(wait_and_log(event, log, "b"));
  EXPECT_TRUE(log.empty());
  event.set();
  event.set();
  group.start(wait_and_log(event, log, "c"));
  EXPECT_EQ(log, (Log{"a", "b", "c"}));
}

Task<void> wait_then_destroy(Event& event, std::unique_ptr<TaskGroup>& victim) {
  co_await event.wait();
  victim.reset();
}
TEST(Event, AWaiterDestroysAnotherThatIsWokenToo) {
  Event event;
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  group.start(wait_then_destroy(event, victim));
  victim->start(wait_and_log(event, log, "victim"));
  group.start(wait_and_log(event, log, "last"));
  event.set();
  EXPECT_EQ(log, Log{"last"});
}

Task<void> wait_then_drop_event(std::unique_ptr<Event>& event) {
  co_await event->wait();
  event.reset();
}
TEST(Event, AWaiterDestroysTheEvent) {
  auto event = std::make_unique<Event>();
  Log log;
  TaskGroup group;
  group.start(wait_then_drop_event(event));
  group.start(wait_and_log(*event, log, "second"));
  event->set();
  EXPECT_EQ(event, nullptr);
  EXPECT_EQ(log, Log{"second"});
}

TEST(Event, DestroyedUnderItsWaiters) {
  Log log;
  TaskGroup group;
  {
    Event event;
    group.start(wait_and_log(event, log, "never"));
  }
  EXPECT_EQ(group.size(), 1U);
  group.cancel();
  EXPECT_TRUE(log.empty());
}

// The reason for RunScope: the woken task ends the scope that owns the one that woke it.
Task<void> set_and_use(Event& event, Log& log, std::string own) {
  event.set();
  log.push_back(std::move(own));
  Event never;
  co_await never.wait();
}
TEST(Event, TheWokenDestroysTheWaker) {
  Event event;
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  group.start(wait_then_destroy(event, victim));
  victim->start(set_and_use(event, log, "the waker finished its step"));
  EXPECT_EQ(victim, nullptr);
  EXPECT_EQ(log.size(), 1U);
}

Task<void> set_next(Event& mine, Event& next) {
  co_await mine.wait();
  next.set();
}
TEST(Event, LongChainsOfWakeUpsCostNoStack) {
  constexpr std::size_t kLength = 50'000;
  std::vector<std::unique_ptr<Event>> events;
  for (std::size_t i = 0; i <= kLength; ++i) events.push_back(std::make_unique<Event>());
  TaskGroup group;
  for (std::size_t i = 0; i < kLength; ++i) group.start(set_next(*events[i], *events[i + 1]));
  events[0]->set();
  EXPECT_TRUE(events[kLength]->is_set());
}

TEST(RunScope, DelaysWakingToItsEnd) {
  Event event;
  Log log;
  TaskGroup group;
  group.start(wait_and_log(event, log, "a"));
  {
    const RunScope outer;
    {
      const RunScope inner;
      event.set();
    }
    EXPECT_TRUE(log.empty());
    EXPECT_TRUE(detail::in_run_scope());
  }
  EXPECT_EQ(log, Log{"a"});
  EXPECT_FALSE(detail::in_run_scope());
}

// ---- Semaphore ----

Task<void> acquire_and_log(Semaphore& semaphore, Log& log, std::string name) {
  co_await semaphore.acquire();
  log.push_back(std::move(name));
}

TEST(Semaphore, CountsAndQueues) {
  Semaphore semaphore(1);
  Log log;
  TaskGroup group;
  group.start(acquire_and_log(semaphore, log, "a"));
  group.start(acquire_and_log(semaphore, log, "b"));
  group.start(acquire_and_log(semaphore, log, "c"));
  EXPECT_EQ(log, Log{"a"});
  semaphore.release();
  EXPECT_EQ(log, (Log{"a", "b"}));
  semaphore.release();
  semaphore.release();
  EXPECT_EQ(log, (Log{"a", "b", "c"}));
  EXPECT_EQ(semaphore.available(), 1U);
}

TEST(Semaphore, ACancelledWaiterLeavesTheQueue) {
  Semaphore semaphore(0);
  Log log;
  TaskGroup group;
  {
    TaskGroup cancelled;
    cancelled.start(acquire_and_log(semaphore, log, "cancelled"));
    group.start(acquire_and_log(semaphore, log, "second"));
  }
  semaphore.release();
  EXPECT_EQ(log, Log{"second"});
  EXPECT_EQ(semaphore.available(), 0U);
}

TEST(Semaphore, APermitHandedToADestroyedWaiterGoesOn) {
  Semaphore semaphore(0);
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  victim->start(acquire_and_log(semaphore, log, "victim"));
  group.start(acquire_and_log(semaphore, log, "second"));
  {
    const RunScope scope;
    semaphore.release();  // handed to the victim, which has not run yet
    victim.reset();
  }
  EXPECT_EQ(log, Log{"second"});
  EXPECT_EQ(semaphore.available(), 0U);
}

TEST(Semaphore, APermitHandedToADestroyedWaiterReturnsWhenNobodyWaits) {
  Semaphore semaphore(0);
  Log log;
  auto victim = std::make_unique<TaskGroup>();
  victim->start(acquire_and_log(semaphore, log, "victim"));
  {
    const RunScope scope;
    semaphore.release();
    victim.reset();
  }
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(semaphore.available(), 1U);
}

TEST(Semaphore, DestroyedBetweenWakingAndRunning) {
  Log log;
  TaskGroup group;
  {
    const RunScope scope;
    auto semaphore = std::make_unique<Semaphore>(0);
    group.start(acquire_and_log(*semaphore, log, "woken"));
    group.start(acquire_and_log(*semaphore, log, "waiting"));
    semaphore->release();
    semaphore.reset();
  }
  EXPECT_TRUE(log.empty());
  group.cancel();
}

Task<void> hold(Semaphore& semaphore, Event& until, int& held) {
  co_await semaphore.acquire();
  const Semaphore::Permit permit(semaphore);
  ++held;
  co_await until.wait();
  --held;
}
TEST(Semaphore, PermitsOfCancelledTasksComeBack) {
  Semaphore semaphore(2);
  Event never;
  Event soon;
  int held = 0;
  TaskGroup group;
  {
    TaskGroup cancelled;
    cancelled.start(hold(semaphore, never, held));
    cancelled.start(hold(semaphore, never, held));
    group.start(hold(semaphore, soon, held));
    EXPECT_EQ(held, 2);
    held = 0;
  }
  EXPECT_EQ(held, 1);
  EXPECT_EQ(semaphore.available(), 1U);
  soon.set();
  EXPECT_EQ(semaphore.available(), 2U);
}

Task<void> release_after(Semaphore& semaphore, int& done) {
  co_await semaphore.acquire();
  ++done;
  semaphore.release();
}
TEST(Semaphore, ManyWaitersCostNoStack) {
  Semaphore semaphore(0);
  int done = 0;
  TaskGroup group;
  for (int i = 0; i < 50'000; ++i) group.start(release_after(semaphore, done));
  semaphore.release();
  EXPECT_EQ(done, 50'000);
}

// ---- Channel ----

Task<void> send_all(Channel<std::string>& channel, Log values, Log& log) {
  for (auto& value : values) {
    const std::string name = value;
    const bool sent = co_await channel.send(std::move(value));
    log.push_back((sent ? "sent " : "refused ") + name);
  }
}
Task<void> receive_all(Channel<std::string>& channel, Log& log, std::string who) {
  while (auto value = co_await channel.receive()) log.push_back(who + " got " + *value);
  log.push_back(who + " ends");
}
Task<void> receive_one(Channel<std::string>& channel, Log& log, std::string who) {
  const auto value = co_await channel.receive();
  log.push_back(who + (value ? " got " + *value : " got nothing"));
}

TEST(Channel, DeliversInOrderThroughASmallBuffer) {
  Channel<std::string> channel(1);
  Log sent;
  Log got;
  TaskGroup group;
  group.start(send_all(channel, {"1", "2", "3", "4"}, sent));
  EXPECT_EQ(sent, Log{"sent 1"});
  EXPECT_EQ(channel.size(), 1U);
  group.start(receive_all(channel, got, "r"));
  EXPECT_EQ(got, (Log{"r got 1", "r got 2", "r got 3", "r got 4"}));
  EXPECT_EQ(sent.size(), 4U);
  channel.close();
  EXPECT_EQ(got.back(), "r ends");
  EXPECT_EQ(group.size(), 0U);
}

TEST(Channel, ClosingDrainsAndRefuses) {
  Channel<std::string> channel(2);
  Log sent;
  Log got;
  TaskGroup group;
  group.start(send_all(channel, {"1", "2", "3"}, sent));
  channel.close();
  EXPECT_EQ(sent, (Log{"sent 1", "sent 2", "refused 3"}));
  EXPECT_FALSE(channel.try_send("4"));
  group.start(receive_all(channel, got, "r"));
  EXPECT_EQ(got, (Log{"r got 1", "r got 2", "r ends"}));
  EXPECT_TRUE(channel.closed());
}

TEST(Channel, CapacityZeroMeansOne) {
  Channel<std::string> channel(0);
  EXPECT_TRUE(channel.try_send("1"));
  EXPECT_FALSE(channel.try_send("2"));
}

TEST(Channel, AnItemWakesTheNextWhenTheWokenReceiverIsDestroyed) {
  Channel<std::string> channel(4);
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  victim->start(receive_one(channel, log, "victim"));
  group.start(receive_one(channel, log, "second"));
  {
    const RunScope scope;
    EXPECT_TRUE(channel.try_send("1"));
    victim.reset();
  }
  EXPECT_EQ(log, Log{"second got 1"});
}

TEST(Channel, RoomWakesTheNextWhenTheWokenSenderIsDestroyed) {
  Channel<std::string> channel(1);
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  EXPECT_TRUE(channel.try_send("0"));
  victim->start(send_all(channel, {"victim"}, log));
  group.start(send_all(channel, {"1"}, log));
  {
    const RunScope scope;
    group.start(receive_one(channel, log, "r"));
    victim.reset();
  }
  EXPECT_EQ(log, (Log{"r got 0", "sent 1"}));
  EXPECT_EQ(channel.size(), 1U);
}

TEST(Channel, AWokenReceiverWhoseItemWasTakenWaitsAgain) {
  Channel<std::string> channel(4);
  Log log;
  TaskGroup group;
  group.start(receive_one(channel, log, "slow"));
  {
    const RunScope scope;
    EXPECT_TRUE(channel.try_send("1"));
    group.start(receive_one(channel, log, "quick"));
  }
  EXPECT_EQ(log, Log{"quick got 1"});
  EXPECT_TRUE(channel.try_send("2"));
  EXPECT_EQ(log, (Log{"quick got 1", "slow got 2"}));
}

TEST(Channel, DestroyedUnderItsWaiters) {
  Log log;
  TaskGroup group;
  {
    const RunScope scope;
    auto channel = std::make_unique<Channel<std::string>>(1);
    group.start(receive_one(*channel, log, "woken"));
    group.start(receive_one(*channel, log, "waiting"));
    EXPECT_TRUE(channel->try_send("1"));
    channel.reset();
  }
  EXPECT_EQ(group.size(), 2U);
  group.cancel();
  EXPECT_TRUE(log.empty());
}

Task<void> receive_then_destroy(Channel<std::string>& channel, std::unique_ptr<TaskGroup>& victim) {
  (void)co_await channel.receive();
  victim.reset();
}
TEST(Channel, TheReceiverDestroysTheSender) {
  Channel<std::string> channel(1);
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  group.start(receive_then_destroy(channel, victim));
  victim->start(send_all(channel, {"1", "2", "3"}, log));
  EXPECT_EQ(victim, nullptr);
}

TEST(Channel, ClosedWhileAWokenReceiverIsDestroyed) {
  Channel<std::string> channel(1);
  Log log;
  TaskGroup group;
  auto victim = std::make_unique<TaskGroup>();
  victim->start(receive_one(channel, log, "victim"));
  group.start(receive_one(channel, log, "second"));
  {
    const RunScope scope;
    channel.close();
    victim.reset();
  }
  EXPECT_EQ(log, Log{"second got nothing"});
}

std::size_t count_prefix(const Log& log, std::string_view prefix) {
  return static_cast<std::size_t>(
      std::count_if(log.begin(), log.end(), [&](const auto& l) { return l.starts_with(prefix); }));
}

// Tasks come and go at random while values flow: nothing is lost, doubled or used after its end,
// and nobody waits for what is there.
TEST(Channel, RandomComingAndGoing) {
  std::uint64_t state = 99;
  const auto draw = [&state](std::uint64_t n) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % n;
  };
  for (int round = 0; round < 300; ++round) {
    const std::size_t capacity = 1 + draw(3);
    Channel<std::string> channel(capacity);
    Log sent;
    Log got;
    std::vector<std::unique_ptr<TaskGroup>> groups(8);
    for (auto& group : groups) group = std::make_unique<TaskGroup>();
    for (int step = 0; step < 60; ++step) {
      const RunScope scope;
      for (std::uint64_t i = draw(4); i > 0; --i) {
        auto& group = groups[draw(groups.size())];
        if (draw(2) == 0) {
          group->start(send_all(channel, {std::to_string(step) + "." + std::to_string(i)}, sent));
        } else {
          group->start(receive_one(channel, got, "r"));
        }
      }
      if (draw(2) == 0) groups[draw(groups.size())] = std::make_unique<TaskGroup>();
    }
    const std::size_t left = channel.size();
    const std::size_t accepted = count_prefix(sent, "sent ");
    channel.close();
    const std::size_t receivers_that_waited = count_prefix(got, "r got nothing");
    const std::size_t senders_that_waited = count_prefix(sent, "refused ");
    if (left > 0) {
      EXPECT_EQ(receivers_that_waited, 0U);
    }
    if (left < capacity) {
      EXPECT_EQ(senders_that_waited, 0U);
    }
    EXPECT_EQ(accepted, got.size() - receivers_that_waited + left);
    std::sort(got.begin(), got.end());
    Log delivered;
    for (const auto& line : got) {
      if (line != "r got nothing") delivered.push_back(line);
    }
    EXPECT_EQ(std::adjacent_find(delivered.begin(), delivered.end()), delivered.end());
  }
}

}  // namespace
}  // namespace octroi
