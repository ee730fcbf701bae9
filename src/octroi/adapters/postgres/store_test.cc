#include "octroi/adapters/postgres/store.h"

#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/adapters/sql/migration_testing.h"
#include "octroi/adapters/sql/model_testing.h"
#include "octroi/base/log.h"
#include "octroi/ledger/session_testing.h"
#include "octroi/ledger/store_contract.h"

namespace octroi::ledger {
namespace {
INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract,
                         testing::Values(StoreUnderTest{
                             "postgres",
                             [] { return std::make_unique<postgres::PostgresFixture>(); }}),
                         store_name);
}  // namespace
}  // namespace octroi::ledger

namespace octroi::postgres {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words
using testing::HasSubstr;

TestServer& server() { return TestServer::shared(); }

TEST(PostgresDialect, PlaceholdersAndOwnCommentsAreRead) {
  struct Row {
    const char* name;
    const char* sql;
    const char* out;
  };
  const std::vector<Row> rows = {
      {"in order", "a = ? AND b = ?", "a = $1 AND b = $2"},
      {"numbered", "?2 ?1 ?12", "$2 $1 $12"},
      {"text", "'?' || ?", "'?' || $1"},
      {"open text", "'?", "'?"},
      {"ours", "SELECT ? /*pg FOR UPDATE*/", "SELECT $1 FOR UPDATE"},
      {"others'", "SELECT 1 /* why */", "SELECT 1 /* why */"},
      {"unfinished", "SELECT 1 /*pg FOR", "SELECT 1 "},
  };
  for (const Row& row : rows) EXPECT_EQ(in_postgres(row.sql), row.out) << row.name;
}

TEST(PostgresAgainstTheModel, RandomStoriesEndTheSame) {
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    PostgresFixture fixture;
    sql::tell_random_story(fixture, seed, 300);
  }
}

// --- neighbours in one commit

