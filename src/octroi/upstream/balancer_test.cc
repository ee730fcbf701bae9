#include "octroi/upstream/balancer.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace octroi::upstream {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr UnixMillis kStart{1'800'000'000'000};

/// A service with some addresses and a clock.
class BalancerTest : public testing::Test {
 protected:
  std::shared_ptr<const Group> group(std::vector<std::int64_t> weights, Policy policy = {}) {
    std::vector<Address> addresses;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      addresses.push_back({"10.0.0." + std::to_string(i + 1), 80, weights[i]});
    }
    return directory.group("api", "http", addresses, policy);
  }
  /// The addresses of the next picks, "abca".
  std::string picks(Balancer& b, int n, AddressSet tried = 0) {
    std::string out;
    for (int i = 0; i < n; ++i) {
      const auto a = b.pick(tried, now);
      out += a ? static_cast<char>('a' + *a) : '-';
    }
    return out;
  }
  /// Every address in the order in which one request would try them.
  std::string order(Balancer& b) {
    std::string out;
    AddressSet tried = 0;
    while (const auto a = b.pick(tried, now)) {
      out += static_cast<char>('a' + *a);
      tried |= AddressSet{1} << *a;
    }
    return out;
  }
  void fail(Balancer& b, std::size_t address, int times = 1) {
    for (int i = 0; i < times; ++i) b.state(address).failed(b.group().policy.passive, now);
  }
  std::string metric(std::string_view name, int address) {
    const std::string line = std::string(name) + "{address=\"http://10.0.0." +
                             std::to_string(address + 1) + ":80\",service=\"api\"} ";
    const std::string text = metrics.exposition();
    const auto at = text.find(line);
    if (at == std::string::npos) return "none";
    return text.substr(at + line.size(), text.find('\n', at) - at - line.size());
  }

  MetricRegistry metrics;
  Directory directory{metrics};
  UnixMillis now = kStart;
};

TEST_F(BalancerTest, RoundRobin) {
  struct Row {
    const char* name;
    std::vector<std::int64_t> weights;
    std::string picks;
  };
  for (const Row& row : {Row{"one", {1}, "aaaa"}, Row{"equal", {1, 1, 1}, "abcabcabc"},
                         Row{"weights interleave", {3, 1}, "aabaaaba"},
                         Row{"large weights", {200, 100, 100}, "abcaabca"}}) {
    SCOPED_TRACE(row.name);
    Balancer b(group(row.weights), 0);
    EXPECT_EQ(picks(b, static_cast<int>(row.picks.size())), row.picks);
  }
}

TEST_F(BalancerTest, WorkersBeginApart) {
  const auto g = group({1, 1, 1});
  for (const auto& [turn, first] : {std::pair{0, "a"}, {1, "b"}, {2, "c"}, {3, "a"}}) {
    Balancer b(g, static_cast<std::size_t>(turn));
    EXPECT_EQ(picks(b, 1), first) << turn;
  }
}

TEST_F(BalancerTest, NoneIsPickedTwiceForOneRequest) {
  Balancer b(group({1, 5, 1}), 0);
  EXPECT_EQ(order(b).size(), 3U);
  EXPECT_EQ(picks(b, 1, b.all()), "-");
  EXPECT_EQ(picks(b, 3, 0b101), "bbb");
}

TEST_F(BalancerTest, LeastRequests) {
  Policy policy;
  policy.balance = Balance::least_requests;
  Balancer b(group({1, 1, 2}, policy), 0);
  EXPECT_EQ(picks(b, 3), "abc");  // equally idle: in turn
  ASSERT_TRUE(b.enter(0));
  ASSERT_TRUE(b.enter(1));
  ASSERT_TRUE(b.enter(1));
  EXPECT_EQ(picks(b, 3), "ccc");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(b.enter(2));
  EXPECT_EQ(picks(b, 3), "aaa");  // 1 against 2 and 3/2
  b.leave(1);
  b.leave(1);
  EXPECT_EQ(picks(b, 3), "bbb");
}

