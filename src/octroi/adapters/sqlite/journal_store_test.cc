// The audit journal in a SQLite file: its contract, what verifying finds when somebody changed the
// file, and a disk that is full.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/database.h"
#include "octroi/adapters/sqlite/fault_vfs.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/ledger/journal_contract.h"

namespace octroi::ledger {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, JournalContract,
                         testing::Values(StoreUnderTest{
                             "sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }}),
                         store_name);

/// A clock that was two hours ahead once: the chains to come do not all name that one.
TEST(ChainsOfAClockThatWentBack, AreMissedWhenTheyVanish) {
  sqlite::TempFolder folder;
  sqlite::SqliteOptions options;
  options.path = folder.file();
  const audit::Signer signer = audit::signer_of();
  std::vector<std::string> writers;
  for (const Millis at : {Millis(7'200'000), Millis(0), Millis(1000), Millis(2000)}) {
    ManualClock clock{kStart + at};
    auto store = sqlite::open_sqlite_store(options, clock).value();
    ASSERT_TRUE(sync(store->journal()->append(audit::call_of(1))));
    writers.push_back(store->journal()->writer());
  }
  ManualClock clock{kStart};
  auto store = sqlite::open_sqlite_store(options, clock).value();
  const auto whole = audit::lines_of(*store->journal());
  EXPECT_EQ(audit::verdict_of(audit::verified(whole)), "valid");
  for (std::size_t i = 0; i + 1 < writers.size(); ++i) {
    std::vector<std::string> cut;
    for (const std::string& line : whole) {
      if (line.find("\"writer\":\"" + writers[i]) == std::string::npos) cut.push_back(line);
    }
    EXPECT_EQ(cut.size() + 2, whole.size());
    EXPECT_NE(audit::verdict_of(audit::verified(cut)), "valid") << i;
  }
}

/// What was there before the order of chains was kept: the last one that was written is the last.
TEST(ChainsOfAClockThatWentBack, HaveTheirOrderFromTheFile) {
  sqlite::TempFolder folder;
  sqlite::SqliteOptions options;
  options.path = folder.file();
  std::string last;
  for (const Millis at : {Millis(0), Millis(7'200'000), Millis(1000)}) {
    ManualClock clock{kStart + at};
    auto store = sqlite::open_sqlite_store(options, clock).value();
    ASSERT_TRUE(sync(store->journal()->append(audit::call_of(1))));
    last = store->journal()->writer();
  }
  ManualClock clock{kStart};
  ASSERT_EQ(sqlite::migrate_sqlite(options, 16, clock).value_or(0), 1);
  ASSERT_EQ(sqlite::migrate_sqlite(options, 17, clock).value_or(0), 1);
  auto store = sqlite::open_sqlite_store(options, clock).value();
  audit::Journal& journal = *store->journal();
  ASSERT_TRUE(sync(journal.append(audit::call_of(2))));
  const auto first = sync(journal.rows(journal.writer(), 1, 1)).value().at(0);
  const auto named = audit::reference_of(audit::read_row(first).value().event);
  ASSERT_TRUE(named);
  EXPECT_EQ(named->id, (audit::RowId{last, 2}));
}

struct Tampering {
  const char* name;
  const char* sql;    // what somebody with the file does
  const char* found;  // without the writer
};

class TamperedFile : public testing::TestWithParam<Tampering> {};

/// Issue 6, done-when 5: in the store itself.
TEST_P(TamperedFile, IsFoundAtTheFirstBadRow) {
  sqlite::TempFolder folder;
  ManualClock clock{kStart};
  const audit::Signer signer = audit::signer_of();
  sqlite::SqliteOptions options;
  options.path = folder.file();
  std::string writer;
  {
    auto store = sqlite::open_sqlite_store(options, clock).value();
    audit::Journal& journal = *store->journal();
    writer = journal.writer();
    for (int n = 1; n <= 6; ++n) ASSERT_TRUE(sync(journal.append(audit::call_of(n))));
    const auto head = sync(journal.heads()).value().at(0);
    ASSERT_EQ(head.seq, 7);
    ASSERT_TRUE(
        sync(journal.keep_checkpoint(signer.sign(head.writer, head.seq, head.hash, clock.now()))));
  }
  {
    auto db = sqlite::Database::open(options.path, sqlite::Access::read_write, "").value();
    ASSERT_TRUE(db->script(GetParam().sql)) << GetParam().sql;
  }
  auto store = sqlite::open_sqlite_store(options, clock).value();
  audit::Verifier verifier({signer.public_key()});
  ASSERT_TRUE(sync(audit::verify_store(*store->journal(), verifier)));
  std::string found = audit::verdict_of(std::move(verifier).finish());
  if (const auto at = found.find(writer); at != std::string::npos) found.erase(at, writer.size());
  EXPECT_EQ(found, GetParam().found);
}

INSTANTIATE_TEST_SUITE_P(
    Sqlite, TamperedFile,
    testing::Values(Tampering{"Nothing", "SELECT 1", "valid"},
                    Tampering{"AByteOfAText",
                              "UPDATE audit_rows SET row_text = replace(row_text, '\"amount\":300',"
                              " '\"amount\":301') WHERE seq = 4",
                              "changed /4"},
                    Tampering{"AnAddedMember",
                              "UPDATE audit_rows SET row_text = replace(row_text, '{', '{\"a\":1,')"
                              " WHERE seq = 5",
                              "changed /5"},
                    Tampering{"ATextThatIsNone",
                              "UPDATE audit_rows SET row_text = 'x' WHERE seq = 2", "changed /2"},
                    Tampering{"AHash",
                              "UPDATE audit_rows SET row_hash = zeroblob(32) WHERE seq = 3",
                              "changed /3"},
                    Tampering{"TheHashBefore",
                              "UPDATE audit_rows SET prev_hash = zeroblob(32) WHERE seq = 3",
                              "changed /3"},
                    Tampering{"WhatIsSearchedBy",
                              "UPDATE audit_rows SET run = 'run-2' WHERE seq = 6", "changed /6"},
                    Tampering{"TheTimeThatIsSearchedBy",
                              "UPDATE audit_rows SET at = at + 1 WHERE seq = 6", "changed /6"},
                    Tampering{"ARemovedRow", "DELETE FROM audit_rows WHERE seq = 4", "removed /4"},
                    Tampering{"TheFirstRow", "DELETE FROM audit_rows WHERE seq = 1", "removed /1"},
                    Tampering{"TheTail", "DELETE FROM audit_rows WHERE seq >= 6", "cut_off /6"},
                    Tampering{"AllRows", "DELETE FROM audit_rows", "cut_off /1"},
                    Tampering{"TwoSwappedRows",
                              "UPDATE audit_rows SET seq = 100 WHERE seq = 3;"
                              "UPDATE audit_rows SET seq = 3 WHERE seq = 5;"
                              "UPDATE audit_rows SET seq = 5 WHERE seq = 100",
                              "moved /3"},
                    Tampering{"AForgedCheckpoint",
                              "UPDATE audit_checkpoints SET signature = zeroblob(64)", "forged /7"},
                    Tampering{"ACheckpointOverAnotherRow", "UPDATE audit_checkpoints SET seq = 6",
                              "forged /6"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(SqliteJournal, ARowThatWasChangedIsNotShownAsIfItWereRight) {
  sqlite::SqliteFixture fixture;
  for (int n = 1; n <= 3; ++n) {
    ASSERT_TRUE(sync(fixture.store().journal()->append(audit::call_of(n))));
  }
  ASSERT_TRUE(sync(fixture.store().journal()->heads()));  // the tables have the rows then
  {
    auto db = sqlite::Database::open(fixture.path(), sqlite::Access::read_write, "").value();
    ASSERT_TRUE(db->script("UPDATE audit_rows SET run = 'run-2' WHERE seq = 3"));
  }
  audit::Filter f;
  f.run = "run-2";
  EXPECT_TRUE(sync(fixture.store().journal()->query(f)).error().is(audit::Errc::broken));
}

/// No audit row, no call: whatever the disk does, a row that was acknowledged is there afterwards,
/// and one that was refused keeps its caller from doing anything.
TEST(SqliteJournal, OnAFullDiskAppendRefusesAndNothingThatWasAcknowledgedIsLost) {
  sqlite::FaultVfs& vfs = sqlite::FaultVfs::instance();
  const LogConfig quiet{LogLevel::off, false, {}, 0, 0, {}};
  ASSERT_TRUE(configure_log(quiet));
  using Mode = sqlite::FaultVfs::Mode;
  int refusals = 0;
  for (const Mode mode : {Mode::once, Mode::from_there, Mode::torn}) {
    for (long at = 1; at < 60; at += 5) {
      sqlite::TempFolder folder;
      ManualClock clock{kStart};
      sqlite::SqliteOptions options;
      options.path = folder.file();
      ASSERT_TRUE(sqlite::open_sqlite_store(options, clock));  // the schema is there
      options.vfs = sqlite::FaultVfs::kName;
      options.checkpoint_frames = 8;
      std::vector<audit::RowId> kept;
      vfs.arm(at, mode);
      if (auto store = sqlite::open_sqlite_store(options, clock)) {
        bool dead = false;
        for (int n = 1; n <= 8; ++n) {
          const auto id = sync((*store)->journal()->append(audit::call_of(n)));
          if (dead) EXPECT_FALSE(id) << "a store that failed to commit accepted a row";
          dead = dead || !id;
          if (id) kept.push_back(*id);
        }
        refusals += dead ? 1 : 0;
      }
      vfs.arm(0, Mode::once);
      options.vfs.clear();
      auto healthy = sqlite::open_sqlite_store(options, clock).value();
      for (const audit::RowId& id : kept) {
        const auto rows = sync(healthy->journal()->rows(id.writer, id.seq, 1)).value();
        ASSERT_EQ(rows.size(), 1U) << at;
        EXPECT_EQ(rows[0].id, id);
      }
      audit::Verifier verifier;
      ASSERT_TRUE(sync(audit::verify_store(*healthy->journal(), verifier)));
      EXPECT_EQ(audit::verdict_of(std::move(verifier).finish()), "valid") << at;
      vfs.forget();
    }
  }
  EXPECT_GT(refusals, 10);
  ASSERT_TRUE(configure_log({}));
}

}  // namespace
}  // namespace octroi::ledger
