// What a wallet pays, as rows of its audit: which rows, in whose commit, by how many processes, and
// what of a file that was tampered with is found.
#include "octroi/adapters/sqlite/spend_audit.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/adapters/sqlite/fault_vfs.h"
#include "octroi/adapters/sqlite/spend_journal.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/audit/checkpoint_file.h"
#include "octroi/audit/journal_testing.h"
#include "octroi/base/log.h"

namespace octroi::sqlite {
namespace {

using audit::Fault;
using audit::now_of;
using audit::Report;
using audit::Row;
using audit::Verdict;
using ledger::Spend;
using ledger::SpendErrc;
using ledger::SpendLimits;
using ledger::SpendStage;
using testing::ElementsAre;
using testing::HasSubstr;

Spend spend(std::uint8_t n, std::int64_t msat = 1'000) {
  std::array<std::uint8_t, 32> raw{};
  raw[0] = n;
  return {PaymentHash(raw),
          "api.example.com",
          "l402",
          *Msat::from_raw(msat),
          10_msat,
          {1'763'700'000'000},
          {"run-7", "buyer", "weather bot"}};
}

/// Runs statements on a file that nobody has open.
void tamper(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* wrong = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &wrong), SQLITE_OK) << wrong;
  sqlite3_free(wrong);
  sqlite3_close(db);
}

class SpendAuditTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.file("wallet/journal.db"); }

  std::unique_ptr<ledger::SpendJournal> journal(SpendJournalOptions options = {}) {
    options.clock = &clock_;
    auto opened = open_spend_journal(path(), options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? *std::move(opened) : nullptr;
  }
  std::unique_ptr<audit::Journal> rows_of_wallet() {
    auto opened = open_spend_audit(path(), clock_);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? *std::move(opened) : nullptr;
  }
  /// Oldest first, without the row that begins the chain.
  std::vector<Row> payments(audit::Filter filter = {}) {
    filter.limit = 1000;
    filter.kind = audit::kPayment;
    auto page = now_of(rows_of_wallet()->query(filter));
    EXPECT_TRUE(page) << page.error().message();
    std::reverse(page->rows.begin(), page->rows.end());
    return std::move(page->rows);
  }
  static std::string stage_of(const Row& row) {
    for (const auto& [name, value] : row.event.details) {
      if (name == "stage") return value;
    }
    return "";
  }
  std::vector<std::string> stages() {
    std::vector<std::string> out;
    for (const Row& row : payments()) out.push_back(stage_of(row));
    return out;
  }
  Report verified() {
    auto journal = rows_of_wallet();
    const auto signer = audit::Signer::from_seed(*spend_audit_seed(path()));
    audit::Verifier verifier({signer->public_key()});
    const auto outside = audit::read_checkpoints(spend_checkpoint_file(path()));
    for (const auto& c : *outside) verifier.add_checkpoint(c);
    EXPECT_TRUE(now_of(audit::verify_store(*journal, verifier)));
    return std::move(verifier).finish();
  }
  void pay(std::uint8_t n) {
    auto j = journal();
    ASSERT_TRUE(j->reserve(spend(n), SpendLimits{}));
    ASSERT_TRUE(j->advance(spend(n).hash, SpendStage::submitted, {}));
    ASSERT_TRUE(j->advance(spend(n).hash, SpendStage::settled, 3_msat));
  }

  TempFolder folder_;
  ManualClock clock_{UnixMillis{1'763'700'001'000}};
};

