// Does this compiler build and destroy every temporary of a co_await expression exactly once?
//
// GCC 12 does not: in seven of these patterns it destroys one twice, or does not compile. Here that
// would be a payment released twice. Each pattern makes Tracked values, suspends for real while
// they are alive, and must end with as many destructions as constructions and no value destroyed
// twice.
#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/task/group.h"
#include "octroi/task/sync.h"
#include "octroi/task/task.h"

namespace octroi {
namespace {

struct Count {
  int made = 0;
  int gone = 0;
  int twice = 0;
  std::set<const void*> alive;
};
Count* current = nullptr;

/// Counts its own life, and owns memory so that a sanitizer sees a double destruction too.
class Tracked {
 public:
  explicit Tracked(int value = 0) : value_(std::make_unique<int>(value)) { born(); }
  Tracked(const Tracked& other) : value_(std::make_unique<int>(other.get())) { born(); }
  Tracked(Tracked&& other) noexcept : value_(std::move(other.value_)) { born(); }
  Tracked& operator=(const Tracked&) = delete;
  Tracked& operator=(Tracked&&) = delete;
  ~Tracked() {
    ++current->gone;
    if (current->alive.erase(this) == 0) ++current->twice;
  }
  [[nodiscard]] int get() const { return value_ ? *value_ : -1; }

