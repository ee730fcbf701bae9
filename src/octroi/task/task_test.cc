#include "octroi/task/task.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/base/result.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi {
namespace {

enum class TestErrc : std::uint8_t { broken };
ErrorInfo error_info(TestErrc e) {
  switch (e) {
    case TestErrc::broken:
      return {"test.broken", ErrorKind::refused};
  }
  return {};
}

/// Counts how many are alive: what a cancelled coroutine must bring back to zero.
struct Alive {
  explicit Alive(int& n) : count(&n) { ++*count; }
  Alive(const Alive& other) : count(other.count) { ++*count; }
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --*count; }
  int* count;
};

Task<int> value(int n) { co_return n; }
Task<Result<int>> checked(bool good) {
  if (!good) co_return fail(TestErrc::broken, "as told");
  co_return 7;
}
Task<Result<int>> doubled(bool good) {
  OCTROI_CO_TRY(const int n, co_await checked(good));
  co_return 2 * n;
}
Task<Result<>> nothing() { co_return {}; }

template <class T>
Task<void> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}
template <class T>
T run(Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  group.start(store(std::move(task), out));
  return std::move(out).value();
}

TEST(Task, OneThatIsDoneNeedsNoCoroutine) {
  auto five = Task<int>::done(5);
  EXPECT_TRUE(five.valid() && five.is_done());
  EXPECT_EQ(run(std::move(five)), 5);
  EXPECT_EQ(Task<std::string>::done("ready").take(), "ready");
  EXPECT_EQ(run(Task<Result<int>>::done(fail(TestErrc::broken))).error().code(), "test.broken");
  auto owned = run(Task<std::unique_ptr<int>>::done(std::make_unique<int>(3)));
  EXPECT_EQ(*owned, 3);
  TaskGroup group;
  group.start(Task<void>::done());
  EXPECT_EQ(group.size(), 0U);
  EXPECT_FALSE(value(1).is_done());
  EXPECT_FALSE(Task<int>().valid());
}

TEST(Task, ReturnsValuesAndErrors) {
  EXPECT_EQ(run(value(5)), 5);
  EXPECT_EQ(run(doubled(true)).value(), 14);
  EXPECT_EQ(run(doubled(false)).error().code(), "test.broken");
  EXPECT_TRUE(run(nothing()));
}

Task<std::unique_ptr<std::string>> move_only(std::unique_ptr<std::string> in) { co_return in; }
TEST(Task, CarriesMoveOnlyValues) {
  EXPECT_EQ(*run(move_only(std::make_unique<std::string>("moved"))), "moved");
}

Task<void> note(std::vector<int>& order, int n) {
  order.push_back(n);
  co_return;
}
TEST(Task, StartsOnlyWhenAwaited) {
  std::vector<int> order;
  {
    const Task<void> never = note(order, 1);
    EXPECT_TRUE(never.valid());
  }
  EXPECT_TRUE(order.empty());
  Task<void> later = note(order, 2);
  TaskGroup group;
  group.start(std::move(later));
  EXPECT_FALSE(later.valid());  // NOLINT(bugprone-use-after-move): it is what is tested
  EXPECT_EQ(order, std::vector<int>{2});
}

Task<int> thrower() {
  throw std::runtime_error("thrown");
  co_return 1;
}
Task<std::string> catcher() {
  std::string seen;
  try {
    (void)co_await thrower();
  } catch (const std::runtime_error& e) {
    seen = e.what();
  }
  co_return seen;
}
TEST(Task, RethrowsAtTheAwaiter) { EXPECT_EQ(run(catcher()), "thrown"); }

Task<int> chain(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await chain(depth - 1);
}
Task<int> many_in_a_row(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await value(1);
  co_return sum;
}
// Symmetric transfer is a tail call, which the unoptimised sanitizer builds do not make.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kDepth = 500;
#else
constexpr int kDepth = 20'000;
#endif
#endif
TEST(Task, LongChainsCostNoStack) {
  EXPECT_EQ(run(chain(kDepth)), kDepth);
  EXPECT_EQ(run(many_in_a_row(50 * kDepth)), 50 * kDepth);
}

// ---- cancellation by destruction ----

Task<int> leaf(Event& gate, Alive alive, int& reached, int at) {
  co_await gate.wait();
  reached = at;
  co_return *alive.count * 0 + at;
}
/// Suspends at each gate in turn, with values alive in the frame, in arguments and in temporaries.
Task<void> walk(std::vector<std::unique_ptr<Event>>& gates, int& alive, int& reached) {
  const Alive own(alive);
  co_await gates[0]->wait();
  reached = 0;
  (void)co_await leaf(*gates[1], Alive(alive), reached, 1);
  const int sum = co_await leaf(*gates[2], Alive(alive), reached, 2) +
                  co_await leaf(*gates[3], own, reached, 3);
  std::vector<Alive> many(static_cast<std::size_t>(sum), own);
  co_await gates[4]->wait();
  reached = 4;
}