TEST_F(SpendAuditTest, APaymentIsARowBeforeItIsSentAndOneAfter) {
  auto j = journal();
  ASSERT_TRUE(j->reserve(spend(1), SpendLimits{}));
  EXPECT_THAT(stages(), ElementsAre("intent"));
  ASSERT_TRUE(j->advance(spend(1).hash, SpendStage::submitted, {}));
  EXPECT_THAT(stages(), ElementsAre("intent"));
  ASSERT_TRUE(j->advance(spend(1).hash, SpendStage::settled, 3_msat));
  const auto rows = payments();
  ASSERT_EQ(rows.size(), 2U);
  for (const Row& row : rows) {
    const audit::Event& e = row.event;
    EXPECT_EQ(e.id, spend(1).hash.hex());
    EXPECT_EQ(e.run, "run-7");
    EXPECT_EQ(e.agent, "buyer");
    EXPECT_EQ(e.key_name, "weather bot");
    EXPECT_EQ(e.vendor, "api.example.com");
    EXPECT_EQ(e.operation, "l402");
    EXPECT_EQ(e.direction, "payout");
    EXPECT_EQ(e.amount, 1'000);
    EXPECT_EQ(e.currency, "msat");
    EXPECT_EQ(e.verdict, Verdict::allowed);
    EXPECT_EQ(row.at.value, 1'763'700'001'000);
  }
  using Details = decltype(audit::Event::details);
  EXPECT_EQ(rows[0].event.details, (Details{{"fee_limit_msat", "10"}, {"stage", "intent"}}));
  EXPECT_EQ(rows[1].event.details, (Details{{"fee_msat", "3"}, {"stage", "settled"}}));
  const Report report = verified();
  EXPECT_TRUE(report.valid());
  EXPECT_EQ(report.rows, 3);  // and the one that begins the chain
  EXPECT_EQ(report.unsigned_rows, 0);
  EXPECT_TRUE(report.trusted_key);
}

TEST_F(SpendAuditTest, EachEndIsTold) {
  struct {
    const char* name;
    std::vector<SpendStage> way;
    std::vector<std::string> stages;
    Verdict last;
  } const kRows[] = {
      {"paid", {SpendStage::settled}, {"intent", "settled"}, Verdict::allowed},
      {"failed", {SpendStage::failed}, {"intent", "failed"}, Verdict::failed},
      {"not known", {SpendStage::unknown}, {"intent", "unknown"}, Verdict::unknown},
      {"known later",
       {SpendStage::unknown, SpendStage::settled},
       {"intent", "unknown", "settled"},
       Verdict::allowed},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    std::filesystem::remove_all(folder_.file("wallet"));
    {
      auto j = journal();
      ASSERT_TRUE(j->reserve(spend(1), SpendLimits{}));
      for (const SpendStage stage : row.way) ASSERT_TRUE(j->advance(spend(1).hash, stage, {}));
    }
    EXPECT_EQ(stages(), row.stages);
    EXPECT_EQ(payments().back().event.verdict, row.last);
    EXPECT_TRUE(verified().valid());
  }
}

TEST_F(SpendAuditTest, WhatIsRefusedIsToldAndHoldsNothing) {
  auto j = journal();
  auto over = j->reserve(spend(1, 2'000'000), SpendLimits{});
  ASSERT_FALSE(over);
  EXPECT_TRUE(over.error().is(SpendErrc::over_limit));
  ASSERT_TRUE(j->reserve(spend(2), SpendLimits{}));
  auto again = j->reserve(spend(2), SpendLimits{});
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(SpendErrc::already_seen));
  EXPECT_FALSE(*j->find(spend(1).hash));
  const auto rows = payments();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].event.verdict, Verdict::denied);
  EXPECT_EQ(rows[0].event.reason, "spend.over-limit");
  EXPECT_EQ(rows[1].event.verdict, Verdict::allowed);
  EXPECT_EQ(rows[2].event.verdict, Verdict::denied);
  EXPECT_EQ(rows[2].event.reason, "spend.already-seen");
}

TEST_F(SpendAuditTest, WhatDoesNotHappenIsNoRow) {
  pay(1);
  auto j = journal();
  EXPECT_FALSE(j->advance(spend(1).hash, SpendStage::failed, {}));
  EXPECT_FALSE(j->advance(spend(9).hash, SpendStage::failed, {}));
  EXPECT_FALSE(j->note_refund(spend(9).hash, 5_msat, {1}));
  EXPECT_EQ(payments().size(), 2U);
}

TEST_F(SpendAuditTest, ARefundIsToldOnce) {
  pay(1);
  auto j = journal();
  ASSERT_TRUE(j->note_refund(spend(1).hash, 400_msat, {1}));
  ASSERT_TRUE(j->note_refund(spend(1).hash, 400_msat, {2}));
  const auto rows = payments();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[2].event.direction, "refund");
  EXPECT_EQ(rows[2].event.amount, 400);
  EXPECT_EQ(rows[2].event.run, "run-7");
  EXPECT_TRUE(verified().valid());
}

