#include "octroi/adapters/sqlite/store.h"

#include <fstream>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "octroi/adapters/sql/migration_testing.h"
#include "octroi/adapters/sql/model_testing.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sqlite/database.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/store_contract.h"
#include "octroi/net/loop.h"

namespace octroi::ledger {
namespace {
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         testing::Values(StoreUnderTest{
                             "sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }}),
                         store_name);
}  // namespace
}  // namespace octroi::ledger

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words
using testing::HasSubstr;

unsigned mode_of(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777U : 0U;
}

std::unique_ptr<Store> open_or_fail(const std::string& path, Clock& clock) {
  SqliteOptions options;
  options.path = path;
  auto opened = open_sqlite_store(options, clock);
  EXPECT_TRUE(opened) << opened.error().message();
  return opened ? *std::move(opened) : nullptr;
}

// --- the file
// ----------------------------------------------------------------------------------------

TEST(SqliteFile, IsForItsOwnerOnly) {
  const TempFolder folder;
  ManualClock clock(kStart);
  const auto store = open_or_fail(folder.file("new/octroi.db"), clock);
  ASSERT_TRUE(store);
  ASSERT_TRUE(sync(store->put_value("a", "b")));
  EXPECT_EQ(mode_of(folder.file("new")), 0700U);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    EXPECT_EQ(mode_of(folder.file("new/octroi.db") + suffix), 0600U) << suffix;
  }
}

TEST(SqliteFile, AFileThatOthersCanReadIsTightened) {
  const TempFolder folder;
  ManualClock clock(kStart);
  std::ofstream(folder.file()).close();
  ASSERT_EQ(::chmod(folder.file().c_str(), 0644), 0);
  ASSERT_TRUE(open_or_fail(folder.file(), clock));
  EXPECT_EQ(mode_of(folder.file()), 0600U);
}

TEST(SqliteFile, WhatCannotBeAStoreIsRefusedWithTheFix) {
  const TempFolder folder;
  ManualClock clock(kStart);
  std::filesystem::create_directory(folder.file("open"));
  ASSERT_EQ(::chmod(folder.file("open").c_str(), 0777), 0);
  std::ofstream(folder.file("text.db")) << "this is a letter to my aunt, not a database at all";
  std::ofstream(folder.file("plain")) << "x";
  struct Row {
    const char* name;
    std::string path;
    const char* says;
  };
  const std::vector<Row> rows = {
      {"empty path", "", "path"},
      {"a folder", folder.file("open"), "everybody may write"},
      {"folder for all", folder.file("open/x.db"), "chmod o-w"},
      {"no parent of the folder", folder.file("a/b/c.db"), "cannot create the folder"},
      {"below a file", folder.file("plain/x.db"), ""},
      {"not a database", folder.file("text.db"), "text.db"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    SqliteOptions options;
    options.path = row.path;
    const auto opened = open_sqlite_store(options, clock);
    if (row.name == std::string_view("a folder")) {
      ASSERT_FALSE(opened);
      continue;
    }
    ASSERT_FALSE(opened);
    EXPECT_THAT(std::string(opened.error().message()), HasSubstr(row.says));
  }
}

TEST(SqliteFile, ASecondServerIsRefusedAndNamesTheFile) {
  const TempFolder folder;
  ManualClock clock(kStart);
  auto first = open_or_fail(folder.file(), clock);
  ASSERT_TRUE(first);
  std::filesystem::create_symlink(folder.file(), folder.file("alias.db"));
  for (const std::string& path : {folder.file(), folder.file("alias.db")}) {
    SqliteOptions options;
    options.path = path;
    const auto second = open_sqlite_store(options, clock);
    ASSERT_FALSE(second);
    EXPECT_TRUE(second.error().is(Errc::locked));
    EXPECT_THAT(std::string(second.error().message()), HasSubstr(folder.file()));
    EXPECT_THAT(std::string(second.error().message()),
                HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_TRUE(sqlite_migration_status(options).error().is(Errc::locked));
  }
  first.reset();
  EXPECT_TRUE(open_or_fail(folder.file(), clock));
}

TEST(SqliteFile, ABackupIsAWholeStore) {
  const TempFolder folder;
  ManualClock clock(kStart);
  auto store = open_or_fail(folder.file(), clock);
  ASSERT_TRUE(sync(store->record_invoices({invoice_of(1)})));
  store.reset();
  SqliteOptions options;
  options.path = folder.file();
  ASSERT_TRUE(backup_sqlite(options, folder.file("copy.db")));
  EXPECT_EQ(mode_of(folder.file("copy.db")), 0600U);
  EXPECT_FALSE(backup_sqlite(options, folder.file("copy.db"))) << "it must not overwrite";
  store = open_or_fail(folder.file("copy.db"), clock);
  EXPECT_EQ(sync(store->consume(consume_of(1)))->state, ConsumeState::fresh);
}

TEST(SqliteFile, ABackupUnderWritersHasWhatWasAcknowledgedBefore) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kEach = 200;
  const TempFolder folder;
  ManualClock clock(kStart);
  auto store = open_or_fail(folder.file(), clock);
  std::vector<InvoiceRecord> invoices;
  for (std::uint32_t n = 0; n < kThreads * kEach; ++n) invoices.push_back(invoice_of(n));
  ASSERT_TRUE(sync(store->record_invoices(invoices)));
  std::atomic<std::uint32_t> done{0};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t n = 0; n < kEach; ++n, ++done) {
        EXPECT_EQ(sync(store->consume(consume_of(t * kEach + n)))->state, ConsumeState::fresh);
      }
    });
  }
  SqliteOptions options;
  options.path = folder.file();
  for (int copy = 0; copy < 3; ++copy) {
    while (done < static_cast<std::uint32_t>(copy + 1) * 100) std::this_thread::yield();
    const std::uint32_t before = done;
    const std::string to = folder.file("copy" + std::to_string(copy));
    const auto made = backup_sqlite(options, to);
    ASSERT_TRUE(made) << made.error().message();
    auto copied = open_or_fail(to, clock);
    std::uint32_t there = 0;
    for (std::uint32_t n = 0; n < kThreads * kEach; ++n) {
      if (*sync(copied->is_consumed(hash_of(n)))) ++there;
    }
    EXPECT_GE(there, before);
  }
  for (std::thread& t : threads) t.join();
}

