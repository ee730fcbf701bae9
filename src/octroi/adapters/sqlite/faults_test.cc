// What a failing disk and a lost power supply can do: nothing that was acknowledged is lost,
// nothing that was consumed can be consumed again.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/fault_vfs.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/adapters/sqlite/store.h"
#include "octroi/base/log.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

constexpr std::uint32_t kHashes = 6;

/// What the store said was done.
struct Acknowledged {
  std::vector<std::uint32_t> invoices;
  std::vector<std::uint32_t> consumed;
  std::vector<std::uint32_t> finished;
  bool refused_something = false;
  bool opened = false;
};

std::unique_ptr<Store> open_store(const std::string& path, const char* vfs, Clock& clock) {
  SqliteOptions options;
  options.path = path;
  options.vfs = vfs;
  options.checkpoint_frames = 8;  // so that checkpoints happen inside the story too
  auto opened = open_sqlite_store(options, clock);
  return opened ? *std::move(opened) : nullptr;
}

/// Records, consumes and finishes a few hashes; after the first refusal every later write must be
/// refused as well.
void tell_story(Store& store, Acknowledged& ack) {
  bool dead = false;
  const auto note = [&](bool done) {
    if (dead) EXPECT_FALSE(done) << "a store that failed to commit accepted a write";
    dead = dead || !done;
    return done;
  };
  for (std::uint32_t n = 0; n < kHashes; ++n) {
    if (note(sync(store.record_invoices({invoice_of(n)})).has_value())) ack.invoices.push_back(n);
    const auto out = sync(store.consume(consume_of(n)));
    if (note(out.has_value()) && out->state == ConsumeState::fresh) ack.consumed.push_back(n);
    if (n % 2 == 0 && out && out->state == ConsumeState::fresh &&
        note(sync(store.finish_consume(hash_of(n), answer_of())).has_value())) {
      ack.finished.push_back(n);
    }
  }
  ack.refused_something = dead;
  const bool ready = sync(store.ping()).has_value();
  if (dead) EXPECT_FALSE(ready) << "readiness tells the truth";
  if (!ready) EXPECT_TRUE(FaultVfs::instance().fired());
}

bool contains(const std::vector<std::uint32_t>& v, std::uint32_t n) {
  return std::ranges::find(v, n) != v.end();
}

/// After a restart on a healthy disk.
void check_invariants(Store& store, const Acknowledged& ack) {
  for (const std::uint32_t n : ack.invoices) {
    EXPECT_TRUE(sync(store.find_invoice(hash_of(n)))->has_value()) << "lost invoice " << n;
  }
  for (std::uint32_t n = 0; n < kHashes; ++n) {
    const auto again = sync(store.consume(consume_of(n)));
    ASSERT_TRUE(again);
    if (contains(ack.finished, n)) {
      EXPECT_EQ(again->state, ConsumeState::replay) << n;
    } else if (contains(ack.consumed, n)) {
      EXPECT_TRUE(again->state == ConsumeState::unfinished || again->state == ConsumeState::replay)
          << n;
    }
    const auto thief = sync(store.consume(consume_of(n, "another")));
    EXPECT_NE(thief->state, ConsumeState::fresh) << n;
  }
  EXPECT_TRUE(sync(store.ping()));
}

Acknowledged run_with_fault(const std::string& path, long at, FaultVfs::Mode mode) {
  ManualClock clock(kStart);
  FaultVfs& vfs = FaultVfs::instance();
  Acknowledged ack;
  vfs.arm(at, mode);
  if (auto store = open_store(path, FaultVfs::kName, clock)) {
    ack.opened = true;
    tell_story(*store, ack);
  }
  vfs.arm(0, mode);
  return ack;
}

void check_reopened(const std::string& path, const Acknowledged& ack) {
  ManualClock clock(kStart);
  auto store = open_store(path, "", clock);
  ASSERT_TRUE(store) << "the file must open again on a healthy disk";
  check_invariants(*store, ack);
}

