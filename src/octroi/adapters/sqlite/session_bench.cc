// Durable debits a second of one session and of many, by the number of callers that wait at once.
#include <filesystem>

#include <benchmark/benchmark.h>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/ledger/sessions.h"

namespace octroi::sqlite {
namespace {

constexpr std::uint32_t kMany = 64;

struct Fixture {
  Fixture() {
    std::string name = (std::filesystem::current_path() / "session-bench-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    SqliteOptions options;
    options.path = folder + "/octroi.db";
    auto opened = open_sqlite_store(options, system_clock());
    if (!opened) return;
    store = *std::move(opened);
    for (std::uint32_t n = 0; n < kMany; ++n) good = good && open(n);
  }
  ~Fixture() {
    store.reset();
    std::filesystem::remove_all(folder);
  }
  bool open(std::uint32_t n) const {
    const Msat deposit = 100'000'000'000_msat;
    if (!sync(store->record_invoices({{hash_of(n), deposit, kNow, kEnd, n}}))) return false;
    ledger::OpenSession r;
    r.proof.hash = hash_of(n);
    r.proof.scheme = ledger::Scheme::mpp_session;
    r.proof.service = "bench";
    r.proof.now = kNow;
    r.deposit = deposit;
    r.return_invoice = std::string(300, 'x');
    r.return_hash = hash_of(~n);
    r.idle_timeout = Millis(300'000);
    const auto out = sync(store->sessions()->open_session(std::move(r)));
    return out && out->proof.state == ledger::ConsumeState::fresh;
  }
  std::string folder;
  std::unique_ptr<ledger::Store> store;
  bool good = true;
};

Fixture* shared = nullptr;

/// `range(0)` sessions.
void debit(benchmark::State& state) {
  if (state.thread_index() == 0) shared = new Fixture;
  std::int64_t now = kNow.value;
  for (auto _ : state) {
    const auto n = static_cast<std::uint32_t>(state.thread_index() % state.range(0));
    const auto out = sync(shared->store->sessions()->debit_session(hash_of(n), "bench", 1000_msat,
                                                                   UnixMillis{++now}));
    if (!out || out->outcome != ledger::SessionOutcome::applied) {
      state.SkipWithError("the store refused");
    }
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) delete std::exchange(shared, nullptr);
}
BENCHMARK(debit)
    ->Arg(1)
    ->Arg(kMany)
    ->Threads(1)
    ->Threads(8)
    ->Threads(64)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace octroi::sqlite
