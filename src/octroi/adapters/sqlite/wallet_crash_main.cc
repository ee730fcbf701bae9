// octroi_wallet_crash: a program to be killed while it writes a wallet's journal, as
// octroi_audit_crash, over payments and the rows that tell them.
//
//   octroi_wallet_crash storm FILE SEED THREADS PAYMENTS
//       Threads, each with the file opened for itself as a command has it, reserve, submit and end
//       payments. Each line on stdout was printed after the journal had acknowledged it:
//         held HASH            before the node would be asked
//         told HASH STAGE      what became of it
//   octroi_wallet_crash verify FILE < everything that the storms printed
//       Prints one JSON object; exit 1 when something that was acknowledged is gone, when books and
//       rows disagree, or when the audit is not whole.
#include <iostream>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/adapters/sqlite/spend_audit.h"
#include "octroi/adapters/sqlite/spend_journal.h"
#include "octroi/audit/checkpoint_file.h"
#include "octroi/audit/export.h"
#include "octroi/audit/verify.h"

namespace octroi {
namespace {

using ledger::SpendStage;

PaymentHash payment_hash(std::uint32_t seed, std::uint32_t thread, std::uint32_t n) {
  std::array<std::uint8_t, 32> raw{};
  const std::array<std::uint32_t, 3> parts{seed, thread, n};
  std::memcpy(raw.data(), parts.data(), sizeof parts);
  return PaymentHash(raw);
}

void storm_thread(const std::string& file, std::uint32_t seed, std::uint32_t thread,
                  std::uint32_t payments) {
  constexpr std::array kEnds{SpendStage::settled, SpendStage::failed, SpendStage::unknown};
  auto journal = sqlite::open_spend_journal(file);
  ledger::SpendLimits limits;
  limits.per_minute.reset();
  limits.per_day.reset();
  for (std::uint32_t n = 0; journal && n < payments; ++n) {
    const PaymentHash hash = payment_hash(seed, thread, n);
    const ledger::Spend spend{hash,
                              "api.example.com",
                              "l402",
                              10_msat,
                              1_msat,
                              kNow,
                              {fmt::format("run-{}", seed), "", ""}};
    if (!(*journal)->reserve(spend, limits)) return;
    say(fmt::format("held {}\n", hash.hex()));
    if (!(*journal)->advance(hash, SpendStage::submitted, {})) return;
    const SpendStage end = kEnds.at(n % kEnds.size());
    if (!(*journal)->advance(hash, end, {})) return;
    say(fmt::format("told {} {}\n", hash.hex(), to_string(end)));
  }
}

int storm(const std::string& file, std::uint32_t seed, std::uint32_t threads,
          std::uint32_t payments) {
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] { storm_thread(file, seed, i, payments); });
  }
  for (std::thread& t : running) t.join();
  return 1;
}

/// The stages that the rows tell, by payment, in their order.
std::map<std::string, std::vector<std::string>> told_stages(audit::Journal& journal) {
  std::map<std::string, std::vector<std::string>> out;
  for (std::int64_t from = 1;;) {
    const auto rows = sync(journal.rows(journal.writer(), from, 1000));
    if (!rows || rows->empty()) return out;
    for (const audit::StoredRow& stored : *rows) {
      from = stored.id.seq + 1;
      const auto row = audit::read_row(stored);
      if (!row || row->event.kind != audit::kPayment) continue;
      for (const auto& [name, value] : row->event.details) {
        if (name == "stage") out[row->event.id].push_back(value);
      }
    }
  }
}

/// What the rows of a payment must be when its books say this.
std::vector<std::string> rows_for(SpendStage stage) {
  if (stage == SpendStage::reserved || stage == SpendStage::submitted) return {"intent"};
  return {"intent", std::string(to_string(stage))};
}

bool is_whole(const std::string& file, audit::Journal& journal, audit::Report& report) {
  const auto seed = sqlite::spend_audit_seed(file);
  const auto outside = audit::read_checkpoints(sqlite::spend_checkpoint_file(file));
  if (!seed || !outside) return false;
  audit::Verifier verifier({audit::Signer::from_seed(*seed)->public_key()});
  for (const audit::Checkpoint& c : *outside) verifier.add_checkpoint(c);
  const bool read = sync(audit::verify_store(journal, verifier)).has_value();
  report = std::move(verifier).finish();
  return read && report.valid() && report.unsigned_rows == 0;
}

int verify(const std::string& file) {
  auto books = sqlite::open_spend_journal(file);
  auto journal = sqlite::open_spend_audit(file, system_clock());
  if (!books || !journal) {
    std::cerr << (books ? journal.error() : books.error()).message() << "\n";
    return 1;
  }
  std::map<std::string, std::string> said;  // the last word about each payment
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    std::string hash;
    std::string stage;
    words >> what >> hash >> stage;
    if (what == "held" && hash.size() == 64) said.try_emplace(hash);
    if (what == "told" && !stage.empty()) said[hash] = stage;
  }
  const auto told = told_stages(**journal);
  int lost = 0;
  int wrong = 0;
  for (const auto& [hash, stage] : said) {
    const auto entry = (*books)->find(*PaymentHash::from_hex(hash));
    if (!entry || !*entry || !told.contains(hash)) {
      ++lost;
    } else if (!stage.empty() && to_string((*entry)->stage) != stage) {
      ++wrong;
    }
  }
  for (const auto& [hash, stages] : told) {
    const auto entry = (*books)->find(*PaymentHash::from_hex(hash));
    if (!entry || !*entry || stages != rows_for((*entry)->stage)) ++wrong;
  }
  int open = 0;
  const auto entries = (*books)->open_entries();
  for (const auto& entry : *entries) {
    if (!told.contains(entry.spend.hash.hex())) ++wrong;
    if (entry.stage != SpendStage::unknown) ++open;
  }
  audit::Report report;
  const bool whole = is_whole(file, **journal, report);
  std::cout << fmt::format(R"({{"said":{},"rows":{},"writers":{},"cut":{},"lost":{},"wrong":{},)"
                           R"("valid":{}}})",
                           said.size(), report.rows, report.writers, open, lost, wrong, whole)
            << "\n";
  return lost + wrong == 0 && whole ? 0 : 1;
}

}  // namespace
}  // namespace octroi

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2 && args[0] == "verify") return octroi::verify(args[1]);
  if (args.size() == 5 && args[0] == "storm") {
    const auto number = [&](std::size_t i) {
      return static_cast<std::uint32_t>(std::stoul(args[i]));
    };
    return octroi::storm(args[1], number(2), number(3), number(4));
  }
  std::cerr << "usage: octroi_wallet_crash storm FILE SEED THREADS PAYMENTS | verify FILE\n";
  return 2;
}
