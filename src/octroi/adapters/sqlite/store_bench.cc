// Durable operations a second on this disk, by the number of callers that wait at once.
#include <atomic>
#include <filesystem>

#include <benchmark/benchmark.h>

#include "octroi/adapters/sqlite/store.h"
#include "octroi/task/group.h"

namespace octroi::sqlite {
namespace {

struct Fixture {
  Fixture() {
    std::string name = (std::filesystem::current_path() / "store-bench-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    SqliteOptions options;
    options.path = folder + "/octroi.db";
    auto opened = open_sqlite_store(options, system_clock());
    if (opened) store = *std::move(opened);
  }
  ~Fixture() {
    store.reset();
    std::filesystem::remove_all(folder);
  }
  std::string folder;
  std::unique_ptr<ledger::Store> store;
  std::atomic<std::int64_t> next{0};
};

Task<void> record_and_consume(ledger::Store* store, std::int64_t n, bool* good) {
  std::array<std::uint8_t, 32> raw{};
  std::memcpy(raw.data(), &n, sizeof n);
  const PaymentHash hash(raw);
  const UnixMillis now{1'763'700'000'000};
  const UnixMillis end = now + Millis(900'000);
  const auto made = co_await store->record_invoices({{hash, 1000_msat, now, end, 0}});
  ledger::ConsumeRequest r;
  r.hash = hash;
  r.service = "bench";
  r.now = now;
  r.keep_until = end;
  const auto out = co_await store->consume(r);
  *good = made && out && out->state == ledger::ConsumeState::fresh;
}

Fixture* shared = nullptr;

void record_then_consume(benchmark::State& state) {
  if (state.thread_index() == 0) shared = new Fixture;
  for (auto _ : state) {
    bool good = false;
    TaskGroup group;
    group.start(record_and_consume(shared->store.get(), shared->next.fetch_add(1), &good));
    if (!good) state.SkipWithError("the store refused");
  }
  state.SetItemsProcessed(state.iterations() * 2);
  if (state.thread_index() == 0) delete std::exchange(shared, nullptr);
}
BENCHMARK(record_then_consume)->Threads(1)->Threads(8)->Threads(64)->Threads(256)->UseRealTime();

}  // namespace
}  // namespace octroi::sqlite