TEST(PostgresOperations, ARefusedRowUndoesItsOwnOperationOnly) {
  PostgresFixture fixture;
  InvoiceRecord bad = invoice_of(2);
  bad.amount = Msat::from_raw_unchecked(-1);
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  std::atomic<int> done{0};
  for (std::uint32_t i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      const auto r = i % 2 == 0 ? sync(fixture.store().record_invoices({invoice_of(100 + i)}))
                                : sync(fixture.store().record_invoices({invoice_of(100 + i), bad}));
      if (r) ++done;
      if (!r && r.error().is(Errc::corrupt)) ++refused;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(done, 16);
  EXPECT_EQ(refused, 16);
  for (std::uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(sync(fixture.store().find_invoice(hash_of(100 + i)))->has_value(), i % 2 == 0) << i;
  }
  EXPECT_TRUE(sync(fixture.store().ping())) << "the store goes on";
}

TEST(PostgresOperations, AnErrorNamesNoValue) {
  PostgresFixture fixture;
  ConsumeRequest r = consume_of(1, "a-secret-of-the-client\xFF");
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  r.service = std::string("zero\0byte", 9);
  const auto out = sync(fixture.store().consume(r));
  ASSERT_FALSE(out);
  EXPECT_THAT(std::string(out.error().message()), testing::Not(HasSubstr("secret")));
  EXPECT_THAT(std::string(out.error().message()), HasSubstr("SQLSTATE"));
  EXPECT_TRUE(sync(fixture.store().ping()));
}

// --- several replicas

/// Threads of several replicas that consume, settle, record and take at once. What is true however
/// they are interleaved, and whatever is cut meanwhile, is checked at the end.
class Crowd {
 public:
  static constexpr std::uint32_t kHashes = 24;
  static constexpr std::int64_t kFree = 150;

  explicit Crowd(PostgresFixture& fixture) : fixture_(fixture) {
    for (int i = 0; i < 3; ++i) stores_.push_back(fixture.another());
    std::vector<InvoiceRecord> invoices;
    for (std::uint32_t n = 0; n < kHashes; ++n) invoices.push_back(invoice_of(n));
    EXPECT_TRUE(sync(stores_[0]->record_invoices(invoices)));
  }
  void start(int threads, int steps) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, t, steps] { work(static_cast<std::uint32_t>(t), steps); });
    }
  }
  void join() {
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }
  [[nodiscard]] bool busy(int done) const { return steps_ < done; }
  [[nodiscard]] int failures() const { return failures_; }

  void check() {
    const auto fresh_store = fixture_.another();
    for (std::uint32_t n = 0; n < kHashes; ++n) {
      const bool consumed = *sync(fresh_store->is_consumed(hash_of(n)));
      EXPECT_LE(fresh_.at(n), 1) << "sold twice: " << n;
      if (fresh_.at(n) == 1) EXPECT_TRUE(consumed) << "an acknowledged claim was lost: " << n;
    }
    EXPECT_LE(taken_, kFree);
    EXPECT_LE(secrets_.size(), 1U);
    TransactionFilter filter;
    filter.limit = 1000;
    filter.state = TransactionState::settled;
    const auto rows = *sync(fresh_store->list_transactions(filter));
    std::set<std::string> booked;
    for (const Transaction& t : rows) {
      if (t.record.scheme == Scheme::mpp_charge) booked.insert(t.record.hash.hex());
    }
    for (std::uint32_t n = 0; n < kHashes; ++n) {
      if (fresh_.at(n) == 1) {
        EXPECT_TRUE(booked.contains(hash_of(n).hex())) << "sold and not booked: " << n;
      }
    }
    filter.state = TransactionState::pending;
    const auto waiting = *sync(fresh_store->list_transactions(filter));
    for (const Transaction& t : waiting) {
      EXPECT_FALSE(*sync(fresh_store->is_consumed(t.record.hash)))
          << "a row of what was sold waits for its payment";
    }
  }
  [[nodiscard]] std::int64_t taken() const { return taken_; }
  [[nodiscard]] int fresh() const {
    int sum = 0;
    for (const auto& f : fresh_) sum += f;
    return sum;
  }

 private:
  template <class R>
  bool good(const R& r) {
    if (r) return true;
    EXPECT_TRUE(r.error().is(Errc::unavailable)) << r.error().message();
    ++failures_;
    // As the paywall's clients do: come again a little later.
    std::this_thread::sleep_for(Millis(20));
    return false;
  }
  void work(std::uint32_t t, int steps) {
    Store& store = *stores_[t % stores_.size()];
    std::mt19937 random(t);
    for (int i = 0; i < steps; ++i, ++steps_) {
      const auto n = static_cast<std::uint32_t>(random() % kHashes);
      switch (random() % 6) {
        case 0:
          good(sync(store.settle(hash_of(n), kStart)));
          break;
        case 1:
          good(sync(store.record_transactions({transaction_of(n, Scheme::mpp_charge)})));
          break;
        case 2: {
          const auto took = sync(store.take_free("s", "c", kFree, Millis(1000), kStart));
          if (good(took) && *took) ++taken_;
          break;
        }
        case 3: {
          const auto kept =
              sync(store.get_or_put_secret("ring", Secret("candidate " + std::to_string(t))));
          if (!good(kept)) break;
          const std::scoped_lock lock(mutex_);
          secrets_.insert(std::string(kept->reveal_text()));
          break;
        }
        default: {
          const auto out = sync(store.consume(consume_of(n, "key-" + std::to_string(t))));
          if (good(out) && out->state == ConsumeState::fresh) ++fresh_.at(n);
        }
      }
    }
  }

  PostgresFixture& fixture_;
  std::vector<std::unique_ptr<Store>> stores_;
  std::vector<std::thread> threads_;
  std::array<std::atomic<int>, kHashes> fresh_{};
  std::atomic<std::int64_t> taken_{0};
  std::atomic<int> steps_{0};
  std::atomic<int> failures_{0};
  std::mutex mutex_;
  std::set<std::string> secrets_;
};

TEST(PostgresReplicas, SixtyFourThreadsOverThreeSellEachOnce) {
  PostgresFixture fixture;
  Crowd crowd(fixture);
  crowd.start(64, 40);
  crowd.join();
  crowd.check();
  EXPECT_EQ(crowd.failures(), 0);
  EXPECT_EQ(crowd.fresh(), static_cast<int>(Crowd::kHashes));
  EXPECT_EQ(crowd.taken(), Crowd::kFree);
}

