#include "octroi/upstream/attempt.h"

#include <chrono>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "octroi/net/run_until.h"
#include "octroi/upstream/checker.h"

namespace octroi::upstream {
namespace {

constexpr UnixMillis kStart{1'800'000'000'000};

/// One of several upstreams: answers with its name, and does as the test says.
struct Place {
  std::unique_ptr<http::Server> server;
  net::Endpoint at;
  int asked = 0;
  int status = 200;
  bool cuts = false;
};

class AttemptTest : public testing::Test {
 protected:
  static Task<void> answer(Place* place, http::Exchange* x) {
    ++place->asked;
    if (place->cuts) {
      x->abort();
      co_return;
    }
    http::ResponseHead head;
    head.status = place->status;
    std::ignore = co_await x->respond(std::move(head), std::to_string(place->at.port));
  }
  void open(Place& place, std::string at = "127.0.0.1:0") {
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse(at);
    config.reuse_port = false;
    auto server =
        http::listen(loop, config, [&place](http::Exchange& x) { return answer(&place, &x); });
    ASSERT_TRUE(server) << server.error().message();
    place.at = (*server)->local();
    place.server = std::move(*server);
  }
  void start(Policy policy = {}) {
    std::vector<Address> addresses;
    for (auto& place : places) {
      open(place);
      addresses.push_back({"127.0.0.1", place.at.port, 1});
    }
    group = directory.group("api", "http", addresses, policy);
    balancer.emplace(group, 0);
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    auto door = http::listen(loop, config, [this](http::Exchange& x) { return relay(this, &x); });
    ASSERT_TRUE(door) << door.error().message();
    door_ = std::move(*door);
  }
  static Task<void> relay(AttemptTest* self, http::Exchange* x) {
    Attempt attempt(*self->balancer, *self->client, http::Protocol::http1, self->timeouts,
                    self->clock);
    http::RelayOptions options;
    options.connector = &attempt;
    options.repeat_idempotent = !self->paid;
    if (self->paid) {
      auto opened = co_await attempt.connect_surely();
      if (!opened) {
        self->last = std::string(opened.error().code());
        http::ResponseHead head;
        head.status = 503;
        std::ignore = co_await x->respond(std::move(head), {});
        co_return;
      }
      options.connection = std::move(*opened);
      if (self->before_sending) co_await self->before_sending();
    }
    const auto result = co_await http::relay(*x, *self->client, std::move(options));
    attempt.ended(result);
    self->last = result.error ? std::string(result.error->code()) : "";
    if (result.state == http::RelayState::refused || result.state == http::RelayState::failed) {
      http::ResponseHead head;
      head.status = result.state == http::RelayState::refused ? 503 : 502;
      std::ignore = co_await x->respond(std::move(head), {});
    }
  }
  /// Status and which place answered, "200 b".
  std::string ask(std::string method = "GET", std::string body = {}) {
    http::Request r;
    r.method = std::move(method);
    r.url = *http::Url::parse("http://127.0.0.1:" + std::to_string(door_->local().port) + "/");
    r.body = std::move(body);
    auto got = net::run_until(loop, payer->fetch(std::move(r), 1 << 20, Millis(20'000)));
    if (!got) return std::string(got.error().code());
    std::string text = std::to_string(got->status);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (got->body == std::to_string(places[i].at.port)) text += std::string(" ") + name(i);
    }
    return text;
  }
  static char name(std::size_t place) { return static_cast<char>('a' + place); }
  void pause(Millis time) { net::run_until(loop, loop.sleep(time)); }
  [[nodiscard]] std::int64_t under_way() const {
    std::int64_t n = 0;
    for (std::size_t i = 0; i < balancer->size(); ++i) n += balancer->under_way(i);
    return n;
  }

  net::Loop loop;
  ManualClock clock{kStart};
  MetricRegistry metrics;
  Directory directory{metrics};
  SeededRandom random{1};
  std::array<Place, 3> places;
  std::shared_ptr<const Group> group;
  std::optional<Balancer> balancer;
  http::ClientTimeouts timeouts{Millis(2'000), Millis(2'000), Millis(2'000)};
  std::unique_ptr<http::Client> client = http::make_client(loop, {});
  std::unique_ptr<http::Client> payer = http::make_client(loop, {});
  std::unique_ptr<http::Server> door_;
  bool paid = false;
  std::function<Task<void>()> before_sending;
  std::string last;
};

TEST_F(AttemptTest, RequestsAreSharedOut) {
  start();
  std::string all;
  for (int i = 0; i < 6; ++i) all += ask() + ",";
  EXPECT_EQ(all, "200 a,200 b,200 c,200 a,200 b,200 c,");
  EXPECT_EQ(under_way(), 0);
}

TEST_F(AttemptTest, AConnectionThatCannotBeMadeCostsNothing) {
  start();
  places[0].server.reset();
  for (const char* method : {"GET", "POST"}) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask(method, "x").starts_with("200")) << method << i;
  }
  EXPECT_EQ(places[0].asked, 0);
  EXPECT_EQ(places[1].asked + places[2].asked, 8);
  EXPECT_EQ(group->addresses[0]->standing(clock.now()), Standing::refused);
}

TEST_F(AttemptTest, AnAddressThatReturnsIsAskedAgain) {
  start();
  const std::string where = "127.0.0.1:" + std::to_string(places[0].at.port);
  places[0].server.reset();
  for (int i = 0; i < 3; ++i) ask();
  open(places[0], where);
  for (int i = 0; i < 3; ++i) ask();
  EXPECT_EQ(places[0].asked, 0) << "believed to be down for a second";
  clock.advance(kRefusedFor);
  for (int i = 0; i < 3; ++i) ask();
  EXPECT_EQ(places[0].asked, 1);
}

TEST_F(AttemptTest, ARepeatableRequestIsRepeatedElsewhereOnce) {
  start();
  places[0].cuts = true;
  EXPECT_EQ(ask(), "200 b");
  EXPECT_EQ(places[0].asked, 1);
  places[1].cuts = places[2].cuts = true;
  EXPECT_EQ(ask(), "502");
  EXPECT_EQ(places[0].asked + places[1].asked + places[2].asked, 4) << "two tries, not three";
}

/// A process that is killed under load: its kept connections end first, and until its listener does
/// it has fewest requests under way.
TEST_F(AttemptTest, WhoClosedAKeptConnectionIsAskedAfterTheOthers) {
  Policy policy;
  policy.balance = Balance::least_requests;
  start(policy);
  for (int i = 0; i < 3; ++i) ask();
  for (const std::size_t busy : {1U, 2U}) ASSERT_TRUE(balancer->enter(busy));
  places[0].cuts = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask().substr(0, 3), "200");
  EXPECT_GT(places[0].asked, 1);
  places[1].server.reset();
  places[2].server.reset();
  places[0].cuts = false;
  EXPECT_EQ(ask(), "200 a") << "the others are gone";
}

TEST_F(AttemptTest, WhatCannotBeRepeatedIsNot) {
  struct Row {
    const char* name;
    const char* method;
    const char* body;
    bool paid;
  };
  start();
  for (auto& place : places) place.cuts = true;
  int before = 0;
  for (const Row& row : {Row{"a POST", "POST", "x", false}, Row{"paid", "GET", "", true},
                         Row{"a paid POST", "POST", "x", true}}) {
    SCOPED_TRACE(row.name);
    paid = row.paid;
    EXPECT_EQ(ask(row.method, row.body), "502");
    EXPECT_EQ(places[0].asked + places[1].asked + places[2].asked, ++before);
  }
}

TEST_F(AttemptTest, BadAnswersEject) {
  Policy policy;
  policy.passive = {2, Millis(10'000)};
  start(policy);
  places[1].status = 503;
  for (int i = 0; i < 6; ++i) ask();
  EXPECT_EQ(places[1].asked, 2);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(ask().starts_with("200"));
  EXPECT_EQ(places[1].asked, 2);
  places[1].status = 200;
  clock.advance(Millis(10'000));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(ask().starts_with("200"));
  EXPECT_EQ(places[1].asked, 4);
}

TEST_F(AttemptTest, OtherErrorsAreTheServicesOwn) {
  Policy policy;
  policy.passive = {1, Millis(10'000)};
  start(policy);
  for (const int status : {400, 404, 429, 500, 501}) {
    for (auto& place : places) place.status = status;
    EXPECT_TRUE(ask().starts_with(std::to_string(status)));
  }
  for (const auto& address : group->addresses) {
    EXPECT_EQ(address->standing(clock.now()), Standing::good);
  }
}

TEST_F(AttemptTest, AllDown) {
  start();
  for (auto& place : places) place.server.reset();
  EXPECT_EQ(ask(), "503");
  EXPECT_EQ(last, "http.connect_failed");
  EXPECT_TRUE(group->known_down(clock.now()));
  EXPECT_EQ(under_way(), 0);
}

TEST_F(AttemptTest, Full) {
  Policy policy;
  policy.max_connections = 1;
  start(policy);
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(balancer->enter(i));
  EXPECT_EQ(ask(), "503");
  EXPECT_EQ(last, "upstream.busy");
  balancer->leave(1);
  EXPECT_EQ(ask(), "200 b");
}

using Steady = std::chrono::steady_clock;

/// From this age on a kept connection is taken for one that stays open.
constexpr Millis kSettled{20};

struct Answers {
  int count = 0;
  Steady::time_point last;
};

/// Answers each connection once, keeps quiet about closing, and closes.
Task<void> answer_and_close(std::unique_ptr<net::Stream> stream, net::Loop* loop,
                            Answers* answers) {
  std::vector<std::uint8_t> buffer(4096);
  auto got = co_await net::read_some(*stream, buffer, Millis(5'000));
  if (!got || *got == 0) co_return;
  ++answers->count;
  answers->last = Steady::now();
  std::ignore = co_await net::write_all(
      *stream, as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Millis(5'000));
  co_await loop->sleep(Millis(10));
}
Task<void> accept_all(net::Listener* listener, net::Loop* loop, TaskGroup* group,
                      Answers* answers) {
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    group->start(answer_and_close(std::move(*stream), loop, answers));
  }
}

TEST_F(AttemptTest, AKeptConnectionThatClosesWhileTheProofIsWrittenCostsNothing) {
  start();
  auto listener = net::listen_tcp(loop, *net::Endpoint::parse("127.0.0.1:0"), false);
  ASSERT_TRUE(listener);
  Answers answers;
  TaskGroup connections;
  connections.start(accept_all(listener->get(), &loop, &connections, &answers));
  group = directory.group("api", "http", {{"127.0.0.1", (*listener)->local().port}}, {});
  balancer.emplace(group, 0);
  paid = true;
  struct Wait {  // longer than the upstream keeps the connection
    static Task<void> out(net::Loop* l) { co_await l->sleep(Millis(60)); }
  };
  before_sending = [this] { return Wait::out(&loop); };
  int late = 0;
  const auto at_once = [&](const char* method) {
    const auto since = answers.last;
    const std::string got = ask(method);
    if (answers.count == 0 || Steady::now() - since < kSettled) {
      EXPECT_EQ(got, "200");
    } else if (got != "200") {
      ++late;  // this machine stood still, and the connection closed under the request
    }
  };
  for (const char* method : {"GET", "POST", "GET", "GET"}) {
    before_sending = {};
    at_once(method);  // before the connection closes
    at_once(method);
    // Whatever was open when the proof was verified has closed before the first byte is written.
    before_sending = [this] { return Wait::out(&loop); };
    EXPECT_EQ(ask(method), "200");
  }
  EXPECT_EQ(answers.count + late, 12);
}

TEST_F(AttemptTest, OnlyARecentConnectionIsGoodEnoughForAPaidRequest) {
  start();
  const auto began = Steady::now();
  ask();
  ask();
  ask();
  const auto reused = [this](bool surely) {
    Attempt attempt(*balancer, *client, http::Protocol::http1, timeouts, clock);
    auto opened = net::run_until(loop, surely ? attempt.connect_surely() : attempt.connect());
    EXPECT_TRUE(opened);
    return opened && (*opened)->reused();
  };
  const bool young = reused(true);
  if (Steady::now() - began < kSettled) EXPECT_FALSE(young) << "may be about to close";
  for (int i = 0; i < 3; ++i) ask();  // what was lent out is gone
  pause(Millis(100));
  EXPECT_TRUE(reused(true));
  pause(Millis(1'200));
  EXPECT_FALSE(reused(true)) << "has rested for too long";
  EXPECT_TRUE(reused(false));
}

// ---- the active check ------------------------------------------------------------------------

class CheckerTest : public AttemptTest {
 protected:
  void check(HealthSettings settings) {
    Policy policy;
    settings.interval = Millis(50);
    settings.timeout = Millis(500);
    policy.health = settings;
    start(policy);
    checker.watch({{group, client.get()}});
  }
  bool wait_for(std::size_t address, Standing standing) {
    for (int i = 0; i < 300; ++i) {
      if (group->addresses[address]->standing(clock.now()) == standing) return true;
      pause(Millis(10));
    }
    return false;
  }
  HealthChecker checker{loop, random};
};

TEST_F(CheckerTest, TakesOutAndBringsBack) {
  check({.path = "/healthz"});
  pause(Millis(100));
  EXPECT_TRUE(wait_for(0, Standing::good));
  places[0].status = 500;
  EXPECT_TRUE(wait_for(0, Standing::doubtful));
  places[0].status = 204;
  EXPECT_TRUE(wait_for(0, Standing::good));
  places[0].server.reset();
  EXPECT_TRUE(wait_for(0, Standing::doubtful));
  EXPECT_EQ(group->addresses[1]->standing(clock.now()), Standing::good);
}

TEST_F(CheckerTest, TheFirstAnswerDecides) {
  places[2].status = 500;
  check({.path = "/healthz", .unhealthy = 1'000});
  EXPECT_TRUE(wait_for(2, Standing::doubtful));
}

TEST_F(CheckerTest, OneBadAnswerIsNotEnough) {
  check({.path = "/healthz", .unhealthy = 1'000});
  pause(Millis(100));
  places[0].status = 500;
  const int before = places[0].asked;
  while (places[0].asked < before + 5) pause(Millis(10));
  EXPECT_EQ(group->addresses[0]->standing(clock.now()), Standing::good);
}

TEST_F(CheckerTest, WithoutAPathAConnectionIsEnough) {
  for (auto& place : places) place.status = 500;
  check({.path = {}, .unhealthy = 1});
  pause(Millis(200));
  for (const auto& place : places) EXPECT_EQ(place.asked, 0);
  EXPECT_TRUE(wait_for(0, Standing::good));
  places[0].server.reset();
  EXPECT_TRUE(wait_for(0, Standing::doubtful));
}

TEST_F(CheckerTest, AStatusThatIsWanted) {
  for (auto& place : places) place.status = 404;
  check({.path = "/", .healthy = 1, .unhealthy = 1, .status = {{404, 404}, {200, 204}}});
  pause(Millis(150));
  EXPECT_TRUE(wait_for(0, Standing::good));
  places[0].status = 205;
  EXPECT_TRUE(wait_for(0, Standing::doubtful));
}

TEST_F(CheckerTest, ANewListOfAddresses) {
  check({.path = "/healthz", .unhealthy = 1});
  pause(Millis(100));
  EXPECT_EQ(checker.size(), 3U);
  // The same again: the probes go on, with what they have counted.
  checker.watch({{group, client.get()}});
  EXPECT_EQ(checker.size(), 3U);
  const auto fewer =
      directory.group("api", "http", {{"127.0.0.1", places[1].at.port}}, group->policy);
  checker.watch({{fewer, client.get()}});
  EXPECT_EQ(checker.size(), 1U);
  const int before = places[0].asked;
  pause(Millis(200));
  EXPECT_EQ(places[0].asked, before);
  checker.watch({});
  EXPECT_EQ(checker.size(), 0U);
}

TEST_F(CheckerTest, SilenceIsBad) {
  auto listener = net::listen_tcp(loop, *net::Endpoint::parse("127.0.0.1:0"), false);
  ASSERT_TRUE(listener);  // accepts in the kernel and never answers
  Policy policy;
  policy.health = HealthSettings{.path = "/", .interval = Millis(50), .timeout = Millis(100)};
  group = directory.group("quiet", "http", {{"127.0.0.1", (*listener)->local().port}}, policy);
  checker.watch({{group, client.get()}});
  EXPECT_TRUE(wait_for(0, Standing::doubtful));
}

}  // namespace
}  // namespace octroi::upstream