TEST(Cancel, AtEverySuspensionPoint) {
  for (int last = -1; last < 5; ++last) {
    SCOPED_TRACE(last);
    std::vector<std::unique_ptr<Event>> gates;
    for (int i = 0; i < 5; ++i) gates.push_back(std::make_unique<Event>());
    int alive = 0;
    int reached = -1;
    auto group = std::make_unique<TaskGroup>();
    group->start(walk(gates, alive, reached));
    for (int i = 0; i <= last; ++i) gates[static_cast<std::size_t>(i)]->set();
    EXPECT_EQ(reached, last);
    EXPECT_EQ(group->size(), last == 4 ? 0U : 1U);
    if (last < 4) {
      EXPECT_GT(alive, 0);
    }
    group.reset();
    EXPECT_EQ(alive, 0);
    for (auto& gate : gates) gate->set();
    EXPECT_EQ(reached, last) << "a destroyed coroutine went on";
  }
}

TEST(Cancel, ATaskThatNeverStarted) {
  int alive = 0;
  int reached = -1;
  Event gate;
  {
    const Task<int> task = leaf(gate, Alive(alive), reached, 1);
  }
  EXPECT_EQ(alive, 0);
}

// ---- groups ----

Task<void> wait_for(Event& event, int& done) {
  co_await event.wait();
  ++done;
}
Task<void> join_then(TaskGroup& group, bool& joined) {
  co_await group.join();
  joined = true;
}

TEST(TaskGroup, JoinsWhenTheLastEnds) {
  Event first;
  Event second;
  int done = 0;
  bool joined = false;
  TaskGroup outer;
  TaskGroup group;
  group.start(wait_for(first, done));
  group.start(wait_for(second, done));
  outer.start(join_then(group, joined));
  second.set();
  EXPECT_FALSE(joined);
  first.set();
  EXPECT_TRUE(joined);
  EXPECT_EQ(done, 2);
  EXPECT_EQ(outer.size(), 0U);
}

TEST(TaskGroup, JoinOfAnEmptyGroupDoesNotWait) {
  bool joined = false;
  TaskGroup outer;
  TaskGroup group;
  outer.start(join_then(group, joined));
  EXPECT_TRUE(joined);
}

TEST(TaskGroup, CancelLetsTheJoinerGoOn) {
  Event never;
  int done = 0;
  bool joined = false;
  TaskGroup outer;
  TaskGroup group;
  group.start(wait_for(never, done));
  outer.start(join_then(group, joined));
  group.cancel();
  EXPECT_TRUE(joined);
  EXPECT_EQ(done, 0);
  group.start(wait_for(never, done));
  never.set();
  EXPECT_EQ(done, 1) << "a cancelled group can be used again";
}

TEST(TaskGroup, DestroyedUnderItsJoiner) {
  Event never;
  int done = 0;
  bool joined = false;
  TaskGroup outer;
  auto group = std::make_unique<TaskGroup>();
  group->start(wait_for(never, done));
  outer.start(join_then(*group, joined));
  group.reset();
  EXPECT_FALSE(joined);
  EXPECT_EQ(outer.size(), 1U);
  outer.cancel();
}

TEST(TaskGroup, JoinerDestroyedFirst) {
  Event event;
  int done = 0;
  bool joined = false;
  TaskGroup group;
  group.start(wait_for(event, done));
  {
    TaskGroup outer;
    outer.start(join_then(group, joined));
  }
  event.set();
  EXPECT_EQ(done, 1);
  EXPECT_FALSE(joined);
}

Task<void> own_and_join(std::unique_ptr<TaskGroup> group, bool& joined) {
  co_await group->join();
  group.reset();
  joined = true;
}
TEST(TaskGroup, JoinerDestroysTheGroup) {
  Event event;
  int done = 0;
  bool joined = false;
  auto group = std::make_unique<TaskGroup>();
  group->start(wait_for(event, done));
  TaskGroup outer;
  outer.start(own_and_join(std::move(group), joined));
  event.set();
  EXPECT_TRUE(joined);
}

/// Wakes the others of its group when it is destroyed.
struct SetOnExit {
  Event* event;
  ~SetOnExit() { event->set(); }
};
Task<void> set_on_exit(Event& wait, Event& set) {
  const SetOnExit guard{&set};
  co_await wait.wait();
}
TEST(TaskGroup, CancelledTasksDoNotWakeEachOther) {
  Event never;
  Event bell;
  int woken = 0;
  {
    TaskGroup group;
    group.start(wait_for(bell, woken));
    group.start(set_on_exit(never, bell));
    group.start(wait_for(bell, woken));
  }
  EXPECT_TRUE(bell.is_set());
  EXPECT_EQ(woken, 0);
}

Task<void> start_more(TaskGroup& group, Event& event, int& done, int left) {
  if (left > 0) group.start(start_more(group, event, done, left - 1));
  co_await event.wait();
  ++done;
}
TEST(TaskGroup, TasksStartOthers) {
  Event event;
  int done = 0;
  TaskGroup group;
  group.start(start_more(group, event, done, 10));
  EXPECT_EQ(group.size(), 11U);
  event.set();
  EXPECT_EQ(done, 11);
  EXPECT_EQ(group.size(), 0U);
}

Task<void> throw_it() {
  throw std::runtime_error("lost");
  co_return;
}
TEST(TaskGroupDeathTest, AnEscapedExceptionEndsTheProcess) {
  EXPECT_DEATH(
      {
        TaskGroup group;
        group.start(throw_it());
      },
      "");
}

}  // namespace
}  // namespace octroi
