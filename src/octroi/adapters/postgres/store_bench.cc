// Durable operations a second on a PostgreSQL server of its own, by the number of callers that wait
// at once, over batches of one and of many.
#include <atomic>

#include <benchmark/benchmark.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/adapters/postgres/store.h"
#include "octroi/task/group.h"

namespace octroi::postgres {
namespace {

struct Bench {
  explicit Bench(std::size_t max_batch) {
    PostgresOptions options;
    options.session = TestServer::shared().options(TestServer::shared().make_database());
    options.max_batch = max_batch;
    if (auto opened = open_postgres_store(options, system_clock())) store = *std::move(opened);
  }
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

Bench* shared = nullptr;

void record_then_consume(benchmark::State& state) {
  if (state.thread_index() == 0) shared = new Bench(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    bool good = false;
    TaskGroup group;
    group.start(record_and_consume(shared->store.get(), shared->next.fetch_add(1), &good));
    if (!good) state.SkipWithError("the store refused");
  }
  state.SetItemsProcessed(state.iterations() * 2);
  if (state.thread_index() == 0) delete std::exchange(shared, nullptr);
}
BENCHMARK(record_then_consume)
    ->ArgName("batch")
    ->Arg(1)
    ->Arg(256)
    ->Threads(1)
    ->Threads(8)
    ->Threads(64)
    ->UseRealTime();

}  // namespace
}  // namespace octroi::postgres
