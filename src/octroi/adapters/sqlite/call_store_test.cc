// The call book of the SQLite store: its contract, what it costs in syncs, and a failing disk.
#include <filesystem>

#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/fault_vfs.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/adapters/sqlite/store.h"
#include "octroi/base/log.h"
#include "octroi/ledger/call_contract.h"

namespace octroi::ledger {
namespace {

using sqlite::FaultVfs;

const StoreUnderTest kSqlite{"sqlite", [] { return std::make_unique<sqlite::SqliteFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Sqlite, CallContract, testing::Values(kSqlite), store_name);

class CallDisk : public testing::Test {
 protected:
  CallDisk() {
    set_log(LogLevel::off);  // many expected alarms
    FaultVfs::instance().forget();
    FaultVfs::instance().arm(0, FaultVfs::Mode::once);
  }
  ~CallDisk() override {
    store_.reset();
    FaultVfs::instance().arm(0, FaultVfs::Mode::once);
    set_log(LogLevel::info);
  }
  static void set_log(LogLevel level) {
    LogConfig config;
    config.level = level;
    EXPECT_TRUE(configure_log(config));
  }
  Store& open(const std::string& folder, const char* vfs) {
    store_.reset();
    sqlite::SqliteOptions options;
    options.path = folder + "/octroi.db";
    options.vfs = vfs;
    auto opened = sqlite::open_sqlite_store(options, system_clock());
    EXPECT_TRUE(opened) << opened.error().message();
    store_ = *std::move(opened);
    return *store_;
  }
  static audit::Event row(std::string_view kind) {
    audit::Event e;
    e.kind = std::string(kind);
    e.id = "a";
    return e;
  }
  const sqlite::TempFolder temporary_;
  const std::string folder_ = std::filesystem::path(temporary_.file()).parent_path().string();
  std::unique_ptr<Store> store_;
};

TEST_F(CallDisk, ACallIsTwoSyncsAndWasFour) {
  Store& store = open(folder_, FaultVfs::kName);
  FaultVfs& disk = FaultVfs::instance();
  ASSERT_TRUE(sync(store.calls()->begin(charge_of("warm", 100, 1), row(audit::kCallIntent), {})));

  long before = disk.syncs();
  ASSERT_TRUE(sync(store.calls()->begin(charge_of("a", 100, 1), row(audit::kCallIntent), {})));
  ASSERT_TRUE(sync(store.calls()->end({SpendChange::To::settled, "a", micro(1), "ch_1", kNoon},
                                      row(audit::kCallOutcome))));
  EXPECT_EQ(disk.syncs() - before, 2);

  before = disk.syncs();
  ASSERT_TRUE(sync(store.spends()->reserve(charge_of("b", 100, 1))));
  ASSERT_TRUE(sync(store.journal()->append(row(audit::kCallIntent))));
  ASSERT_TRUE(sync(store.spends()->settle("b", micro(1), "ch_2", kNoon)));
  ASSERT_TRUE(sync(store.journal()->append(row(audit::kCallOutcome))));
  EXPECT_EQ(disk.syncs() - before, 4);
}

TEST_F(CallDisk, WhereverTheDiskFailsMoneyAndRowAreBothThereOrNeither) {
  for (long at = 1;; ++at) {
    SCOPED_TRACE(at);
    FaultVfs& disk = FaultVfs::instance();
    const std::string live = fmt::format("{}/{}", folder_, at);
    const std::string after = live + "-after";
    std::filesystem::create_directories(live);
    std::filesystem::create_directories(after);
    disk.forget();
    disk.arm(0, FaultVfs::Mode::once);
    Store& store = open(live, FaultVfs::kName);
    disk.arm(at, FaultVfs::Mode::from_there);
    const bool begun =
        sync(store.calls()->begin(charge_of("a", 100, 60), row(audit::kCallIntent), {}))
            .has_value();
    const bool ended =
        begun && sync(store.calls()->end({SpendChange::To::settled, "a", micro(50), "ch_1", kNoon},
                                         row(audit::kCallOutcome)))
                     .has_value();
    const bool fired = disk.fired();
    disk.power_cut_into(after);
    disk.arm(0, FaultVfs::Mode::once);
    Store& left = open(after, "");
    const auto spend = sync(left.spends()->find_spend("a"));
    ASSERT_TRUE(spend);
    audit::Filter filter;
    filter.id = "a";
    const auto told = sync(left.journal()->query(filter));
    ASSERT_TRUE(told);
    const std::size_t rows = told->rows.size();
    EXPECT_EQ(spend->has_value(), rows >= 1);
    EXPECT_EQ(spend->has_value() && (*spend)->state == SpendState::settled, rows == 2);
    if (begun) EXPECT_GE(rows, 1U);
    if (ended) EXPECT_EQ(rows, 2U);
    if (!fired) break;
    ASSERT_LT(at, 200);
  }
}

}  // namespace
}  // namespace octroi::ledger