// What a killed server left is in its log only.
TEST(SqliteFile, ABackupOfWhatACrashLeftIsWhole) {
  const TempFolder folder;
  ManualClock clock(kStart);
  auto store = open_or_fail(folder.file(), clock);
  ASSERT_TRUE(sync(store->record_invoices({invoice_of(1)})));
  ASSERT_EQ(sync(store->consume(consume_of(1)))->state, ConsumeState::fresh);
  std::filesystem::create_directory(folder.file("crashed"));
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(folder.file() + suffix, folder.file("crashed/octroi.db") + suffix);
  }
  SqliteOptions options;
  options.path = folder.file("crashed/octroi.db");
  ASSERT_TRUE(backup_sqlite(options, folder.file("copy.db")));
  auto copied = open_or_fail(folder.file("copy.db"), clock);
  EXPECT_TRUE(*sync(copied->is_consumed(hash_of(1))));
  options.path = folder.file("nowhere.db");
  EXPECT_FALSE(backup_sqlite(options, folder.file("none.db")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("none.db")));
}

TEST(SqliteFile, ARestoreIsCheckedAndOverwritesNothing) {
  const TempFolder folder;
  ManualClock clock(kStart);
  SqliteOptions options;
  options.path = folder.file();
  auto store = open_or_fail(folder.file(), clock);
  ASSERT_TRUE(sync(store->record_invoices({invoice_of(1), invoice_of(2)})));
  ASSERT_EQ(sync(store->consume(consume_of(1)))->state, ConsumeState::fresh);
  store.reset();
  ASSERT_TRUE(backup_sqlite(options, folder.file("copy.db")));
  EXPECT_TRUE(restore_sqlite(options, folder.file("copy.db")).error().is(Errc::locked));

  options.path = folder.file("new/octroi.db");
  ASSERT_TRUE(restore_sqlite(options, folder.file("copy.db")));
  EXPECT_EQ(mode_of(options.path), 0600U);
  EXPECT_FALSE(std::filesystem::exists(options.path + ".restoring"));
  store = open_or_fail(options.path, clock);
  ASSERT_TRUE(store);
  EXPECT_EQ(sync(store->consume(consume_of(1)))->state, ConsumeState::unfinished);
  EXPECT_EQ(sync(store->consume(consume_of(2)))->state, ConsumeState::fresh);
  store.reset();

  struct Row {
    const char* name;
    std::function<void(const std::string&)> spoil;
    Errc errc;
  };
  const std::vector<Row> rows = {
      {"no file", [](const std::string& f) { std::filesystem::remove(f); }, Errc::unavailable},
      {"not a database", [](const std::string& f) { std::ofstream(f) << std::string(4096, 'x'); },
       Errc::unavailable},
      {"empty", [](const std::string& f) { std::ofstream(f).close(); }, Errc::corrupt},
      {"damaged",
       [](const std::string& f) {
         // The last page is one of an index or table that integrity_check reads.
         std::fstream file(f, std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(-4096, std::ios::end);
         file << std::string(4096, 'x');
       },
       Errc::corrupt},
      {"newer",
       [](const std::string& f) {
         auto db = Database::open(f, Access::read_write, "");
         ASSERT_TRUE(db);
         ASSERT_TRUE((*db)->script("INSERT INTO schema_migrations VALUES (999, 'f', 'x', 0)"));
       },
       Errc::newer_schema},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string bad = folder.file("bad.db");
    std::filesystem::copy_file(folder.file("copy.db"), bad,
                               std::filesystem::copy_options::overwrite_existing);
    row.spoil(bad);
    options.path = folder.file("target.db");
    const auto refused = restore_sqlite(options, bad);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(row.errc)) << refused.error().message();
    EXPECT_FALSE(std::filesystem::exists(options.path)) << "nothing is left behind";
  }
}