TEST_F(BalancerTest, FailuresInARowEject) {
  Balancer b(group({1, 1}), 0);
  fail(b, 0, 4);
  EXPECT_EQ(order(b), "ab");
  b.state(0).succeeded(false);
  fail(b, 0, 4);  // the success in between began a new row
  EXPECT_EQ(b.state(0).standing(now), Standing::good);
  fail(b, 0);
  EXPECT_EQ(b.state(0).standing(now), Standing::doubtful);
  EXPECT_EQ(picks(b, 4), "bbbb");
  EXPECT_EQ(order(b), "ba");  // never closed for good
  EXPECT_EQ(metric("octroi_upstream_healthy", 0), "0");
  EXPECT_EQ(metric("octroi_upstream_healthy", 1), "1");
  EXPECT_EQ(metric("octroi_upstream_ejections_total", 0), "1");
  EXPECT_EQ(metric("octroi_upstream_failures_total", 0), "9");
}

TEST_F(BalancerTest, EjectionsEndAndGrow) {
  Policy policy;
  policy.passive = {3, Millis(1'000)};
  Balancer b(group({1, 1}, policy), 0);
  fail(b, 0, 3);
  std::vector<std::int64_t> lengths;
  for (int i = 0; i < 8; ++i) {
    const UnixMillis began = now;
    while (b.state(0).standing(now) != Standing::good) now = now + Millis(500);
    lengths.push_back((now - began).count());
    EXPECT_EQ(metric("octroi_upstream_healthy", 0), "1");
    fail(b, 0);  // on probation one is enough
  }
  EXPECT_EQ(lengths,
            (std::vector<std::int64_t>{1000, 2000, 4000, 8000, 16000, 32000, 32000, 32000}));
  while (b.state(0).standing(now) != Standing::good) now = now + Millis(500);
  b.state(0).succeeded(false);
  fail(b, 0, 3);
  now = now + Millis(1'000);
  EXPECT_EQ(b.state(0).standing(now), Standing::good) << "something good came in between";
}

TEST_F(BalancerTest, WhenAllAreBadAllAreTried) {
  Balancer b(group({1, 1, 1}), 0);
  for (std::size_t i = 0; i < 3; ++i) fail(b, i, 5);
  EXPECT_EQ(picks(b, 6), "abcabc");
  b.state(1).succeeded(/*doubted=*/true);  // it was asked all the same, and answered
  EXPECT_EQ(picks(b, 3), "bbb");
  EXPECT_FALSE(b.group().known_down(now));
}

TEST_F(BalancerTest, AnEjectedOnesLateSuccessProvesNothing) {
  Balancer b(group({1, 1}), 0);
  fail(b, 0, 5);
  b.state(0).succeeded(/*doubted=*/false);  // of a request that had begun before
  EXPECT_EQ(b.state(0).standing(now), Standing::doubtful);
}

TEST_F(BalancerTest, ARefusedConnectionIsBelievedForASecond) {
  Balancer b(group({1, 1, 1}), 0);
  b.state(0).unreachable({}, now);
  fail(b, 1, 5);
  EXPECT_EQ(order(b), "cba");  // good, ejected, refused
  EXPECT_FALSE(b.group().known_down(now));
  b.state(1).unreachable({}, now);
  b.state(2).unreachable({}, now);
  EXPECT_TRUE(b.group().known_down(now));
  EXPECT_EQ(order(b).size(), 3U);
  now = now + kRefusedFor;
  EXPECT_FALSE(b.group().known_down(now));
}

TEST_F(BalancerTest, AClockThatJumpsBackHoldsNobodyFast) {
  Balancer b(group({1, 1}), 0);
  fail(b, 0, 5);
  b.state(1).unreachable({}, now);
  now = now - Millis(3'600'000);
  EXPECT_EQ(b.state(0).standing(now), Standing::good);
  EXPECT_EQ(b.state(1).standing(now), Standing::good);
}

TEST_F(BalancerTest, PassiveOff) {
  Policy policy;
  policy.passive.failures = 0;
  Balancer b(group({1, 1}, policy), 0);
  fail(b, 0, 1000);
  EXPECT_EQ(b.state(0).standing(now), Standing::good);
}

TEST_F(BalancerTest, TheCheckDecidesUntilItSaysOtherwise) {
  Policy policy;
  policy.health.emplace();
  Balancer b(group({1, 1}, policy), 0);
  b.state(0).set_checked(false, "status 500");
  EXPECT_EQ(picks(b, 3), "bbb");
  now = now + Millis(86'400'000);
  EXPECT_EQ(picks(b, 3), "bbb");
  EXPECT_EQ(metric("octroi_upstream_healthy", 0), "0");
  b.state(0).succeeded(true);  // requests do not overrule it
  EXPECT_EQ(picks(b, 3), "bbb");
  b.state(0).set_checked(true, {});
  EXPECT_EQ(order(b), "ab");
}

TEST_F(BalancerTest, BoundOnRequestsUnderWay) {
  Policy policy;
  policy.max_connections = 2;
  const auto g = group({1, 1}, policy);
  Balancer one(g, 0);
  Balancer other(g, 1);  // of another worker: the bound is the process's
  EXPECT_TRUE(one.enter(0));
  EXPECT_TRUE(other.enter(0));
  EXPECT_FALSE(one.enter(0));
  EXPECT_TRUE(one.enter(1));
  other.leave(0);
  EXPECT_TRUE(one.enter(0));
  EXPECT_EQ(one.under_way(0), 2);
  EXPECT_EQ(other.under_way(0), 0);
}

TEST_F(BalancerTest, AReloadKeepsWhatIsKnownOfAddressesThatStay) {
  auto before = std::make_unique<Balancer>(group({1, 1}), 0);
  fail(*before, 0, 5);
  ASSERT_TRUE(before->enter(1));
  Balancer after(group({1, 1, 1}), 0, before.get());
  EXPECT_EQ(after.state(0).standing(now), Standing::doubtful);
  EXPECT_EQ(after.under_way(1), 1);
  before->leave(1);  // the request ends under the configuration it began with
  EXPECT_EQ(after.under_way(1), 0);
}

TEST_F(BalancerTest, AddressesThatWentLeaveTheMetrics) {
  auto two = group({1, 1});
  auto one = group({1});
  directory.tick(now);
  EXPECT_EQ(metric("octroi_upstream_healthy", 1), "1") << "a request may still use it";
  two.reset();
  directory.tick(now);
  EXPECT_EQ(metric("octroi_upstream_healthy", 1), "none");
  EXPECT_EQ(metric("octroi_upstream_requests_total", 1), "none");
  EXPECT_EQ(metric("octroi_upstream_healthy", 0), "1");
  two = group({1, 1});
  EXPECT_EQ(metric("octroi_upstream_healthy", 1), "1");
}

TEST_F(BalancerTest, TheEndOfAnEjectionIsSeenWithoutRequests) {
  Balancer b(group({1, 1}), 0);
  fail(b, 0, 5);
  now = now + Millis(10'000);
  directory.tick(now);
  EXPECT_EQ(metric("octroi_upstream_healthy", 0), "1");
}

TEST_F(BalancerTest, WithoutACheckNoVerdictStays) {
  Policy checked;
  checked.health.emplace();
  const auto with = group({1}, checked);
  with->addresses[0]->set_checked(false, "status 500");
  const auto without = group({1});
  EXPECT_EQ(without->addresses[0]->standing(now), Standing::good);
}

TEST_F(BalancerTest, SixtyFourAddresses) {
  Balancer b(group(std::vector<std::int64_t>(kMaxAddresses, 1)), 0);
  AddressSet tried = 0;
  for (std::size_t i = 0; i < kMaxAddresses; ++i) {
    const auto a = b.pick(tried, now);
    ASSERT_TRUE(a);
    tried |= AddressSet{1} << *a;
  }
  EXPECT_EQ(b.pick(tried, now), std::nullopt);
  EXPECT_EQ(tried, b.all());
}

TEST(Name, OfAnAddress) {
  EXPECT_EQ(name_of({"http", "127.0.0.1", 9000}), "http://127.0.0.1:9000");
  EXPECT_EQ(name_of({"https", "::1", 443}), "https://[::1]:443");
}

}  // namespace
}  // namespace octroi::upstream
