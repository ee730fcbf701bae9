// What calls changed and only the log has: it is there after a crash, in a backup, and beside a
// batch that is rolled back.
#include "octroi/adapters/sqlite/call_log.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/adapters/sql/call_frames.h"
#include "octroi/adapters/sql/spend_operations.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/adapters/sqlite/workers.h"
#include "octroi/audit/journal_testing.h"
#include "octroi/audit/verify.h"
#include "octroi/ledger/call_book.h"
#include "octroi/ledger/spend_testing.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words
using testing::ElementsAre;
using testing::IsEmpty;

// --- the file

class CallLogFile : public testing::Test {
 protected:
  /// The log gets the mode of its database.
  void SetUp() override { std::ofstream(folder_.file()).close(); }
  CallLog log() const { return {folder_.file(), ""}; }
  std::vector<std::string> frames(std::int64_t generation) const {
    std::vector<std::string> out;
    const auto found = log().frames(generation);
    for (const Bytes& frame : found.value()) out.emplace_back(as_text(frame));
    return out;
  }
  /// Three frames of generation 7.
  void begin() const {
    CallLog writer(folder_.file(), "");
    for (const char* text : {"first", "second", "third"}) ASSERT_TRUE(writer.append(7, text));
  }
  void change_byte(std::streamoff at) const {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char was = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(was ^ 1));
  }
  [[nodiscard]] std::string path() const { return folder_.file() + "-calls"; }
  TempFolder folder_;
};

constexpr std::streamoff kHead = 40;

TEST_F(CallLogFile, FramesComeBackInTheirOrder) {
  EXPECT_THAT(frames(7), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path())) << "looking makes no file";
  begin();
  EXPECT_THAT(frames(7), ElementsAre("first", "second", "third"));
  EXPECT_THAT(frames(6), IsEmpty());
  EXPECT_THAT(frames(8), IsEmpty());
}

TEST_F(CallLogFile, ANewGenerationBeginsAtTheStart) {
  CallLog writer(folder_.file(), "");
  for (const char* text : {"first", "second", "third"}) ASSERT_TRUE(writer.append(7, text));
  ASSERT_TRUE(writer.append(8, "fresh"));
  EXPECT_THAT(frames(8), ElementsAre("fresh"));
  EXPECT_THAT(frames(7), IsEmpty());
}

TEST_F(CallLogFile, WhatIsNotWholeEndsIt) {
  begin();
  change_byte(2 * kHead + 5 + 3);  // in the payload of the second
  EXPECT_THAT(frames(7), ElementsAre("first"));
  change_byte(6);  // in the length of the first
  EXPECT_THAT(frames(7), IsEmpty());
}

TEST_F(CallLogFile, ACutFrameEndsIt) {
  begin();
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) - 1);
  EXPECT_THAT(frames(7), ElementsAre("first", "second"));
}

TEST_F(CallLogFile, AFrameLargerThanOneWriteComesBack) {
  const std::string large(300'000, 'x');
  CallLog writer(folder_.file(), "");
  ASSERT_TRUE(writer.append(1, large));
  EXPECT_THAT(frames(1), ElementsAre(large));
}

TEST_F(CallLogFile, ItHasRoomForSoMuchOnly) {
  CallLog writer(folder_.file(), "");
  const std::string half(CallLog::kSize / 2, 'x');
  ASSERT_TRUE(writer.has_room(1, half.size()));
  ASSERT_TRUE(writer.append(1, half));
  EXPECT_FALSE(writer.has_room(1, half.size()));
  EXPECT_TRUE(writer.has_room(2, half.size()));
  EXPECT_FALSE(writer.has_room(2, CallLog::kSize));
}

// --- the store

class CallLogStore : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    SqliteOptions options;
    options.path = path_;
    auto opened = open_sqlite_store(options, clock_);
    ASSERT_TRUE(opened) << opened.error().message();
    store_ = *std::move(opened);
  }
  static audit::Event row(std::string_view kind, const std::string& id) {
    audit::Event e;
    e.kind = std::string(kind);
    e.id = id;
    return e;
  }
  void call(const std::string& id) const {
    auto begun =
        sync(store_->calls()->begin(charge_of(id, kLimit, 10), row(audit::kCallIntent, id), {}));
    ASSERT_TRUE(begun);
    ASSERT_EQ(begun->state, ReserveState::applied);
  }
  void settle(const std::string& id) const {
    auto ended = sync(store_->calls()->end({SpendChange::To::settled, id, micro(7), "ch", kNoon},
                                           row(audit::kCallOutcome, id)));
    ASSERT_TRUE(ended);
    ASSERT_EQ(ended->state, ChangeState::applied);
  }
  /// The files as a process that is killed now leaves them.
  [[nodiscard]] std::string crash() const {
    std::string to = folder_.file("crashed-" + std::to_string(::rand()) + ".db");
    for (const char* suffix : {"", "-wal", "-calls"}) {
      if (std::filesystem::exists(path_ + suffix))
        std::filesystem::copy_file(path_ + suffix, to + suffix);
    }
    return to;
  }
  /// Two calls, one of them settled, and their rows.
  static void expect_both(const std::string& path) {
    SqliteOptions options;
    options.path = path;
    ManualClock clock(kStart);
    auto store = open_sqlite_store(options, clock).value();
    EXPECT_EQ(sync(store->spends()->find_spend("a")).value().value().state, SpendState::settled);
    EXPECT_EQ(sync(store->spends()->find_spend("b")).value().value().state, SpendState::held);
    const auto usage = sync(store->spends()->usage("policy/", kNoon)).value();
    ASSERT_EQ(usage.size(), 1U);
    EXPECT_EQ(usage[0].held, 20);  // and the one that began the window
    EXPECT_EQ(usage[0].settled, 7);
    EXPECT_EQ(sync(store->journal()->query({})).value().rows.size(), 5U);  // writer.start too
    audit::Verifier verifier;
    ASSERT_TRUE(sync(audit::verify_store(*store->journal(), verifier)));
    EXPECT_EQ(audit::verdict_of(std::move(verifier).finish()), "valid");
  }
  /// How often the tables took everything.
  [[nodiscard]] std::int64_t generation() const {
    auto db = Database::open(path_, Access::read_only, "").value();
    return sql::call_generation(*db).value();
  }
  /// By the tables, so that the next calls find window and chain there.
  void begin_window() const { call("first"); }
  void call_both() const {
    begin_window();
    call("a");
    settle("a");
    call("b");
  }

  static constexpr std::int64_t kLimit = 1'000'000;
  TempFolder folder_;
  std::string path_ = folder_.file();
  ManualClock clock_{kStart};
  std::unique_ptr<Store> store_;
};