// --- migrations
// --------------------------------------------------------------------------------------

TEST(SqliteMigrations, GoUpAndDownAndSayWhereTheyAre) {
  const TempFolder folder;
  ManualClock clock(kStart);
  SqliteOptions options;
  options.path = folder.file();
  const auto newest = static_cast<std::int64_t>(sql::embedded_migrations().size());
  ASSERT_GE(newest, 1);
  auto status = sqlite_migration_status(options);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_FALSE(status->front().applied);
  EXPECT_EQ(*migrate_sqlite(options, kLatestSchema, clock), newest);
  EXPECT_EQ(*migrate_sqlite(options, kLatestSchema, clock), 0);
  status = sqlite_migration_status(options);
  EXPECT_EQ(status->front().name, "ledger");
  EXPECT_EQ(status->front().applied, kStart);
  EXPECT_EQ(*migrate_sqlite(options, 0, clock), newest);
  EXPECT_FALSE(sqlite_migration_status(options)->front().applied);
  EXPECT_FALSE(migrate_sqlite(options, newest + 1, clock));
  options.migrate = false;
  const auto behind = open_sqlite_store(options, clock);
  ASSERT_FALSE(behind);
  EXPECT_THAT(std::string(behind.error().message()), HasSubstr("run octroi migrate"));
  options.migrate = true;
  EXPECT_TRUE(open_sqlite_store(options, clock));
}

Result<> edit(const std::string& path, const std::string& sql) {
  OCTROI_TRY(auto db, Database::open(path, Access::read_write, ""));
  return db->script(sql);
}

TEST(SqliteMigrations, ANewerAlteredOrForeignDatabaseIsRefused) {
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
    const TempFolder folder;
    ManualClock clock(kStart);
    ASSERT_TRUE(open_or_fail(folder.file(), clock));
    ASSERT_TRUE(edit(folder.file(), row.sql));
    SqliteOptions options;
    options.path = folder.file();
    const auto opened = open_sqlite_store(options, clock);
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().is(row.errc)) << opened.error().message();
    EXPECT_THAT(std::string(opened.error().message()), HasSubstr(folder.file()));
  }
}