 private:
  void born() {
    ++current->made;
    current->alive.insert(this);
  }
  std::unique_ptr<int> value_;
};

/// A suspension that ends when the test says so.
Event* gate = nullptr;

Task<Tracked> make(int value) {
  co_await gate->wait();
  co_return Tracked(value);
}
Task<int> number(int value) {
  co_await gate->wait();
  co_return value;
}
Task<int> take(Tracked t) {
  co_await gate->wait();
  co_return t.get();
}
Task<int> take_two(Tracked a, Tracked b) {
  co_await gate->wait();
  co_return a.get() * 10 + b.get();
}

struct Options {
  Tracked a;
  Tracked b;
  int n = 0;
};
Task<int> take_options(Options o) {
  co_await gate->wait();
  co_return o.a.get() * 100 + o.b.get() * 10 + o.n;
}
Task<int> take_function(std::function<int()> f) {
  co_await gate->wait();
  co_return f();
}
Task<int> take_list(std::initializer_list<Tracked> list) {
  // The list's array belongs to the caller's full expression, which lasts through the suspension.
  co_await gate->wait();
  int sum = 0;
  for (const Tracked& t : list) sum += t.get();
  co_return sum;
}
Task<std::vector<Tracked>> make_vector() {
  co_await gate->wait();
  std::vector<Tracked> out;
  out.reserve(2);
  out.emplace_back(1);
  out.emplace_back(2);
  co_return out;
}

Task<int> aggregate_argument() {
  co_return co_await take_options(Options{Tracked(1), Tracked(2), 3});
}
Task<int> designated_argument() {
  co_return co_await take_options({.a = Tracked(1), .b = Tracked(2), .n = co_await number(3)});
}
Task<int> aggregate_of_awaits() {
  const Options o{co_await make(1), co_await make(2), 3};
  co_return o.a.get() * 100 + o.b.get() * 10 + o.n;
}
Task<int> await_in_conditional() {
  const bool yes = co_await number(1) == 1;
  const Tracked t = yes ? co_await make(123) : Tracked();
  co_return t.get();
}
Task<int> lambda_argument() {
  const Tracked t(123);
  co_return co_await take_function([t] { return t.get(); });
}
Task<int> structured_binding() {
  const auto [a, b, n] = Options{co_await make(1), co_await make(2), 3};
  co_return a.get() * 100 + b.get() * 10 + n;
}
Task<int> list_argument() { co_return co_await take_list({Tracked(100), Tracked(20), Tracked(3)}); }
Task<int> if_with_initialiser() {
  if (const Tracked t = co_await make(123); t.get() > 0) co_return t.get();
  co_return 0;
}
Task<int> range_for_over_temporary() {
  int sum = 120;
  for (const Tracked& t : co_await make_vector()) {
    sum += co_await number(t.get());
  }
  co_return sum;
}
Task<int> nested_await_arguments() {
  co_return 111 + co_await take_two(co_await make(1), co_await make(2));
}
Task<int> throw_with_temporary(Tracked t) {
  co_await gate->wait();
  throw std::runtime_error(std::to_string(t.get()));
}
Task<int> await_in_try() {
  int caught = 0;
  try {
    caught = co_await throw_with_temporary(Tracked(123));
  } catch (const std::runtime_error& e) {
    caught = std::stoi(e.what());
  }
  co_return caught;
}
Task<int> await_in_switch() {
  switch (const Tracked t = co_await make(2); t.get()) {
    case 2:
      co_return co_await take(Tracked(123));
    default:
      co_return 0;
  }
}
Task<int> named_first() {
  Options o{Tracked(1), Tracked(2), 3};
  co_return co_await take_options(std::move(o));
}
Task<int> await_in_logical_operator() {
  const bool both = co_await take(Tracked(1)) == 1 && co_await take(Tracked(2)) == 2;
  const bool neither = co_await take(Tracked(1)) == 2 && co_await take(Tracked(2)) == 2;
  co_return both && !neither ? 123 : 0;
}
Task<int> await_in_loop_condition() {
  int n = 0;
  while (co_await take(Tracked(n)) < 123) n += 41;
  co_return n;
}
Task<int> temporary_outlives_await() {
  // The first temporary is made before the suspension and read after it.
  co_return Tracked(100).get() + co_await take(Tracked(20)) + std::stoi(std::string("3"));
}
Task<int> await_returned_temporary_member() { co_return (co_await make(123)).get(); }
Task<int> await_in_constructor_argument() {
  const auto owned =
      std::make_unique<Options>(Options{Tracked(1), co_await make(2), co_await number(3)});
  co_return owned->a.get() * 100 + owned->b.get() * 10 + owned->n;
}

struct Pattern {
  const char* name;
  Task<int> (*run)();
};
constexpr Pattern kPatterns[] = {
    {"AggregateArgument", aggregate_argument},
    {"DesignatedArgument", designated_argument},
    {"AggregateOfAwaits", aggregate_of_awaits},
    {"AwaitInConditional", await_in_conditional},
    {"LambdaArgument", lambda_argument},
    {"StructuredBinding", structured_binding},
    {"ListArgument", list_argument},
    {"IfWithInitialiser", if_with_initialiser},
    {"RangeForOverTemporary", range_for_over_temporary},
    {"NestedAwaitArguments", nested_await_arguments},
    {"AwaitInTry", await_in_try},
    {"AwaitInSwitch", await_in_switch},
    {"NamedFirst", named_first},
    {"AwaitInLogicalOperator", await_in_logical_operator},
    {"AwaitInLoopCondition", await_in_loop_condition},
    {"TemporaryOutlivesAwait", temporary_outlives_await},
    {"AwaitReturnedTemporaryMember", await_returned_temporary_member},
    {"AwaitInConstructorArgument", await_in_constructor_argument},
};
static_assert(std::size(kPatterns) == 18);

class CoroutineProbe : public testing::TestWithParam<Pattern> {
 protected:
  CoroutineProbe() {
    current = &count_;
    gate = &event_;
  }
  ~CoroutineProbe() override {
    gate = nullptr;
    current = nullptr;
  }
  static Task<void> store(Task<int> task, int* out) { *out = co_await std::move(task); }
  void expect_balanced() const {
    EXPECT_GT(count_.made, 0);
    EXPECT_EQ(count_.made, count_.gone);
    EXPECT_EQ(count_.twice, 0);
    EXPECT_TRUE(count_.alive.empty());
  }
  Count count_;
  Event event_;
};

TEST_P(CoroutineProbe, RunsToTheEnd) {
  int result = 0;
  TaskGroup group;
  group.start(store(GetParam().run(), &result));
  EXPECT_EQ(group.size(), 1U) << "the pattern never suspended";
  event_.set();
  EXPECT_EQ(group.size(), 0U);
  EXPECT_EQ(result, 123);
  expect_balanced();
}

TEST_P(CoroutineProbe, IsCancelledWhereItSuspends) {
  int result = 0;
  {
    TaskGroup group;
    group.start(store(GetParam().run(), &result));
  }
  EXPECT_EQ(result, 0);
  EXPECT_EQ(count_.made, count_.gone);
  EXPECT_EQ(count_.twice, 0);
}

INSTANTIATE_TEST_SUITE_P(Patterns, CoroutineProbe, testing::ValuesIn(kPatterns),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace octroi