class DiskFaults : public testing::TestWithParam<FaultVfs::Mode> {
 protected:
  static void set_log(LogLevel level) {
    LogConfig config;
    config.level = level;
    ASSERT_TRUE(configure_log(config));
  }
  void SetUp() override { set_log(LogLevel::off); }  // hundreds of expected alarms
  void TearDown() override { set_log(LogLevel::info); }
};

TEST_P(DiskFaults, AtEveryWriteAndSyncNothingAcknowledgedIsLost) {
  FaultVfs& vfs = FaultVfs::instance();
  long steps = 0;
  {
    const TempFolder folder;
    begin_migrated(folder.file());
    ManualClock clock(kStart);
    vfs.arm(0, GetParam());
    auto store = open_store(folder.file(), FaultVfs::kName, clock);
    ASSERT_TRUE(store);
    Acknowledged ack;
    tell_story(*store, ack);
    store.reset();
    steps = vfs.count();
    EXPECT_EQ(ack.consumed.size(), kHashes);
  }
  ASSERT_GT(steps, 40);
  int story_failures = 0;
  for (long at = 1; at <= steps; ++at) {
    SCOPED_TRACE("operation " + std::to_string(at));
    const TempFolder folder;
    begin_migrated(folder.file());
    const Acknowledged ack = run_with_fault(folder.file(), at, GetParam());
    if (ack.opened && ack.refused_something) ++story_failures;
    check_reopened(folder.file(), ack);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(story_failures, 10) << "the faults must have hit the story";
}

/// Each mode meets other steps of the first start, which has many and all alike.
TEST_P(DiskFaults, InTheFirstStartLeaveAFileThatOpens) {
  constexpr long kStride = 7;
  FaultVfs& vfs = FaultVfs::instance();
  long at = 1 + static_cast<long>(GetParam());
  for (bool reached = true; reached; at += kStride) {
    SCOPED_TRACE("operation " + std::to_string(at));
    const TempFolder folder;
    ManualClock clock(kStart);
    vfs.arm(at, GetParam());
    open_store(folder.file(), FaultVfs::kName, clock).reset();
    reached = vfs.fired();
    vfs.arm(0, GetParam());
    check_reopened(folder.file(), {});
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(at, 100);
}

INSTANTIATE_TEST_SUITE_P(Modes, DiskFaults,
                         testing::Values(FaultVfs::Mode::once, FaultVfs::Mode::from_there,
                                         FaultVfs::Mode::torn),
                         [](const auto& mode) { return FaultVfs::name(mode.param); });

TEST(PowerCut, AfterEveryAcknowledgementTheDiskHoldsIt) {
  FaultVfs& vfs = FaultVfs::instance();
  vfs.arm(0, FaultVfs::Mode::once);
  vfs.forget();
  const TempFolder folder;
  ManualClock clock(kStart);
  auto store = open_store(folder.file(), FaultVfs::kName, clock);
  ASSERT_TRUE(store);
  Acknowledged ack;
  const auto cut_power_and_check = [&] {
    const TempFolder after;
    vfs.power_cut_into(std::filesystem::path(after.file()).parent_path().string());
    check_reopened(after.file(), ack);
  };
  for (std::uint32_t n = 0; n < kHashes; ++n) {
    ASSERT_TRUE(sync(store->record_invoices({invoice_of(n)})));
    ack.invoices.push_back(n);
    cut_power_and_check();
    ASSERT_EQ(sync(store->consume(consume_of(n)))->state, ConsumeState::fresh);
    ack.consumed.push_back(n);
    cut_power_and_check();
    ASSERT_TRUE(sync(store->finish_consume(hash_of(n), answer_of())));
    ack.finished.push_back(n);
    cut_power_and_check();
  }
  vfs.forget();
}

}  // namespace
}  // namespace octroi::sqlite