void wait_until_healed(Store& store) {
  for (int i = 0; i < 600; ++i) {
    if (sync(store.ping())) return;
    std::this_thread::sleep_for(Millis(100));
  }
  ADD_FAILURE() << "the store did not heal within a minute";
}

class QuietLog {
 public:
  QuietLog() { set(LogLevel::off); }  // expected alarms
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
  ~QuietLog() { set(LogLevel::info); }

 private:
  static void set(LogLevel level) {
    LogConfig config;
    config.level = level;
    EXPECT_TRUE(configure_log(config));
  }
};

TEST(PostgresReplicas, ConnectionsCutInTheMiddleLoseAndDoubleNothing) {
  const QuietLog quiet;
  PostgresFixture fixture;
  Crowd crowd(fixture);
  crowd.start(16, 60);
  for (int cut = 1; cut <= 8; ++cut) {
    for (int i = 0; i < 200 && crowd.busy(cut * 100); ++i) std::this_thread::sleep_for(Millis(5));
    ASSERT_TRUE(
        server().admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" +
                       fixture.database() + "'"));
  }
  crowd.join();
  crowd.check();
  EXPECT_TRUE(sync(fixture.store().ping())) << "it heals by itself";
}

TEST(PostgresReplicas, AKilledBackendCrashesTheServerAndNothingIsLost) {
  const QuietLog quiet;
  PostgresFixture fixture;
  Crowd crowd(fixture);
  crowd.start(16, 300);
  for (int i = 0; i < 400 && crowd.busy(300); ++i) std::this_thread::sleep_for(Millis(5));
  const auto backends = server().backends(fixture.database());
  ASSERT_FALSE(backends.empty());
  ASSERT_EQ(::kill(backends.front(), SIGKILL), 0);
  crowd.join();
  EXPECT_GT(crowd.failures(), 0) << "the crash must have hit the story";
  wait_until_healed(fixture.store());
  crowd.check();
}

TEST(PostgresReplicas, ARestartOfTheServerInTheMiddleLosesNothing) {
  const QuietLog quiet;
  PostgresFixture fixture;
  Crowd crowd(fixture);
  crowd.start(16, 60);
  for (int i = 0; i < 400 && crowd.busy(300); ++i) std::this_thread::sleep_for(Millis(5));
  server().restart();
  crowd.join();
  wait_until_healed(fixture.store());
  crowd.check();
}

// --- failing closed

TEST(PostgresFailing, WithoutAServerNothingIsAcceptedAndItHeals) {
  const QuietLog quiet;
  PostgresFixture fixture;
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  server().stop();
  for (int i = 0; i < 3; ++i) {
    const auto refused = sync(fixture.store().consume(consume_of(1)));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::unavailable));
    EXPECT_FALSE(sync(fixture.store().find_invoice(hash_of(1))));
    EXPECT_FALSE(sync(fixture.store().ping()));
  }
  server().start();
  wait_until_healed(fixture.store());
  EXPECT_EQ(sync(fixture.store().consume(consume_of(1)))->state, ConsumeState::fresh);
}