TEST_F(SpendAuditTest, WhoLooksAtOneRunSeesThatRun) {
  auto j = journal();
  Spend other = spend(2);
  other.by.run = "run-8";
  ASSERT_TRUE(j->reserve(spend(1), SpendLimits{}));
  ASSERT_TRUE(j->reserve(other, SpendLimits{}));
  audit::Filter filter;
  filter.run = "run-8";
  const auto rows = payments(filter);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].event.id, other.hash.hex());
  // The outcome that another process writes has the run of its intent.
  ASSERT_TRUE(journal()->advance(other.hash, SpendStage::failed, {}));
  EXPECT_EQ(payments(filter).size(), 2U);
}

TEST_F(SpendAuditTest, RowsCostNoSync) {
  FaultVfs& vfs = FaultVfs::instance();
  vfs.arm(0, FaultVfs::Mode::once);
  auto j = journal({nullptr, FaultVfs::kName});
  ASSERT_TRUE(j);
  const auto syncs_of = [&](auto work) {
    const long before = vfs.syncs();
    EXPECT_TRUE(work());
    return vfs.syncs() - before;
  };
  // A commit of the write-ahead log syncs it once, and once more when it has just been begun.
  EXPECT_LE(syncs_of([&] { return j->reserve(spend(1), SpendLimits{}); }), 2);
  EXPECT_EQ(syncs_of([&] { return j->advance(spend(1).hash, SpendStage::submitted, {}); }), 1);
  EXPECT_EQ(syncs_of([&] { return j->advance(spend(1).hash, SpendStage::settled, {}); }), 1);
  EXPECT_EQ(syncs_of([&] { return j->reserve(spend(2), SpendLimits{}); }), 1);
  EXPECT_EQ(syncs_of([&] { return j->advance(spend(2).hash, SpendStage::unknown, {}); }), 1);
  EXPECT_EQ(verified().unsigned_rows, 0);
}

// Whatever write fails: what was acknowledged has its row, what has a row is in the books, and the
// chain is whole.
class SpendAuditFaults : public SpendAuditTest,
                         public testing::WithParamInterface<FaultVfs::Mode> {};

TEST_P(SpendAuditFaults, BooksAndRowsAgree) {
  FaultVfs& vfs = FaultVfs::instance();
  // Tests of the same file name would meet in the VFS's memory; nobody here needs it.
  vfs.forget();
  long steps = 1;
  for (long at = 1; at <= steps; ++at) {
    SCOPED_TRACE(at);
    std::filesystem::remove_all(folder_.file("wallet"));
    vfs.arm(0, GetParam());
    bool reserved = false;
    bool settled = false;
    {
      auto j = open_spend_journal(path(), {&clock_, FaultVfs::kName});
      ASSERT_TRUE(j);
      ASSERT_TRUE((*j)->reserve(spend(1), SpendLimits{}));
      vfs.arm(at, GetParam());
      reserved = (*j)->reserve(spend(2), SpendLimits{}).has_value();
      settled = reserved && (*j)->advance(spend(2).hash, SpendStage::settled, {}).has_value();
      if (!vfs.fired())
        steps = at;  // past the last write
      else
        ++steps;
      if (at == 1) steps = 2;
    }
    vfs.arm(0, GetParam());
    auto j = journal();
    ASSERT_TRUE(j);
    const auto entry = j->find(spend(2).hash);
    ASSERT_TRUE(entry);
    const auto told = stages();
    const auto count = [&](const char* stage) { return std::ranges::count(told, stage); };
    EXPECT_EQ(count("intent"), 1 + (*entry ? 1 : 0));
    EXPECT_EQ(count("settled"), *entry && (*entry)->stage == SpendStage::settled ? 1 : 0);
    if (reserved) EXPECT_TRUE(*entry);
    if (settled) EXPECT_EQ((*entry)->stage, SpendStage::settled);
    const Report report = verified();
    EXPECT_TRUE(report.valid()) << report.first_bad->message;
    EXPECT_EQ(report.unsigned_rows, 0);
    ASSERT_LT(at, 200);
  }
  EXPECT_GT(steps, 4);
}
INSTANTIATE_TEST_SUITE_P(Disk, SpendAuditFaults,
                         testing::Values(FaultVfs::Mode::once, FaultVfs::Mode::from_there,
                                         FaultVfs::Mode::torn),
                         [](const auto& mode) { return FaultVfs::name(mode.param); });