TEST(SqliteMigrations, EachKeepsWhatAnEarlierSchemaHeld) {
  const auto newest = static_cast<std::int64_t>(sql::embedded_migrations().size());
  for (std::int64_t version = 1; version <= newest; ++version) {
    SCOPED_TRACE(version);
    const TempFolder folder;
    std::ofstream(folder.file()).close();
    {
      auto db = Database::open(folder.file(), Access::read_write, "");
      ASSERT_TRUE(db);
      sql::migrate_populated(**db, version);
      if (testing::Test::HasFatalFailure()) return;
    }
    ManualClock clock(kStart);
    const auto store = open_or_fail(folder.file(), clock);
    ASSERT_TRUE(store);
    sql::expect_sums(*store, version);
    sql::expect_populated(*store);
  }
}

std::filesystem::path docs() {
  const char* source = std::getenv("OCTROI_SOURCE");
  return std::filesystem::path(source == nullptr ? "." : source) / "docs";
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(CommittedSchemas, AreCurrent) {
  const std::vector<std::pair<std::string, std::string>> all = {
      {"schema.sqlite.sql", sqlite_schema().value_or("")},
      {"schema.postgresql.sql",
       sql::schema_script(sql::embedded_migrations(), sql::Engine::postgresql)}};
  for (const auto& [name, text] : all) {
    if (std::getenv("OCTROI_TEST_UPDATE") != nullptr) {
      std::ofstream(docs() / name, std::ios::binary) << text;
    }
    EXPECT_EQ(text_of(docs() / name), text) << "run this test with OCTROI_TEST_UPDATE=1";
  }
}

TEST(SqliteMigrations, IdsOfOffersThatAreGoneStayUsed) {
  const TempFolder folder;
  std::ofstream(folder.file()).close();
  auto db = Database::open(folder.file(), Access::read_write, "");
  ASSERT_TRUE(db);
  const auto known = sql::embedded_migrations();
  std::int64_t last = 0;
  for (const std::int64_t version : {15, 16, 15, 16}) {
    ASSERT_TRUE(sql::migrate_to(**db, known, version, kStart));
    ASSERT_TRUE((*db)->script(
        "INSERT INTO offers (hash, auth_type, service, amount_msat, challenge_id, request_id,"
        " created_at, expires_at) VALUES (zeroblob(32), 'l402', 's', 1, 'c', 'r', 1, 2)"));
    auto found = (*db)->query("SELECT max(id) FROM offers");
    ASSERT_TRUE(found && *found->step());
    EXPECT_EQ(found->integer(0), ++last);
    ASSERT_TRUE((*db)->script("DELETE FROM offers"));
  }
  EXPECT_FALSE((*db)->script(
      "INSERT INTO offers (hash, auth_type, service, amount_msat, challenge_id, request_id,"
      " created_at, expires_at) VALUES (zeroblob(32), 'other', 's', 1, 'c', 'r', 1, 2)"));
}

TEST(SqliteMigrations, AFailingStepLeavesTheSchemaWhereItWas) {
  const TempFolder folder;
  std::ofstream(folder.file()).close();
  auto db = Database::open(folder.file(), Access::read_write, "");
  ASSERT_TRUE(db);
  const std::array<sql::Migration, 2> known = {
      sql::Migration{1, "one", "c1", "CREATE TABLE a (x BIGINT);", "DROP TABLE a;"},
      sql::Migration{2, "two", "c2", "CREATE TABLE b (x BIGINT); CREATE TABLE a (x BIGINT);", ""}};
  const auto moved = sql::migrate_to(**db, known, 2, kStart);
  ASSERT_FALSE(moved);
  EXPECT_THAT(std::string(moved.error().message()), HasSubstr("migration 002 two up"));
  EXPECT_EQ(*sql::schema_version(**db, known), 1);
  EXPECT_TRUE((*db)->script("CREATE TABLE b (x BIGINT)")) << "nothing of step 2 is left";
}

/// How SQLite would run a statement, a line a step.
std::string plan_of(Database& db, std::string_view sql) {
  std::string plan;
  auto q = db.prepare("EXPLAIN QUERY PLAN " + std::string(sql));
  EXPECT_TRUE(q) << (q ? "" : q.error().message());
  while (q && q->step().value_or(false)) plan += q->text(3) + "\n";
  return plan;
}

// Each payment would otherwise look at every unpaid challenge, and anybody makes those by asking.
TEST(SqliteOperations, APaymentLooksAtNoOtherChallenge) {
  const TempFolder folder;
  ManualClock clock(kStart);
  ASSERT_TRUE(open_or_fail(folder.file(), clock));
  auto db = Database::open(folder.file(), Access::read_write, "");
  ASSERT_TRUE(db);
  for (const std::string_view sql : {"SELECT id FROM offers WHERE id = ? AND hash = ?",
                                     "DELETE FROM offers WHERE id = ? AND hash = ?"}) {
    EXPECT_THAT(plan_of(**db, sql), HasSubstr("USING INTEGER PRIMARY KEY (rowid=?)"));
  }
  // And the rows themselves cost no page but the one at the end of their table.
  auto q = (*db)->prepare(
      "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'offers'");
  ASSERT_TRUE(q);
  ASSERT_TRUE(q->step().value_or(false));
  EXPECT_EQ(q->integer(0), 0);
}

TEST(SqliteOperations, OffersAreFoundAgainAfterARestart) {
  const TempFolder folder;
  ManualClock clock(kStart);
  {
    const auto store = open_or_fail(folder.file(), clock);
    for (std::uint32_t n = 1; n <= 50; ++n) {
      ASSERT_TRUE(sync(store->record_invoices({invoice_of(n)})));
      ASSERT_TRUE(sync(store->record_transactions({transaction_of(n, Scheme::mpp_charge)})));
    }
  }
  const auto store = open_or_fail(folder.file(), clock);
  EXPECT_TRUE(*sync(store->settle(hash_of(17), kStart)));
  EXPECT_EQ(sync(store->consume(consume_of(18)))->state, ConsumeState::fresh);
  TransactionFilter paid;
  paid.state = TransactionState::settled;
  const auto rows = sync(store->list_transactions(paid));
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].record.challenge_id, "challenge-18");
  EXPECT_EQ((*rows)[1].record.challenge_id, "challenge-17");
  EXPECT_GT((*rows)[0].id, (*rows)[1].id) << "a row keeps its id when it is paid";
}