// A commit that waits for a standby that is not there is durable here; whoever is cut off then
// cannot know it.
TEST(PostgresFailing, AClaimWhoseCommitWasLostIsDeliveredByTheNextWhoAsks) {
  const QuietLog quiet;
  PostgresFixture fixture;
  std::vector<InvoiceRecord> invoices;
  for (std::uint32_t i = 1; i <= 100; ++i) invoices.push_back(invoice_of(i));
  ASSERT_TRUE(sync(fixture.store().record_invoices(invoices)));
  ASSERT_TRUE(server().admin("ALTER SYSTEM SET synchronous_standby_names = 'nobody'"));
  ASSERT_TRUE(server().admin("SELECT pg_reload_conf()"));
  std::thread cutter([&] {
    const std::string waiting =
        " FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = '" + fixture.database() +
        "'";
    for (int i = 0; i < 200; ++i) {
      auto session = Session::open(server().options("postgres"));
      if (!session) continue;
      auto q = (*session)->prepare("SELECT pg_terminate_backend(pid)" + waiting);
      if (q && q->step().value_or(false)) return;
      std::this_thread::sleep_for(Millis(20));
    }
  });
  // The setting is asked for, and in force a little later.
  std::uint32_t n = 1;
  auto lost = sync(fixture.store().consume(consume_of(n)));
  for (; lost && n < 100; lost = sync(fixture.store().consume(consume_of(++n)))) {
    std::this_thread::sleep_for(Millis(20));
  }
  cutter.join();
  ASSERT_TRUE(server().admin("ALTER SYSTEM RESET synchronous_standby_names"));
  ASSERT_TRUE(server().admin("SELECT pg_reload_conf()"));
  ASSERT_FALSE(lost) << "the commit must have been cut off";
  EXPECT_TRUE(lost.error().is(Errc::unavailable));
  const auto other = fixture.another();
  EXPECT_TRUE(*sync(other->is_consumed(hash_of(n)))) << "it was written all the same";
  EXPECT_EQ(sync(other->consume(consume_of(n)))->state, ConsumeState::unfinished);

  EXPECT_EQ(sync(fixture.store().consume(consume_of(n, "another key")))->state,
            ConsumeState::spent);
  EXPECT_EQ(sync(fixture.store().consume(consume_of(n)))->state, ConsumeState::fresh);
  EXPECT_EQ(sync(fixture.store().consume(consume_of(n)))->state, ConsumeState::pending);
  ASSERT_TRUE(sync(fixture.store().finish_consume(hash_of(n), answer_of())));
  EXPECT_EQ(sync(fixture.store().consume(consume_of(n)))->state, ConsumeState::replay);
}

TEST(PostgresFailing, AnAnswerThatCouldNotBeWrittenIsGivenAgainAndThenWritten) {
  const QuietLog quiet;
  PostgresFixture fixture;
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1)})));
  ASSERT_EQ(sync(fixture.store().consume(consume_of(1)))->state, ConsumeState::fresh);
  server().stop();
  fixture.store().keep_answer(hash_of(1), answer_of());
  EXPECT_FALSE(sync(fixture.store().ping()));
  server().start();
  wait_until_healed(fixture.store());
  EXPECT_EQ(sync(fixture.store().consume(consume_of(1, "another key")))->state,
            ConsumeState::spent);
  const auto again = sync(fixture.store().consume(consume_of(1)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, ConsumeState::replay);
  ASSERT_TRUE(again->response);
  EXPECT_EQ(again->response->body, "sunny");
  const auto other = fixture.another();
  ConsumeState there = ConsumeState::unfinished;
  for (int i = 0; i < 200 && there != ConsumeState::replay; ++i) {
    std::this_thread::sleep_for(Millis(10));
    there = sync(other->consume(consume_of(1)))->state;
  }
  EXPECT_EQ(there, ConsumeState::replay) << "the other replica has it now";
}

TEST(PostgresFailing, AnAnswerThatWasWaitedForAndNotWrittenIsGivenAgain) {
  const QuietLog quiet;
  PostgresFixture fixture;
  ASSERT_TRUE(sync(fixture.store().record_invoices({invoice_of(1), invoice_of(2), invoice_of(3)})));
  SessionStore& sessions = *fixture.store().sessions();
  ASSERT_EQ(sync(fixture.store().consume(consume_of(1)))->state, ConsumeState::fresh);
  ASSERT_EQ(sync(sessions.open_session(open_of(2)))->proof.state, ConsumeState::fresh);
  ASSERT_EQ(sync(sessions.top_up_session(top_up_of(3, 2)))->outcome, SessionOutcome::applied);
  server().stop();
  for (const std::uint32_t n : {1U, 2U, 3U}) {
    EXPECT_FALSE(sync(fixture.store().finish_consume(hash_of(n), answer_of())));
  }
  server().start();
  wait_until_healed(fixture.store());
  EXPECT_EQ(sync(fixture.store().consume(consume_of(1)))->state, ConsumeState::replay);
  EXPECT_EQ(sync(sessions.open_session(open_of(2)))->proof.state, ConsumeState::unfinished);
  const auto again = sync(sessions.top_up_session(top_up_of(3, 2)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, SessionOutcome::replayed);
  EXPECT_EQ(again->proof.state, ConsumeState::unfinished) << "not pending for ever";
}

// --- what is refused at start

TEST(PostgresStart, AServerThatWouldNotKeepItsWordIsRefusedWithTheFix) {
  struct Row {
    const char* name;
    std::string database;
    const char* setting;
    const char* says;
  };
  const std::vector<Row> rows = {
      {"asynchronous commit", server().make_database(), "SET synchronous_commit = off",
       "SET synchronous_commit = on"},
      {"another encoding",
       server().make_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"), nullptr,
       "ENCODING UTF8"},
  };
  ManualClock clock(kStart);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    if (row.setting != nullptr) {
      ASSERT_TRUE(server().admin(fmt::format("ALTER DATABASE {} {}", row.database, row.setting)));
    }
    PostgresOptions options;
    options.session = server().options(row.database);
    const auto opened = open_postgres_store(options, clock);
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().is(Errc::unavailable));
    EXPECT_THAT(std::string(opened.error().message()), HasSubstr(row.says));
  }
}

