// octroi_spend_crash: a program to be killed, as octroi_store_crash, over what vault keys spend.
//
//   octroi_spend_crash storm FILE SEED THREADS [ignored]
//       Many threads reserve against the same caps, and settle, release or lose what they reserved.
//       Each line on stdout was printed after the store had acknowledged it:
//         held ID MICROS · settled ID MICROS · released ID 0 · unknown ID 0
//   octroi_spend_crash verify FILE < everything that the storms printed
//       Prints one JSON object; exit 1 when something acknowledged is gone, a window is not the sum
//       of what counts in it, or a cap was passed.
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/ledger/spend_ledger.h"

namespace octroi {
namespace {

using ledger::SpendState;

constexpr std::int64_t kCap = 20'000'000;
constexpr std::int64_t kCalls = 1'000'000;

ledger::Hold hold_of(std::string scope, ledger::SpendUnit unit, std::int64_t limit,
                     std::int64_t amount) {
  return {std::move(scope), unit, {0}, ledger::kNoEnd, limit, amount, true};
}

ledger::Reservation reservation_of(const std::string& id, std::int64_t amount,
                                   std::uint32_t agent) {
  ledger::Reservation r;
  r.id = id;
  r.amount = MicroUsd::from_raw_unchecked(amount);
  r.holds = {hold_of("policy/storm/usd", ledger::SpendUnit::micro_usd, kCap, amount),
             hold_of("policy/storm/calls", ledger::SpendUnit::calls, kCalls, 1),
             hold_of(fmt::format("policy/storm/usd/agent:{}", agent), ledger::SpendUnit::micro_usd,
                     kCap / 2, amount)};
  r.now = kNow;
  r.answer_by = r.give_up_at = r.replay_until = kEnd;
  r.vendor = "stripe";
  r.policy = "storm";
  return r;
}

class Storm {
 public:
  Storm(ledger::SpendLedger& spends, std::uint32_t seed) : spends_(spends), random_(seed) {}

  void run(const std::string& name) {
    for (std::uint32_t n = 0; step(fmt::format("{}-{}", name, n)); ++n) {
    }
  }

 private:
  /// False when the store fails, which ends the storm.
  bool step(const std::string& id) {
    const auto amount = static_cast<std::int64_t>(random_() % 5'000);
    const auto held = sync(spends_.reserve(reservation_of(id, amount, random_() % 4)));
    if (!held) return false;
    if (held->state != ledger::ReserveState::applied) return true;
    say(fmt::format("held {} {}\n", id, amount));
    switch (random_() % 4) {
      case 0:
        return told(sync(spends_.settle(id, MicroUsd::from_raw_unchecked(amount / 2), "ch", kNow)),
                    "settled", id, amount / 2);
      case 1:
        return told(sync(spends_.mark_unknown(id, "", kNow)), "unknown", id, 0);
      default:
        return told(sync(spends_.release(id, kNow)), "released", id, 0);
    }
  }
  static bool told(const Result<ledger::ChangeOutcome>& out, const char* what,
                   const std::string& id, std::int64_t amount) {
    if (out) say(fmt::format("{} {} {}\n", what, id, amount));
    return out.has_value();
  }

  ledger::SpendLedger& spends_;
  std::mt19937 random_;
};

int storm(ledger::Store& store, std::uint32_t seed, std::uint32_t threads) {
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&store, seed, threads, i] {
      Storm(*store.spends(), seed * threads + i).run(fmt::format("{}-{}", seed, i));
    });
  }
  for (std::thread& t : running) t.join();
  return 1;  // only a failing store ends a storm
}

// --- afterwards

struct Said {
  std::int64_t amount = 0;
  std::string last;
  std::int64_t settled = 0;
};

struct Findings {
  int held = 0, settled = 0, lost = 0, wrong = 0;
};

void check_record(ledger::SpendLedger& spends, const std::string& id, const Said& said,
                  Findings& found) {
  ++found.held;
  const auto kept = sync(spends.find_spend(id));
  if (!kept || !*kept || (*kept)->amount != MicroUsd::from_raw_unchecked(said.amount)) {
    ++found.lost;
    return;
  }
  if (said.last == "held") return;  // whatever came after it was perhaps not acknowledged
  if (to_string((*kept)->state) != said.last) ++found.lost;
  if (said.last != "settled") return;
  ++found.settled;
  if ((*kept)->settled != MicroUsd::from_raw_unchecked(said.settled)) ++found.lost;
}

/// Each window is the sum of what counts in it, also of what was never acknowledged.
void check_windows(ledger::SpendLedger& spends, Findings& found) {
  std::int64_t dollars = 0, calls = 0;
  ledger::SpendFilter filter;
  filter.limit = 1000;
  for (;;) {
    const auto page = sync(spends.list_spends(filter));
    if (!page || page->empty()) break;
    for (const ledger::SpendRecord& r : *page) {
      const std::int64_t amount = r.amount.count(); /* raw: summed */
      const auto usd =
          ledger::counted(r.state, ledger::SpendUnit::micro_usd, amount, true, r.settled);
      dollars += usd.held + usd.settled;
      calls += r.state == SpendState::released ? 0 : 1;
    }
    filter.after_id = page->back().id;
  }
  const auto usage = sync(spends.usage("policy/storm/", kNow));
  std::int64_t agents = 0;
  if (!usage) ++found.wrong;
  for (const ledger::SpendUsage& u : usage.value_or(std::vector<ledger::SpendUsage>{})) {
    if (u.scope == "policy/storm/usd" && (u.total() != dollars || u.total() > kCap)) ++found.wrong;
    if (u.scope == "policy/storm/calls" && u.total() != calls) ++found.wrong;
    if (u.scope.starts_with("policy/storm/usd/")) agents += u.total();
  }
  if (agents != dollars) ++found.wrong;
}

int verify(ledger::Store& store) {
  std::map<std::string, Said> all;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what, id;
    std::int64_t amount = 0;
    words >> what >> id >> amount;
    Said& said = all[id];
    said.last = what;
    if (what == "held") said.amount = amount;
    if (what == "settled") said.settled = amount;
  }
  Findings found;
  for (const auto& [id, said] : all) check_record(*store.spends(), id, said, found);
  check_windows(*store.spends(), found);
  std::cout << fmt::format(R"({{"held":{},"settled":{},"lost":{},"wrong":{}}})", found.held,
                           found.settled, found.lost, found.wrong)
            << "\n";
  return found.lost + found.wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace octroi

int main(int argc, char** argv) {
  using octroi::ledger::Store;
  return octroi::crash_main(
      argc, argv, "octroi_spend_crash storm FILE SEED THREADS | verify FILE", 2,
      [](Store& store, const auto& n) { return octroi::storm(store, n[0], n[1]); },
      [](Store& store) { return octroi::verify(store); });
}
