// octroi_audit_crash: a program to be killed while it writes the audit. tests/faults runs it, kills
// it at random moments, and compares what it said with what the store holds afterwards.
//
//   octroi_audit_crash storm FILE SEED THREADS ROWS
//       Threads append rows, and sign checkpoints. Each line on stdout was printed after the store
//       had acknowledged it:
//         row WRITER SEQ CALL
//   octroi_audit_crash verify FILE < everything that the storms printed
//       Prints one JSON object; exit 1 when a row that was acknowledged is gone or is another one,
//       or the audit is not whole.
#include <iostream>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/audit/checkpointer.h"
#include "octroi/audit/export.h"
#include "octroi/audit/verify.h"

namespace octroi {
namespace {

audit::Signer signer() { return audit::Signer::from_seed(Secret(ByteView(Bytes(32, 1)))).value(); }

void storm_thread(ledger::Store& store, const std::string& name, std::uint32_t rows) {
  for (std::uint32_t n = 0; n < rows; ++n) {
    audit::Event e;
    e.kind = audit::kCallIntent;
    e.id = fmt::format("{}-{}", name, n);
    e.run = name;
    const auto id = sync(store.journal()->append(e));
    if (!id) return;
    say(fmt::format("row {} {} {}\n", id->writer, id->seq, e.id));
  }
}

int storm(ledger::Store& store, std::uint32_t seed, std::uint32_t threads, std::uint32_t rows) {
  audit::Checkpointer checkpointer(*store.journal(), signer(), system_clock(), {});
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] { storm_thread(store, fmt::format("{}-{}", seed, i), rows); });
  }
  // As often as it goes: a checkpoint must never tell of a row that is lost.
  running.emplace_back([&] {
    for (std::uint32_t n = 0; n < rows; ++n) {
      if (!sync(checkpointer.run_once())) return;
    }
  });
  for (std::thread& t : running) t.join();
  return 1;
}

int verify(ledger::Store& store) {
  std::map<audit::RowId, std::string> said;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    std::string call;
    audit::RowId id;
    words >> what >> id.writer >> id.seq >> call;
    if (what == "row" && !call.empty()) said[id] = call;
  }
  int lost = 0;
  int wrong = 0;
  for (const auto& [id, call] : said) {
    const auto rows = sync(store.journal()->rows(id.writer, id.seq, 1));
    if (!rows || rows->empty() || rows->front().id != id) {
      ++lost;
      continue;
    }
    const auto row = audit::read_row(rows->front());
    if (!row || row->event.id != call) ++wrong;
  }
  audit::Verifier verifier({signer().public_key()});
  const bool read = sync(audit::verify_store(*store.journal(), verifier)).has_value();
  const audit::Report report = std::move(verifier).finish();
  std::cout << fmt::format(
                   R"({{"said":{},"rows":{},"writers":{},"checkpoints":{},"lost":{},"wrong":{},)"
                   R"("valid":{}}})",
                   said.size(), report.rows, report.writers, report.checkpoints, lost, wrong,
                   read && report.valid())
            << "\n";
  return lost + wrong == 0 && read && report.valid() ? 0 : 1;
}

}  // namespace
}  // namespace octroi

int main(int argc, char** argv) {
  using octroi::ledger::Store;
  return octroi::crash_main(
      argc, argv, "octroi_audit_crash storm FILE SEED THREADS ROWS | verify FILE", 3,
      [](Store& store, const auto& n) { return octroi::storm(store, n[0], n[1], n[2]); },
      [](Store& store) { return octroi::verify(store); });
}