TEST(PostgresStart, AServerThatIsNotThereIsTold) {
  ManualClock clock(kStart);
  PostgresOptions options;
  options.session.url = "postgresql://octroi@/x?host=/nowhere";
  options.session.password = std::make_shared<const Secret>(std::string_view("hunter2"));
  const auto opened = open_postgres_store(options, clock);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().is(Errc::unavailable));
  EXPECT_THAT(std::string(opened.error().message()), HasSubstr("/nowhere"));
  EXPECT_THAT(std::string(opened.error().message()), testing::Not(HasSubstr("hunter2")));
}

// --- poolers

/// pgbouncer before the shared server, on a socket of its own.
class Pooler {
 public:
  explicit Pooler(const std::string& mode) {
    std::ofstream(box_.path() + "/users.txt") << "\"octroi\" \"\"\n";
    std::ofstream(box_.path() + "/pgbouncer.ini") << fmt::format(
        "[databases]\n* = host={}\n[pgbouncer]\nlisten_addr=\nlisten_port=6432\n"
        "unix_socket_dir={}\nauth_type=trust\nauth_file={}/users.txt\npool_mode={}\n"
        "default_pool_size=2\n",
        server().box().path(), box_.path(), box_.path(), mode);
    pid_ = box_.start({"/usr/sbin/pgbouncer", box_.path() + "/pgbouncer.ini"});
  }
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;
  ~Pooler() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] SessionOptions options(const std::string& database) const {
    SessionOptions o;
    o.url = fmt::format("postgresql://octroi@/{}?host={}&port=6432", database, box_.path());
    for (int i = 0; i < 100 && !std::filesystem::exists(box_.path() + "/.s.PGSQL.6432"); ++i) {
      std::this_thread::sleep_for(Millis(50));
    }
    return o;
  }

 private:
  Sandbox box_;
  pid_t pid_ = -1;
};

TEST(PostgresPooler, IsNoticedAndNothingIsKeptBetweenTransactions) {
  const Pooler pooler("transaction");
  PostgresOptions options;
  options.session = pooler.options(server().make_database());
  const auto direct = Session::open(server().options("postgres"));
  ASSERT_TRUE(direct);
  EXPECT_FALSE((*direct)->pooled());
  const auto pooled = Session::open(options.session);
  ASSERT_TRUE(pooled) << pooled.error().message();
  EXPECT_TRUE((*pooled)->pooled());
  // More connections than the pooler has, at once: they share servers, transaction by transaction.
  ManualClock clock(kStart);
  auto opened = open_postgres_store(options, clock);
  ASSERT_TRUE(opened) << opened.error().message();
  Store& store = **opened;
  std::vector<std::thread> threads;
  std::atomic<int> fresh{0};
  for (std::uint32_t t = 0; t < 12; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t n = 0; n < 20; ++n) {
        EXPECT_TRUE(sync(store.record_invoices({invoice_of(n)})));
        const auto out = sync(store.consume(consume_of(n)));
        ASSERT_TRUE(out) << out.error().message();
        if (out->state == ConsumeState::fresh) ++fresh;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(fresh, 20);
}

TEST(PostgresPooler, ThatCutsTransactionsIsRefused) {
  const Pooler pooler("statement");
  PostgresOptions options;
  options.session = pooler.options(server().make_database());
  ManualClock clock(kStart);
  const auto opened = open_postgres_store(options, clock);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().is(Errc::unavailable));
  EXPECT_THAT(std::string(opened.error().message()), HasSubstr("pool_mode = transaction"));
}

