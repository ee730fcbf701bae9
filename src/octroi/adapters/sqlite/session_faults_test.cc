// Prepaid sessions and a counted token on a failing disk and after a power cut: the store holds
// what was acknowledged, or that and the one operation that failed, and nothing in between.
#include <gtest/gtest.h>

#include "octroi/adapters/sqlite/fault_vfs.h"
#include "octroi/adapters/sqlite/sqlite_fixture.h"
#include "octroi/adapters/sqlite/store.h"
#include "octroi/base/log.h"
#include "octroi/ledger/bundle_testing.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/session_testing.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

constexpr std::uint32_t kHashes = 6;

std::unique_ptr<Store> open_store(const std::string& path, const char* vfs, Clock& clock) {
  SqliteOptions options;
  options.path = path;
  options.vfs = vfs;
  options.checkpoint_frames = 8;  // so that checkpoints happen inside the story too
  auto opened = open_sqlite_store(options, clock);
  return opened ? *std::move(opened) : nullptr;
}

struct Step {
  const char* name;
  std::function<bool(Store&)> run;  // false: the store refused
};

template <class T>
bool done(Task<Result<T>> task) {
  return sync(std::move(task)).has_value();
}

/// Two sessions, from the deposit to the refund, and a token that is used up.
std::vector<Step> story() {
  const auto debit = [](std::uint32_t n, Msat amount) {
    return [n, amount](Store& s) {
      return done(s.sessions()->debit_session(hash_of(n), "weather", amount, kUsed));
    };
  };
  std::vector<InvoiceRecord> invoices;
  for (std::uint32_t n = 1; n <= kHashes; ++n) invoices.push_back(invoice_of(n));
  return {
      {"invoices", [=](Store& s) { return done(s.record_invoices(invoices)); }},
      {"open 1", [](Store& s) { return done(s.sessions()->open_session(open_of(1))); }},
      {"debit 1", debit(1, 700_msat)},
      {"open 2", [](Store& s) { return done(s.sessions()->open_session(open_of(2))); }},
      {"debit 1 again", debit(1, 801_msat)},
      {"too much", debit(1, 9'000_msat)},
      {"top up 1", [](Store& s) { return done(s.sessions()->top_up_session(top_up_of(3, 1))); }},
      {"debit what was added", debit(1, 9'000_msat)},
      {"give back",
       [](Store& s) { return done(s.sessions()->give_back(hash_of(1), 500_msat, kUsed)); }},
      {"close 1", [](Store& s) { return done(s.sessions()->close_session(close_with(4, 1))); }},
      {"claim", [](Store& s) { return done(s.sessions()->claim_refund(hash_of(1), kUsed)); }},
      {"close 2", [](Store& s) { return done(s.sessions()->close_session(close_of(2))); }},
      {"open a token", [](Store& s) { return done(s.bundles()->open_bundle(bundle_of(5))); }},
      {"count it",
       [](Store& s) { return done(s.bundles()->debit_bundle(token_of(5), 40, 50, kShown)); }},
      {"more than is left",
       [](Store& s) { return done(s.bundles()->debit_bundle(token_of(5), 20, 50, kShown)); }},
      {"not delivered",
       [](Store& s) { return done(s.bundles()->return_units(token_of(5), 15, kShown)); }},
      {"count it again",
       [](Store& s) { return done(s.bundles()->debit_bundle(token_of(5), 20, 50, kShown)); }},
      {"paid",
       [](Store& s) {
         return done(
             s.sessions()->record_refund(hash_of(1), RefundStage::succeeded, 5_msat, "", kUsed));
       }},
  };
}

/// Everything that the sessions and the claims say.
std::string state_of(Store& store) {
  std::string out;
  const auto sessions = sync(store.sessions()->list_sessions({}));
  if (!sessions) return "unreadable: " + std::string(sessions.error().message());
  for (const Session& s : *sessions) out += describe(s) + "\n";
  const auto bundles = sync(store.bundles()->list_bundles({}));
  if (!bundles) return "unreadable: " + std::string(bundles.error().message());
  for (const Bundle& b : *bundles) out += describe(b) + "\n";
  for (std::uint32_t n = 1; n <= kHashes; ++n) {
    const auto claimed = sync(store.is_consumed(hash_of(n)));
    out += fmt::format("claimed {}: {}\n", n, claimed ? *claimed : false);
  }
  const auto totals = sync(store.sessions()->session_totals());
  out += totals ? describe(*totals) : "no totals";
  EXPECT_TRUE(totals && balanced(*totals));
  return out;
}

/// What the disk may hold after the story: what was acknowledged, and perhaps the step that failed.
struct Told {
  std::string acknowledged;
  std::string attempted;
  bool refused = false;
};

/// The memory store goes along as the model; after the first refusal all later ones must follow.
Told tell(Store& store) {
  MemoryStore model;
  Told told{state_of(model), state_of(model)};
  for (const Step& step : story()) {
    SCOPED_TRACE(step.name);
    const bool accepted = step.run(store);
    if (told.refused) {
      EXPECT_FALSE(accepted) << "a store that failed to commit accepted a write";
      continue;
    }
    EXPECT_TRUE(step.run(model));
    told.attempted = state_of(model);
    if (accepted) {
      told.acknowledged = told.attempted;
    } else {
      told.refused = true;
    }
  }
  return told;
}

void check_reopened(const std::string& path, const Told& told) {
  ManualClock clock(kStart);
  auto store = open_store(path, "", clock);
  ASSERT_TRUE(store) << "the file must open again on a healthy disk";
  const std::string state = state_of(*store);
  EXPECT_TRUE(state == told.acknowledged || state == told.attempted) << "on disk:\n"
                                                                     << state << "\nacknowledged:\n"
                                                                     << told.acknowledged;
  // Whoever has opened gets the same session and no second one.
  const auto again = sync(store->sessions()->open_session(open_of(1)));
  ASSERT_TRUE(again);
  if (told.acknowledged.find(open_of(1).return_invoice) != std::string::npos) {
    EXPECT_EQ(again->proof.state, ConsumeState::unfinished);
  }
}

class SessionFaults : public testing::TestWithParam<FaultVfs::Mode> {
 protected:
  static void set_log(LogLevel level) {
    LogConfig config;
    config.level = level;
    ASSERT_TRUE(configure_log(config));
  }
  void SetUp() override { set_log(LogLevel::off); }  // hundreds of expected alarms
  void TearDown() override { set_log(LogLevel::info); }

  /// The story on a disk that fails at its `at`-th write or sync; nullopt when it did not open.
  static std::optional<Told> run(const std::string& path, long at) {
    ManualClock clock(kStart);
    FaultVfs& vfs = FaultVfs::instance();
    vfs.arm(at, GetParam());
    std::optional<Told> told;
    if (auto store = open_store(path, FaultVfs::kName, clock)) told = tell(*store);
    vfs.arm(0, GetParam());
    return told;
  }
};

TEST_P(SessionFaults, AtEveryWriteAndSyncTheBooksAreWhatWasAcknowledged) {
  long steps = 0;
  {
    const TempFolder folder;
    begin_migrated(folder.file());
    ManualClock clock(kStart);
    FaultVfs::instance().arm(0, GetParam());
    auto store = open_store(folder.file(), FaultVfs::kName, clock);
    ASSERT_TRUE(store);
    const Told told = tell(*store);
    EXPECT_FALSE(told.refused);
    EXPECT_EQ(state_of(*store), told.acknowledged) << "the same as in memory";
    store.reset();
    steps = FaultVfs::instance().count();
  }
  ASSERT_GT(steps, 40);
  int refused = 0;
  for (long at = 1; at <= steps; ++at) {
    SCOPED_TRACE("operation " + std::to_string(at));
    const TempFolder folder;
    begin_migrated(folder.file());
    const auto told = run(folder.file(), at);
    if (!told) continue;
    if (told->refused) ++refused;
    check_reopened(folder.file(), *told);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(refused, 10) << "the faults must have hit the story";
}

INSTANTIATE_TEST_SUITE_P(Modes, SessionFaults,
                         testing::Values(FaultVfs::Mode::once, FaultVfs::Mode::from_there,
                                         FaultVfs::Mode::torn),
                         [](const auto& mode) { return FaultVfs::name(mode.param); });

TEST(SessionPowerCut, AfterEveryAcknowledgementTheDiskHoldsIt) {
  FaultVfs& vfs = FaultVfs::instance();
  vfs.arm(0, FaultVfs::Mode::once);
  vfs.forget();
  const TempFolder folder;
  ManualClock clock(kStart);
  auto store = open_store(folder.file(), FaultVfs::kName, clock);
  ASSERT_TRUE(store);
  MemoryStore model;
  for (const Step& step : story()) {
    SCOPED_TRACE(step.name);
    ASSERT_TRUE(step.run(*store));
    ASSERT_TRUE(step.run(model));
    const TempFolder after;
    vfs.power_cut_into(std::filesystem::path(after.file()).parent_path().string());
    ManualClock later(kStart);
    auto reopened = open_store(after.file(), "", later);
    ASSERT_TRUE(reopened);
    EXPECT_EQ(state_of(*reopened), state_of(model));
  }
  vfs.forget();
}

}  // namespace
}  // namespace octroi::sqlite
