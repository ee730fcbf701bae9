// octroi_store_crash: a program to be killed. tests/faults runs it, kills it at random moments, and
// compares what it said with what the store holds afterwards.
//
//   octroi_store_crash storm FILE SEED THREADS HASHES
//       Many threads record invoices, consume, finish and settle. Each line on stdout was printed
//       after the store had acknowledged it:
//         invoice N · consumed N CHALLENGE · finished N BODY · settled N
//   octroi_store_crash verify FILE < everything that the storms printed
//       Prints one JSON object; exit 1 when something acknowledged is gone or was accepted twice.
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "octroi/adapters/sqlite/crash_common.h"

namespace octroi {
namespace {

using ledger::ConsumeState;

ledger::ConsumeRequest request_of(std::uint32_t n, const std::string& challenge) {
  ledger::ConsumeRequest r;
  r.hash = hash_of(n);
  r.service = "storm";
  r.challenge_id = challenge;
  r.idempotency_key = "key";
  r.now = kNow;
  r.keep_until = kEnd;
  return r;
}

void storm_thread(ledger::Store& store, std::uint32_t seed, std::uint32_t hashes) {
  std::mt19937 random(seed);
  for (std::uint32_t step = 0;; ++step) {
    const auto n = static_cast<std::uint32_t>(random() % hashes);
    if (!sync(store.record_invoices({{hash_of(n), 1000_msat, kNow, kEnd, n}}))) return;
    say(fmt::format("invoice {}\n", n));
    const std::string challenge = fmt::format("{}-{}", seed, step);
    const auto out = sync(store.consume(request_of(n, challenge)));
    if (!out) return;
    if (out->state == ConsumeState::fresh) {
      say(fmt::format("consumed {} {}\n", n, challenge));
      if (random() % 2 == 0) {
        const std::string body = "answer-" + challenge;
        if (!sync(store.finish_consume(hash_of(n), {200, {}, body, true}))) return;
        say(fmt::format("finished {} {}\n", n, body));
      }
    } else if (random() % 4 == 0) {
      if (!sync(store.settle(hash_of(n), kNow))) return;
      say(fmt::format("settled {}\n", n));
    }
    if (!sync(store.put_value("last", challenge))) return;
  }
}

int storm(ledger::Store& store, std::uint32_t seed, std::uint32_t threads, std::uint32_t hashes) {
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] { storm_thread(store, seed * 1000 + i, hashes); });
  }
  for (std::thread& t : running) t.join();
  return 1;  // only a failing store ends a storm
}

struct Said {
  std::set<std::uint32_t> invoices;
  std::map<std::uint32_t, std::vector<std::string>> consumed;
  std::map<std::uint32_t, std::string> finished;
};

Said listen() {
  Said said;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    std::string rest;
    std::uint32_t n = 0;
    words >> what >> n >> rest;
    if (what == "invoice") said.invoices.insert(n);
    if (what == "consumed") said.consumed[n].push_back(rest);
    if (what == "finished") said.finished[n] = rest;
  }
  return said;
}

struct Findings {
  int lost = 0;
  int twice = 0;
  int wrong = 0;
};

void check_consumed(ledger::Store& store, const Said& said, Findings& found) {
  for (const auto& [n, challenges] : said.consumed) {
    if (challenges.size() != 1) ++found.twice;
    const auto own = sync(store.consume(request_of(n, challenges.front())));
    const auto done = said.finished.find(n);
    if (!own || own->state == ConsumeState::fresh || own->state == ConsumeState::unknown_hash) {
      ++found.lost;
    } else if (done != said.finished.end()) {
      if (own->state != ConsumeState::replay || own->response->body != done->second) ++found.lost;
    } else if (own->state != ConsumeState::unfinished && own->state != ConsumeState::replay) {
      ++found.wrong;  // a finish may have been durable and unsaid, nothing else
    }
    const auto thief = sync(store.consume(request_of(n, "thief")));
    if (!thief || thief->state != ConsumeState::spent) ++found.twice;
  }
}

int verify(ledger::Store& store) {
  const Said said = listen();
  Findings found;
  for (const std::uint32_t n : said.invoices) {
    const auto invoice = sync(store.find_invoice(hash_of(n)));
    if (!invoice || !*invoice) ++found.lost;
  }
  check_consumed(store, said, found);
  std::cout
      << fmt::format(
             R"({{"invoices":{},"consumed":{},"finished":{},"lost":{},"twice":{},"wrong":{}}})",
             said.invoices.size(), said.consumed.size(), said.finished.size(), found.lost,
             found.twice, found.wrong)
      << "\n";
  return found.lost + found.twice + found.wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace octroi

int main(int argc, char** argv) {
  using octroi::ledger::Store;
  return octroi::crash_main(
      argc, argv, "octroi_store_crash storm FILE SEED THREADS HASHES | verify FILE", 3,
      [](Store& store, const auto& n) { return octroi::storm(store, n[0], n[1], n[2]); },
      [](Store& store) { return octroi::verify(store); });
}
