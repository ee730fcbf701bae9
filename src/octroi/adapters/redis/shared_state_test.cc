#include "octroi/adapters/redis/shared_state.h"

#include <atomic>

#include "octroi/adapters/redis/redis_fixture.h"
#include "octroi/ledger/shared_contract.h"
#include "octroi/net/tls_identity.h"

namespace octroi::redis {
namespace {

using ledger::MemoryStore;
using ledger::News;
using ledger::RateBucket;
using ledger::Room;
using ledger::unpaid_place;

/// Inside the loop, where the state knows whom to answer.
template <class T>
Task<T> on_loop(net::Loop* loop, Task<T> task) {
  co_await loop->yield();
  co_return co_await std::move(task);
}
template <class T>
T run(Task<T> task) {
  net::Loop loop;
  return net::run_until(loop, on_loop(&loop, std::move(task)));
}

/// Two replicas over one ledger, whose name keeps it apart from every other test's.
struct RedisFixture {
  explicit RedisFixture(TestRedis& server = TestRedis::shared()) {
    for (int i = 0; i < 2; ++i) {
      replicas.push_back(std::make_unique<Replica>(server.options(), store));
      EXPECT_TRUE(replicas.back()->comes_up()) << replicas.back()->state().up().error().message();
    }
  }
  MemoryStore store;
  std::vector<std::unique_ptr<Replica>> replicas;
  RedisState& state(int i) { return replicas.at(static_cast<std::size_t>(i))->state(); }
  template <class T>
  T run(Task<T> task) {
    return redis::run(std::move(task));
  }
  void pass(Millis ms) { std::this_thread::sleep_for(ms); }

  bool granted(const RateBucket& b, int replica = 0) {
    const auto room = run(state(replica).take_rates({b}));
    return room && room->granted;
  }
  bool reserved(const std::string& client, const std::string& ticket, std::int64_t max,
                int replica = 0) {
    const auto room = run(state(replica).reserve_unpaid(unpaid_place(client, ticket), max));
    return room && room->granted;
  }
};
OCTROI_SHARED_CONTRACT(RedisShared, RedisFixture);

template <class Holds>
bool soon(Holds holds) {
  for (int i = 0; i < 2'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(Millis(5));
  }
  return false;
}

/// As many askers as this, each on its own loop, and what they were granted together.
int together(int askers, int each, const std::function<Task<Result<Room>>(int, int)>& ask) {
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int a = 0; a < askers; ++a) {
    threads.emplace_back([&, a] {
      net::Loop loop;
      for (int i = 0; i < each; ++i) {
        const auto room = net::run_until(loop, on_loop(&loop, ask(a, i)));
        if (room && room->granted) ++granted;
      }
    });
  }
  for (auto& t : threads) t.join();
  return granted;
}

TEST(RedisShared, threads_of_two_replicas_share_one_bucket) {
  RedisFixture f;
  const RateBucket b{"storm", 100, Millis(3'600'000), 0};
  EXPECT_EQ(together(8, 40, [&](int a, int) { return f.state(a % 2).take_rates({b}); }), 100);
}

TEST(RedisShared, threads_of_two_replicas_share_one_bound) {
  RedisFixture f;
  EXPECT_EQ(together(8, 20,
                     [&](int a, int i) {
                       return f.state(a % 2).reserve_unpaid(
                           unpaid_place("storm", fmt::format("{}-{}", a, i)), 64);
                     }),
            64);
}

TEST(RedisShared, processes_share_one_bucket) {
  TestRedis& server = TestRedis::shared();
  MemoryStore store;  // each child has a copy of the same name
  {
    Replica first(server.options(), store);
    ASSERT_TRUE(first.comes_up());
  }
  std::vector<pid_t> children;
  std::array<int, 2> results{};
  ASSERT_EQ(::pipe(results.data()), 0);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      int granted = 0;
      {
        Replica replica(server.options(), store);
        if (!replica.comes_up()) ::_exit(1);
        net::Loop loop;
        for (int n = 0; n < 50; ++n) {
          const auto room = net::run_until(
              loop, on_loop(&loop,
                            replica.state().take_rates({{"processes", 70, Millis(3'600'000), 0}})));
          if (room && room->granted) ++granted;
        }
      }
      if (::write(results[1], &granted, sizeof granted) != sizeof granted) ::_exit(1);
      ::_exit(0);
    }
    children.push_back(child);
  }
  int sum = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    int granted = 0;
    ASSERT_EQ(::read(results[0], &granted, sizeof granted), ssize_t{sizeof granted});
    sum += granted;
  }
  ::close(results[0]);
  ::close(results[1]);
  EXPECT_EQ(sum, 70);
}

TEST(RedisShared, deployments_on_one_redis_do_not_meet) {
  RedisFixture one;
  RedisFixture other;
  const RateBucket b{"same", 1, Millis(3'600'000), 0};
  EXPECT_TRUE(one.granted(b));
  EXPECT_TRUE(other.granted(b));
  EXPECT_FALSE(one.granted(b));
}

