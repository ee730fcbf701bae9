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

// --- unpaid challenges: what each 402 costs the store

constexpr int kOffers = 2000;  // a batch of the paywall's: two rows a 402

PaymentHash scattered(std::uint64_t n) {
  std::array<std::uint8_t, 32> raw{};
  const std::uint64_t spread = n * 0x9E3779B97F4A7C15U;
  std::memcpy(raw.data(), &spread, sizeof spread);
  std::memcpy(raw.data() + sizeof spread, &n, sizeof n);
  return PaymentHash(raw);
}

ledger::TransactionRecord offer_over(const PaymentHash& hash, bool token) {
  ledger::TransactionRecord row;
  row.hash = hash;
  row.service = "bench";
  row.scheme = token ? ledger::Scheme::l402 : ledger::Scheme::mpp_charge;
  row.amount = 1000_msat;
  if (token) {
    row.token_id = TokenId(hash.raw());
  } else {
    row.challenge_id = "6QDs0BmhrI_v67iWeCMvGqQJEFQ6ErWKlk7zi5xL6t0";
  }
  row.request_id = "01JD2M6Q3Z8Y7W5V4T3S2R1Q0P";
  row.created = {1'763'700'000'000};
  row.expires = row.created + Millis(900'000);
  return row;
}

Task<void> record_rows(ledger::Store* store, std::vector<ledger::TransactionRecord> rows,
                       bool* good) {
  *good = (co_await store->record_transactions(std::move(rows))).has_value();
}
Task<void> record_invoices_of(ledger::Store* store, std::vector<ledger::InvoiceRecord> rows) {
  static_cast<void>(co_await store->record_invoices(std::move(rows)));
}

void record_offers(benchmark::State& state) {
  Fixture fixture;
  std::uint64_t n = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<ledger::InvoiceRecord> invoices;
    std::vector<ledger::TransactionRecord> rows;
    for (int i = 0; i < kOffers; ++i) {
      rows.push_back(offer_over(scattered(++n), i % 2 == 0));
      const auto& row = rows.back();
      invoices.push_back({row.hash, row.amount, row.created, row.expires, 0});
    }
    TaskGroup group;
    group.start(record_invoices_of(fixture.store.get(), std::move(invoices)));
    state.ResumeTiming();
    bool good = false;
    group.start(record_rows(fixture.store.get(), std::move(rows), &good));
    if (!good) state.SkipWithError("the store refused");
  }
  state.SetItemsProcessed(state.iterations() * kOffers);
}
BENCHMARK(record_offers)->Iterations(100)->UseRealTime();

}  // namespace
}  // namespace octroi::sqlite