TEST_F(CallLogStore, WhatACrashLeftInTheLogIsThere) {
  call_both();
  EXPECT_GT(std::filesystem::file_size(path_ + "-calls"), 0U);
  using Mode = std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(path_ + "-calls").permissions(),
            Mode::owner_read | Mode::owner_write);
  const std::string left = crash();
  expect_both(left);
  expect_both(left);  // and is not counted again
}

TEST_F(CallLogStore, WhatACrashLeftGoesIntoABackup) {
  call_both();
  SqliteOptions options;
  options.path = crash();
  ASSERT_TRUE(backup_sqlite(options, folder_.file("copy.db")));
  expect_both(folder_.file("copy.db"));
}

TEST_F(CallLogStore, ABackupUnderWayHasWhatWasAcknowledgedBefore) {
  call_both();
  const std::string link = folder_.file("link.db");
  std::filesystem::create_symlink(path_, link);
  for (const std::string& path : {path_, link}) {
    SCOPED_TRACE(path);
    const std::string copy = path + "-copy.db";
    SqliteOptions options;
    options.path = path;
    ASSERT_TRUE(backup_sqlite(options, copy));
    expect_both(copy);
  }
}

TEST_F(CallLogStore, AMigrationTakesItAlong) {
  call_both();
  SqliteOptions options;
  options.path = crash();
  ASSERT_TRUE(migrate_sqlite(options, kLatestSchema, clock_));
  std::filesystem::remove(options.path + "-calls");
  expect_both(options.path);
}

TEST_F(CallLogStore, AStopLeavesNoLog) {
  call_both();
  store_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_ + "-calls"));
  expect_both(path_);
}

TEST_F(CallLogStore, AnotherCommitTakesThemIntoTheTables) {
  call_both();
  ASSERT_TRUE(sync(store_->ping()));
  const std::string left = crash();
  std::filesystem::remove(left + "-calls");
  expect_both(left);
}

TEST_F(CallLogStore, ARowThatACallDoesNotReadIsRefusedAtTheStart) {
  begin_window();
  const std::string left = crash();
  CallLog writer(left, "");
  std::int64_t generation = 0;
  {
    auto db = Database::open(left, Access::read_write, "").value();
    generation = sql::call_generation(*db).value();
  }
  ASSERT_TRUE(writer.append(generation, "x nobody reads this"));
  SqliteOptions options;
  options.path = left;
  const auto opened = open_sqlite_store(options, clock_);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().is(Errc::corrupt));
}

TEST_F(CallLogStore, ALookUpOfOneCallLeavesTheLogAsItIs) {
  call_both();
  const std::int64_t before = generation();
  const auto of = [&](const char* object) {
    const auto found = sync(store_->spends()->find_spend_of("stripe", object)).value();
    return found ? found->id : "";
  };
  EXPECT_EQ(of("ch"), "a");
  EXPECT_EQ(of("none"), "");
  EXPECT_EQ(sync(store_->spends()->find_spend("a")).value().value().state, SpendState::settled);
  EXPECT_EQ(sync(store_->spends()->find_spend("first")).value().value().state, SpendState::held);
  EXPECT_FALSE(sync(store_->spends()->find_spend("none")).value());
  settle("b");
  EXPECT_EQ(of("ch"), "b") << "of the same time, and later by its id";
  EXPECT_EQ(generation(), before);

  // In the tables it is of an object that it is not of any more.
  ASSERT_TRUE(sync(store_->ping()));
  ASSERT_TRUE(sync(store_->spends()->settle("b", micro(8), "other", kNoon)));
  EXPECT_EQ(of("ch"), "a");
  EXPECT_EQ(of("other"), "b");
}