// Several commands at once, each a process that pays a few times: one chain, without a gap.
TEST_F(SpendAuditTest, ProcessesWriteOneChain) {
  constexpr int kProcesses = 6;
  constexpr int kPayments = 12;
  std::array<int, 2> gate{};
  ASSERT_EQ(::pipe(gate.data()), 0);
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::close(gate[1]);
      char nothing = 0;
      std::ignore = ::read(gate[0], &nothing, 1);  // ends for all at once
      bool good = true;
      for (int i = 0; i < kPayments; ++i) {
        auto j = open_spend_journal(path());  // as if each were a command of its own
        const auto one = spend(static_cast<std::uint8_t>(p * kPayments + i + 1), 10);
        good = good && j && (*j)->reserve(one, SpendLimits{}) &&
               (*j)->advance(one.hash, SpendStage::submitted, {}) &&
               (*j)->advance(one.hash, i % 3 == 0 ? SpendStage::failed : SpendStage::settled, {});
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  const Report report = verified();
  EXPECT_TRUE(report.valid());
  EXPECT_EQ(report.writers, 1);
  EXPECT_EQ(report.rows, 1 + 2 * kProcesses * kPayments);
  EXPECT_EQ(report.unsigned_rows, 0);
  EXPECT_EQ(report.late_checkpoints, 0);
}

TEST_F(SpendAuditTest, TamperingIsFoundAndNamed) {
  struct {
    const char* name;
    std::string sql;
    std::int64_t seq;
    Fault fault;
  } const kRows[] = {
      {"one byte of a text",
       "UPDATE audit_rows SET row_text = replace(row_text, '\"amount\":1000', '\"amount\":1001')"
       " WHERE seq = 3",
       3, Fault::changed},
      {"one byte of a hash",
       "UPDATE audit_rows SET row_hash = CAST(x'00' || substr(row_hash, 2) AS BLOB) WHERE seq = 4",
       4, Fault::changed},
      {"what it is searched by", "UPDATE audit_rows SET run = 'run-8' WHERE seq = 2", 2,
       Fault::changed},
      {"a row is gone", "DELETE FROM audit_rows WHERE seq = 3", 3, Fault::removed},
      {"the end is gone, with its checkpoints",
       "DELETE FROM audit_rows WHERE seq > 4; DELETE FROM audit_checkpoints WHERE seq > 4", 5,
       Fault::cut_off},
      {"two are swapped",
       "UPDATE audit_rows SET seq = 99 WHERE seq = 3; UPDATE audit_rows SET seq = 3 WHERE seq = 4;"
       "UPDATE audit_rows SET seq = 4 WHERE seq = 99",
       3, Fault::moved},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    std::filesystem::remove_all(folder_.file("wallet"));
    pay(1);
    pay(2);
    pay(3);
    ASSERT_TRUE(verified().valid());
    tamper(path(), row.sql);
    const Report report = verified();
    ASSERT_FALSE(report.valid());
    EXPECT_EQ(report.first_bad->row.seq, row.seq);
    EXPECT_EQ(to_string(report.first_bad->fault), to_string(row.fault))
        << report.first_bad->message;
  }
}

TEST_F(SpendAuditTest, AFileOfAnEarlierReleaseGoesOn) {
  std::filesystem::create_directories(folder_.file("wallet"));
  tamper(path(),
         "PRAGMA journal_mode=WAL;"
         "CREATE TABLE spends(hash BLOB PRIMARY KEY, host TEXT NOT NULL, scheme TEXT NOT NULL,"
         " amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0),"
         " fee_limit_msat INTEGER NOT NULL CHECK(fee_limit_msat >= 0),"
         " fee_msat INTEGER NOT NULL DEFAULT 0 CHECK(fee_msat >= 0),"
         " stage INTEGER NOT NULL, at_ms INTEGER NOT NULL);"
         "CREATE INDEX spends_at ON spends(at_ms); CREATE INDEX spends_stage ON spends(stage);"
         "CREATE TABLE refunds(hash BLOB PRIMARY KEY,"
         " amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0), at_ms INTEGER NOT NULL);"
         "INSERT INTO spends VALUES(x'" +
             spend(1).hash.hex() + "','api.example.com','l402',1000,10,3,2,1763700000000),(x'" +
             spend(2).hash.hex() +
             "','api.example.com','l402',500,10,0,1,1763700000000);"
             "INSERT INTO refunds VALUES(x'" +
             spend(1).hash.hex() + "',400,1763700000001)");
  auto j = journal();
  ASSERT_TRUE(j);
  const auto settled = j->find(spend(1).hash);
  ASSERT_TRUE(settled && *settled);
  EXPECT_EQ((*settled)->stage, SpendStage::settled);
  EXPECT_EQ((*settled)->refunded, 400_msat);
  EXPECT_FALSE(j->reserve(spend(1), SpendLimits{}));
  // What was under way has no intent here, and its outcome all the same.
  ASSERT_TRUE(j->advance(spend(2).hash, SpendStage::failed, {}));
  EXPECT_THAT(stages(), ElementsAre("refused", "failed"));
  EXPECT_EQ(payments().back().event.run, "");
  EXPECT_TRUE(verified().valid());
}

/// Its audit did not know in which order chains begin.
TEST_F(SpendAuditTest, AFileWithoutTheOrderOfChainsGoesOn) {
  pay(1);
  tamper(path(), "DROP INDEX audit_writers_number; ALTER TABLE audit_writers DROP COLUMN number");
  pay(2);
  EXPECT_EQ(payments().size(), 4U);
  EXPECT_TRUE(verified().valid());
}

TEST_F(SpendAuditTest, AFileOfANewerReleaseIsRefused) {
  pay(1);
  tamper(path(), "PRAGMA user_version=2");
  auto j = open_spend_journal(path());
  ASSERT_FALSE(j);
  EXPECT_TRUE(j.error().is(SpendErrc::unavailable));
  EXPECT_THAT(std::string(j.error().message()), HasSubstr("newer octroi"));
}

TEST_F(SpendAuditTest, NoKeyNoPayment) {
  std::filesystem::create_directories(folder_.file("wallet"));
  std::ofstream(spend_audit_key_file(path())) << "too short";
  auto j = open_spend_journal(path());
  ASSERT_FALSE(j);
  EXPECT_TRUE(j.error().is(SpendErrc::unavailable));
}

TEST_F(SpendAuditTest, TheKeyIsForItsOwnerOnly) {
  pay(1);
  for (const auto& file : {spend_audit_key_file(path()), spend_checkpoint_file(path())}) {
    struct stat info{};
    ASSERT_EQ(::stat(file.c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << file;
  }
}

TEST_F(SpendAuditTest, AWalletThatNeverPaidHasNoAudit) {
  const auto none = open_spend_audit(path(), clock_);
  ASSERT_FALSE(none);
  EXPECT_THAT(std::string(none.error().message()), HasSubstr("paid nothing yet"));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SpendAuditTest, TheJournalIsTheWholePort) {
  pay(1);
  auto j = rows_of_wallet();
  const auto added = now_of(j->append(audit::call_of(4)));
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_EQ(added->seq, 4);
  EXPECT_EQ(added->writer, j->writer());
  const auto heads = now_of(j->heads());
  ASSERT_TRUE(heads);
  ASSERT_EQ(heads->size(), 1U);
  EXPECT_EQ(heads->front().seq, 4);
  EXPECT_FALSE(now_of(j->rows(j->writer(), 1, 0)));
  EXPECT_EQ(now_of(j->rows(j->writer(), 3, 10))->size(), 2U);
  EXPECT_EQ(now_of(j->checkpoints(j->writer(), 0, 10))->back().seq, 4);
  EXPECT_TRUE(verified().valid());
}

}  // namespace
}  // namespace octroi::sqlite