// --- migrations

TEST(PostgresMigrations, GoUpAndDownAndSayWhereTheyAre) {
  const SessionOptions options = server().options(server().make_database());
  ManualClock clock(kStart);
  const auto newest = static_cast<std::int64_t>(sql::embedded_migrations().size());
  EXPECT_FALSE(postgres_migration_status(options)->front().applied);
  EXPECT_EQ(migrate_postgres(options, -1, clock).value_or(-1), newest);
  EXPECT_EQ(migrate_postgres(options, -1, clock).value_or(-1), 0);
  EXPECT_EQ(postgres_migration_status(options)->front().applied, kStart);
  EXPECT_EQ(migrate_postgres(options, 0, clock).value_or(-1), newest);
  EXPECT_FALSE(postgres_migration_status(options)->front().applied);
  EXPECT_FALSE(migrate_postgres(options, newest + 1, clock));
  PostgresOptions store;
  store.session = options;
  store.migrate = false;
  const auto behind = open_postgres_store(store, clock);
  ASSERT_FALSE(behind);
  EXPECT_THAT(std::string(behind.error().message()), HasSubstr("run octroi migrate"));
}

TEST(PostgresMigrations, EachKeepsWhatAnEarlierSchemaHeld) {
  const auto newest = static_cast<std::int64_t>(sql::embedded_migrations().size());
  for (std::int64_t version = 1; version <= newest; ++version) {
    SCOPED_TRACE(version);
    PostgresOptions options;
    options.session = server().options(server().make_database());
    auto session = Session::open(options.session);
    ASSERT_TRUE(session);
    sql::migrate_populated(**session, version);
    if (testing::Test::HasFatalFailure()) return;
    ManualClock clock(kStart);
    auto store = open_postgres_store(options, clock);
    ASSERT_TRUE(store) << store.error().message();
    sql::expect_sums(**store, version);
    sql::expect_populated(**store);
  }
}

// For who lets no program change the schema: `octroi migrate schema --engine postgresql`.
TEST(PostgresMigrations, ThePrintedSchemaIsOneThatAServerStartsOn) {
  PostgresOptions options;
  const std::string database = server().make_database();
  options.session = server().options(database);
  options.migrate = false;
  const std::string script =
      sql::schema_script(sql::embedded_migrations(), sql::Engine::postgresql);
  const auto made = server().admin(script, database);
  ASSERT_TRUE(made) << made.error().message();
  ManualClock clock(kStart);
  const auto opened = open_postgres_store(options, clock);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_TRUE(sync((*opened)->ping()));
}

TEST(PostgresMigrations, ReplicasThatStartTogetherMigrateOnce) {
  const SessionOptions options = server().options(server().make_database());
  std::vector<std::thread> threads;
  std::atomic<int> steps{0};
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      ManualClock clock(kStart);
      const auto moved = migrate_postgres(options, -1, clock);
      EXPECT_TRUE(moved) << moved.error().message();
      steps += moved.value_or(0);
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(steps, static_cast<int>(sql::embedded_migrations().size()));
}

TEST(PostgresMigrations, ANewerAlteredOrForeignDatabaseIsRefused) {
  struct Row {
    const char* name;
    const char* sql;
    Errc errc;
  };
  const std::vector<Row> rows = {
      {"newer", "INSERT INTO schema_migrations VALUES (999, 'future', 'x', 0)", Errc::newer_schema},
      {"altered", "UPDATE schema_migrations SET checksum = 'x' WHERE version = 1", Errc::corrupt},
      {"foreign", "DROP TABLE schema_migrations", Errc::corrupt},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    PostgresFixture fixture;
    ASSERT_TRUE(server().admin(row.sql, fixture.database()));
    ManualClock clock(kStart);
    PostgresOptions options;
    options.session = server().options(fixture.database());
    const auto opened = open_postgres_store(options, clock);
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().is(row.errc)) << opened.error().message();
  }
}

}  // namespace
}  // namespace octroi::postgres