// --- neighbours in one commit
// ------------------------------------------------------------------------

TEST(SqliteOperations, ARefusedRowUndoesItsOwnOperationOnly) {
  const TempFolder folder;
  ManualClock clock(kStart);
  const auto store = open_or_fail(folder.file(), clock);
  // A negative amount cannot be made with the money types; the database refuses it all the same.
  InvoiceRecord bad = invoice_of(2);
  bad.amount = Msat::from_raw_unchecked(-1);
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  std::atomic<int> done{0};
  for (std::uint32_t i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      const auto r = i % 2 == 0 ? sync(store->record_invoices({invoice_of(100 + i)}))
                                : sync(store->record_invoices({invoice_of(100 + i), bad}));
      if (r) ++done;
      if (!r && r.error().is(Errc::corrupt)) ++refused;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(done, 16);
  EXPECT_EQ(refused, 16);
  for (std::uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(sync(store->find_invoice(hash_of(100 + i)))->has_value(), i % 2 == 0) << i;
  }
  EXPECT_TRUE(sync(store->ping())) << "the store goes on";
}

// --- from loops
// --------------------------------------------------------------------------------------

Task<void> consume_on_loop(Store* store, std::uint32_t n, net::Loop* loop, std::atomic<int>* fresh,
                           std::atomic<int>* left) {
  const auto out = co_await store->consume(consume_of(n));
  EXPECT_TRUE(loop->on_thread()) << "the caller resumes on its own loop";
  if (out && out->state == ConsumeState::fresh) ++*fresh;
  if (left->fetch_sub(1) == 1) loop->stop();
}

TEST(SqliteOnLoops, CallersResumeOnTheirOwnLoopAndOneConsumes) {
  const TempFolder folder;
  ManualClock clock(kStart);
  const auto store = open_or_fail(folder.file(), clock);
  constexpr std::uint32_t kHashes = 20;
  std::vector<InvoiceRecord> invoices;
  for (std::uint32_t n = 0; n < kHashes; ++n) invoices.push_back(invoice_of(n));
  ASSERT_TRUE(sync(store->record_invoices(invoices)));
  std::atomic<int> fresh{0};
  std::vector<std::thread> threads;
  for (int l = 0; l < 3; ++l) {
    threads.emplace_back([&] {
      net::Loop loop;
      std::atomic<int> left{4 * static_cast<int>(kHashes)};
      loop.post([&] {
        for (int again = 0; again < 4; ++again) {
          for (std::uint32_t n = 0; n < kHashes; ++n) {
            loop.tasks().start(consume_on_loop(store.get(), n, &loop, &fresh, &left));
          }
        }
      });
      loop.run();
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(fresh, static_cast<int>(kHashes));
}

Task<void> consume_and_note(Store* store, std::uint32_t n, int* resumed) {
  const auto out = co_await store->consume(consume_of(n));
  static_cast<void>(out);
  ++*resumed;
}

TEST(SqliteOnLoops, ACancelledCallerIsNeverResumedAndTheLoopMayGoFirst) {
  const TempFolder folder;
  ManualClock clock(kStart);
  const auto store = open_or_fail(folder.file(), clock);
  for (std::uint32_t n = 0; n < 60; ++n) {
    ASSERT_TRUE(sync(store->record_invoices({invoice_of(n)})));
    int resumed = 0;
    {
      net::Loop loop;
      loop.post([&] {
        TaskGroup group;
        for (int i = 0; i < 8; ++i) group.start(consume_and_note(store.get(), n, &resumed));
        if (n % 3 == 1) std::this_thread::sleep_for(Millis(1));
        loop.stop();
      });
      loop.run();
    }
    EXPECT_EQ(resumed, 0);
  }
  // What was cancelled may have been done, once, and never half.
  for (std::uint32_t n = 0; n < 60; ++n) {
    const auto out = sync(store->consume(consume_of(n)));
    ASSERT_TRUE(out);
    EXPECT_THAT(out->state, testing::AnyOf(ConsumeState::fresh, ConsumeState::pending));
  }
}

TEST(SqliteOnLoops, TheStoreMayGoBeforeItsCallers) {
  const TempFolder folder;
  ManualClock clock(kStart);
  net::Loop loop;
  int resumed = 0;
  loop.post([&] {
    auto store = open_or_fail(folder.file(), clock);
    for (std::uint32_t n = 0; n < 8; ++n) {
      loop.tasks().start(consume_and_note(store.get(), n, &resumed));
    }
    store.reset();  // finishes what is queued
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  EXPECT_EQ(resumed, 8);
}

TEST(SqliteLimits, AFullQueueRefusesAtOnce) {
  const TempFolder folder;
  ManualClock clock(kStart);
  SqliteOptions options;
  options.path = folder.file();
  options.max_queue = 0;
  auto store = open_sqlite_store(options, clock);
  ASSERT_TRUE(store);
  const auto refused = sync((*store)->ping());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
}

// --- against the model
// -------------------------------------------------------------------------------

TEST(SqliteAgainstTheModel, RandomStoriesEndTheSame) {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    SqliteFixture fixture;
    sql::tell_random_story(fixture, seed, 400);
  }
}

TEST(SqliteConcurrency, WhateverTheInterleavingEachHashIsFreshOnce) {
  const TempFolder folder;
  ManualClock clock(kStart);
  const auto store = open_or_fail(folder.file(), clock);
  constexpr std::uint32_t kHashes = 16;
  std::array<std::atomic<int>, kHashes> fresh{};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 12; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 60; ++i) {
        const auto n = static_cast<std::uint32_t>(random() % kHashes);
        switch (random() % 4) {
          case 0:
            EXPECT_TRUE(sync(store->record_invoices({invoice_of(n)})));
            break;
          case 1:
            EXPECT_TRUE(sync(store->settle(hash_of(n), kStart)));
            break;
          case 2:
            static_cast<void>(sync(store->finish_consume(hash_of(n), answer_of())));
            break;
          default:
            const auto out =
                sync(store->consume(consume_of(n, "k" + std::to_string(random() % 2))));
            ASSERT_TRUE(out);
            if (out->state == ConsumeState::fresh) ++fresh.at(n);
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (std::uint32_t n = 0; n < kHashes; ++n) {
    const bool consumed = sync(store->consume(consume_of(n, "late")))->state == ConsumeState::spent;
    EXPECT_EQ(fresh.at(n), consumed ? 1 : 0) << n;
  }
}

}  // namespace
}  // namespace octroi::sqlite