TEST(RedisShared, a_flush_gives_nobody_a_second_burst) {
  RedisFixture f;
  const RateBucket b{"flushed", 60, Millis(60'000), 0};  // one a second
  const RateBucket unused{"unused", 60, Millis(60'000), 0};
  int granted = 0;
  for (int i = 0; i < 60; ++i) granted += f.granted(b, i % 2) ? 1 : 0;
  EXPECT_EQ(granted, 60);
  TestRedis::shared().command({"FLUSHALL"});
  int after = 0;
  for (int i = 0; i < 60; ++i) after += f.granted(b, i % 2) ? 1 : 0;
  EXPECT_LE(after, 5);  // what a slow machine fills in the meantime
  EXPECT_TRUE(soon([&] { return f.granted(unused); }));  // heals at the rule's rate
}

TEST(RedisShared, a_flush_forgets_no_unpaid_challenge) {
  TestRedis server;
  MemoryStore store;
  std::mutex mutex;
  std::vector<ledger::UnpaidPlace> out;
  Hearing hearing;
  hearing.places = [&] {
    const std::lock_guard lock(mutex);
    return out;
  };
  Replica one(server.options(), store, hearing);
  Replica two(server.options(), store);
  ASSERT_TRUE(one.comes_up());
  ASSERT_TRUE(two.comes_up());
  for (int i = 0; i < 3; ++i) {
    auto place = unpaid_place("client", "t" + std::to_string(i));
    ASSERT_TRUE(run(one.state().reserve_unpaid(place, 3))->granted);
    if (i == 0) {
      place.hash = ledger::hash_of_unpaid(1);
      one.state().attach_unpaid(place);
    }
    const std::lock_guard lock(mutex);
    out.push_back(place);
  }
  server.command({"FLUSHALL"});
  // Right after it nobody is told anything; then the bound is as before.
  std::optional<Room> room;
  ASSERT_TRUE(soon([&] {
    const auto asked = run(two.state().reserve_unpaid(unpaid_place("client", "u"), 3));
    if (asked) room = *asked;
    return asked.has_value();
  }));
  EXPECT_FALSE(room->granted);
  two.state().settle_unpaid(ledger::hash_of_unpaid(1));
  EXPECT_TRUE(run(two.state().reserve_unpaid(unpaid_place("client", "u"), 3))->granted);
  EXPECT_FALSE(run(two.state().reserve_unpaid(unpaid_place("client", "v"), 3))->granted);
}

TEST(RedisShared, killed_and_started_again_it_heals) {
  TestRedis server;
  RedisFixture f(server);
  const RateBucket b{"killed", 600, Millis(60'000), 0};
  EXPECT_TRUE(f.granted(b));
  server.stop(SIGKILL);
  EXPECT_TRUE(f.replicas[0]->goes_down());
  const auto down = f.run(f.state(0).take_rates({b}));
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().kind(), ErrorKind::unavailable);
  EXPECT_FALSE(f.state(0).up());
  server.start();
  EXPECT_TRUE(f.replicas[0]->comes_up());
  EXPECT_TRUE(f.replicas[1]->comes_up());
  EXPECT_TRUE(soon([&] { return f.granted(b, 1); }));
  // Neither replica took what it lost for a first start.
  EXPECT_LE(together(2, 50, [&](int a, int) { return f.state(a).take_rates({b}); }), 60);
}

TEST(RedisShared, a_server_that_hangs_holds_nobody) {
  TestRedis server;
  RedisFixture f(server);
  const RateBucket b{"hangs", 600, Millis(60'000), 0};
  EXPECT_TRUE(f.granted(b));
  server.signal(SIGSTOP);
  const auto asked = f.run(f.state(0).take_rates({b}));
  EXPECT_FALSE(asked);
  EXPECT_TRUE(f.replicas[0]->goes_down());
  server.signal(SIGCONT);
  EXPECT_TRUE(f.replicas[0]->comes_up());
  EXPECT_TRUE(f.granted(b));
}

TEST(RedisShared, scripts_that_were_flushed_are_told_again) {
  TestRedis server;
  RedisFixture f(server);
  server.command({"SCRIPT", "FLUSH"});
  EXPECT_TRUE(f.granted({"scripts", 5, Millis(60'000), 0}));
}

TEST(RedisShared, news_reach_the_others) {
  TestRedis& server = TestRedis::shared();
  MemoryStore store;
  std::atomic<int> missed{0};
  std::atomic<int> revocations{0};
  std::atomic<int> sessions{0};
  Hearing hearing;
  hearing.missed = [&] { ++missed; };
  hearing.heard = [&](const News& n) {
    ++(n.about == News::About::session && n.session == ledger::hash_of_unpaid(3) ? sessions
                                                                                 : revocations);
  };
  Replica one(server.options(), store);
  Replica two(server.options(), store, hearing);
  ASSERT_TRUE(one.comes_up());
  ASSERT_TRUE(soon([&] { return missed > 0; }));
  one.state().tell({});
  one.state().tell({News::About::session, ledger::hash_of_unpaid(3)});
  EXPECT_TRUE(soon([&] { return revocations == 1 && sessions == 1; }));
}

TEST(RedisShared, a_wrong_password_is_told_without_it) {
  TestRedis server({"--requirepass", "correct horse battery"});
  MemoryStore store;
  auto options = server.options();
  {
    Replica none(options, store);
    EXPECT_TRUE(soon([&] {
      return std::string(none.state().up().error().message()).find("shared_password") !=
             std::string::npos;
    })) << none.state().up().error().message();
  }
  options.password = std::make_shared<const Secret>(std::string_view("not the password"));
  {
    Replica wrong(options, store);
    EXPECT_TRUE(soon([&] {
      return std::string(wrong.state().up().error().message()).find("WRONGPASS") !=
             std::string::npos;
    }));
    EXPECT_EQ(std::string(wrong.state().up().error().message()).find("not the password"),
              std::string::npos);
  }
  options.password = std::make_shared<const Secret>(std::string_view("correct horse battery"));
  Replica right(options, store);
  EXPECT_TRUE(right.comes_up());
}

TEST(RedisShared, a_user_of_its_own_and_another_database) {
  TestRedis server({"--user", "octroi", "on", ">secret-of-octroi", "~octroi:*", "&octroi:*",
                    "+@connection", "+@scripting", "+@pubsub", "+@read", "+@write", "+time",
                    "-@dangerous"});
  MemoryStore store;
  auto options = server.options();
  options.user = "octroi";
  options.database = 3;
  options.password = std::make_shared<const Secret>(std::string_view("secret-of-octroi"));
  Replica one(options, store);
  ASSERT_TRUE(one.comes_up());
  EXPECT_TRUE(run(one.state().take_rates({{"acl", 1, Millis(60'000), 0}}))->granted);
  EXPECT_NE(server.command({"INFO", "keyspace"}).text.find("db3:"), std::string::npos);
}

TEST(RedisShared, a_cluster_keeps_a_deployment_on_one_node) {
  const std::vector<std::string> cluster = {"--cluster-enabled", "yes"};
  TestRedis one(cluster);
  TestRedis two(cluster);
  EXPECT_EQ(one.command({"CLUSTER", "ADDSLOTSRANGE", "0", "8191"}).text, "OK");
  EXPECT_EQ(two.command({"CLUSTER", "ADDSLOTSRANGE", "8192", "16383"}).text, "OK");
  one.command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(two.port())});
  for (const TestRedis* node : {&one, &two}) {
    ASSERT_TRUE(soon([&] {
      const auto info = node->command({"CLUSTER", "INFO"}).text;
      return info.find("cluster_state:ok") != std::string::npos &&
             info.find("cluster_known_nodes:2") != std::string::npos;
    }));
  }
  // Their names are of chance: some lie here, some there.
  for (int i = 0; i < 8; ++i) {
    RedisFixture f(one);
    const RateBucket b{"cluster", 1, Millis(3'600'000), 0};
    const RateBucket other{"other", 5, Millis(3'600'000), 0};
    EXPECT_TRUE(f.run(f.state(0).take_rates({b, other}))->granted);
    EXPECT_FALSE(f.granted(b, 1));
    EXPECT_TRUE(f.reserved("c", "t", 1));
    EXPECT_FALSE(f.reserved("c", "u", 1, 1));
  }
}

TEST(RedisShared, over_tls_with_a_ca_of_its_own) {
  const auto identity = net::make_identity(
      {.common_name = "localhost", .alt_names = "DNS:localhost", .authority = true});
  ASSERT_TRUE(identity);
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("octroi-tls-{}", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "cert.pem") << identity->certificate;
  std::ofstream(folder / "key.pem") << identity->key.reveal_text();
  const std::uint16_t port = free_port();
  {
    TestRedis server({"--tls-port", std::to_string(port), "--tls-cert-file", folder / "cert.pem",
                      "--tls-key-file", folder / "key.pem", "--tls-ca-cert-file",
                      folder / "cert.pem", "--tls-auth-clients", "no"});
    MemoryStore store;
    auto options = server.options();
    options.port = port;
    options.host = "localhost";
    options.tls = true;
    {
      Replica stranger(options, store);
      EXPECT_TRUE(soon([&] {
        return std::string(stranger.state().up().error().message()).find("certificate") !=
               std::string::npos;
      })) << stranger.state().up().error().message();
    }
    options.ca_pem = identity->certificate;
    Replica one(options, store);
    ASSERT_TRUE(one.comes_up()) << one.state().up().error().message();
    EXPECT_TRUE(run(one.state().take_rates({{"tls", 1, Millis(60'000), 0}}))->granted);
  }
  std::filesystem::remove_all(folder);
}

TEST(RedisShared, without_the_ledger_there_is_no_start) {
  MemoryStore store;
  store.set_unavailable(true);
  Replica one(TestRedis::shared().options(), store);
  EXPECT_TRUE(soon([&] { return !std::string(one.state().up().error().message()).empty(); }));
  EXPECT_FALSE(one.state().up());
  store.set_unavailable(false);
  EXPECT_TRUE(one.comes_up());
}

}  // namespace
}  // namespace octroi::redis