TEST_F(CallLogStore, AFullLogIsWrittenOut) {
  begin_window();
  // A frame has the row's text, so that a few hundred of these fill it.
  audit::Event large = row(audit::kCallIntent, "large");
  for (int n = 0; n < 30; ++n)
    large.details.emplace_back(fmt::format("d{}", n), std::string(200, 'x'));
  const std::int64_t before = generation();
  int rows = 0;
  for (; rows < 2000 && generation() < before + 2; ++rows)
    ASSERT_TRUE(sync(store_->journal()->append(large)));
  EXPECT_GT(rows, 200);
  EXPECT_LT(rows, 2000);
  EXPECT_LE(std::filesystem::file_size(path_ + "-calls"),
            static_cast<std::uintmax_t>(CallLog::kSize));
  audit::Verifier verifier;
  ASSERT_TRUE(sync(audit::verify_store(*store_->journal(), verifier)));
  EXPECT_EQ(audit::verdict_of(std::move(verifier).finish()), "valid");
}

// --- a batch that is rolled back

using One = sql::CallOf<Result<>>;
using Work = UniqueFunction<Result<>(sql::Connection&)>;

Work reserves(std::string id) {
  return [r = charge_of(std::move(id), 1'000'000, 10)](sql::Connection& db) -> Result<> {
    OCTROI_TRY(const auto outcome, sql::reserve_spend(db, r));
    EXPECT_EQ(outcome.state, ReserveState::applied);
    return {};
  };
}

/// Writes, and then says no.
Result<> refuses(sql::Connection& db) {
  OCTROI_TRY(sql::Savepoint all, sql::Savepoint::begin(db));
  OCTROI_CHECK(db.run("INSERT INTO key_values (name, value) VALUES ('x', x'00')"));
  return fail(Errc::locked, "no");
}

class CallLogWriter : public testing::Test {
 protected:
  CallLogWriter() {
    begin_migrated(folder_.file());
    auto opened = Database::open(folder_.file(), Access::read_write, "").value();
    db_ = opened.get();
    EXPECT_TRUE(db_->script("PRAGMA journal_mode = WAL"));
    db_->keep_calls();
    writer_ = std::make_unique<Writer>(std::move(opened),
                                       std::make_unique<CallLog>(folder_.file(), ""), 1000);
  }
  /// One batch.
  template <class... Works>
  void run(Works... works) {
    std::vector<std::shared_ptr<sql::Call>> batch;
    (batch.push_back(std::make_shared<One>(nullptr, 0, Work(std::move(works)))), ...);
    writer_->run_batch(batch);
  }

  TempFolder folder_;
  Database* db_ = nullptr;
  std::unique_ptr<Writer> writer_;
};

TEST_F(CallLogWriter, ATableThatRefusesARowEndsIt) {
  run(reserves("first"));
  run(reserves("a"));
  ASSERT_TRUE(db_->calls()->pending());
  // Behind its back: the row that it is about to write is there.
  ASSERT_TRUE(
      db_->script("INSERT INTO spends SELECT 'a', fingerprint, state, amount, settled,"
                  " assumed, attempt, created_at, changed_at, answer_by, give_up_at,"
                  " replay_until, vendor, operation, policy, key_id, run, object, holds,"
                  " dedupe FROM spends WHERE id = 'first'"));
  run([](sql::Connection& c) {
    EXPECT_FALSE(sql::write_out_calls(c));
    return Result<>{};  // whoever asked may not notice
  });
  bool ran = false;
  run([&ran](sql::Connection&) -> Result<> {
    ran = true;
    return {};
  });
  EXPECT_FALSE(ran) << "a store of which half a write is known is read-only";
}

TEST_F(CallLogWriter, ABatchThatIsRolledBackCountsOnceAndTakesNoEarlierCallWithIt) {
  run(reserves("first"));  // begins the window, in the tables
  run(reserves("a"));
  EXPECT_TRUE(db_->calls()->pending());
  run(reserves("b"), refuses);
  EXPECT_FALSE(db_->calls()->pending()) << "run again with savepoints, into the tables";
  run(refuses);
  run(reserves("c"));
  run([](sql::Connection& c) { return sql::write_out_calls(c); });
  for (const char* id : {"first", "a", "b", "c"}) {
    EXPECT_TRUE(sql::find_spend(*db_, id).value().has_value()) << id;
  }
  const auto usage = sql::spend_usage(*db_, "policy/", kNoon).value();
  ASSERT_EQ(usage.size(), 1U);
  EXPECT_EQ(usage[0].held, 40);
}

}  // namespace
}  // namespace octroi::sqlite
