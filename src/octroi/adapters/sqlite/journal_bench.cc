// Audited calls a second: two durable rows each, by the number of callers that wait at once; and
// what a row costs without the disk.
#include <filesystem>

#include <benchmark/benchmark.h>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/audit/verify.h"

namespace octroi::sqlite {
namespace {

audit::Event intent_of(int n) {
  audit::Event e;
  e.kind = audit::kCallIntent;
  e.id = fmt::format("call-{:020}", n);
  e.run = "run-2026-11-21-a";
  e.agent = "support-agent";
  e.key_id = "k_01hf3q8z";
  e.key_name = "support";
  e.server = "mcp-stripe";
  e.vendor = "stripe";
  e.operation = "charges.create";
  e.method = "POST";
  e.path = "/v1/charges";
  e.direction = "charge";
  e.amount = 100;
  e.currency = "usd";
  e.reserved = 1_usd;
  e.customer = "cus_NffrFeUfNV2Hib";
  e.verdict = audit::Verdict::allowed;
  e.policy = "support";
  e.policy_version = 3;
  e.body_sha256 = audit::Digest{1};
  e.client = "127.0.0.1:40000";
  e.user_agent = "Stripe/v1 PythonBindings/11.4.1";
  return e;
}

struct Fixture {
  Fixture() {
    std::string name = (std::filesystem::current_path() / "journal-bench-XXXXXX").string();
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
};

Fixture* shared = nullptr;

void audited_call(benchmark::State& state) {
  if (state.thread_index() == 0) shared = new Fixture;
  int n = state.thread_index() * 1'000'000;
  for (auto _ : state) {
    audit::Event e = intent_of(++n);
    const bool before = sync(shared->store->journal()->append(e)).has_value();
    e.kind = audit::kCallOutcome;
    e.settled = 1_usd;
    e.upstream_status = 200;
    const bool after = sync(shared->store->journal()->append(std::move(e))).has_value();
    if (!before || !after) state.SkipWithError("the store refused");
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) delete std::exchange(shared, nullptr);
}
BENCHMARK(audited_call)->Threads(1)->Threads(8)->Threads(64)->UseRealTime();

void prepare_row(benchmark::State& state) {
  const audit::Event e = intent_of(1);
  for (auto _ : state) benchmark::DoNotOptimize(audit::prepared(e));
}
BENCHMARK(prepare_row);

void make_row(benchmark::State& state) {
  const audit::Event e = audit::prepared(intent_of(1)).value();
  audit::Digest prev = audit::origin_of("w");
  for (auto _ : state) prev = audit::make_row({"w", 1}, kNow, e, prev).row_hash;
  benchmark::DoNotOptimize(prev);
}
BENCHMARK(make_row);

void verify_line(benchmark::State& state) {
  const audit::Event e = audit::prepared(intent_of(1)).value();
  std::vector<std::string> lines;
  audit::Digest prev = audit::origin_of("w");
  for (std::int64_t seq = 1; seq <= 1000; ++seq) {
    const audit::StoredRow row = audit::make_row({"w", seq}, kNow, e, prev);
    prev = row.row_hash;
    lines.push_back(audit::export_line(row));
  }
  for (auto _ : state) {
    audit::Verifier v;
    for (const std::string& line : lines) v.add_line(line);
    if (!std::move(v).finish().valid()) state.SkipWithError("not valid");
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(verify_line);

}  // namespace
}  // namespace octroi::sqlite
