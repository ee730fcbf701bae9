// octroi_session_crash: a program to be killed, as octroi_store_crash, over prepaid sessions.
//
//   octroi_session_crash storm FILE SEED THREADS SESSIONS
//       Many threads open, debit, top up and close the same sessions and send their refunds. Each
//       line on stdout was printed after the store had acknowledged it:
//         opened N · debit N MSAT · topup N PROOF · closed N MSAT · claimed N ATTEMPT · paid N FEE
//   octroi_session_crash verify FILE < everything that the storms printed
//       Prints one JSON object; exit 1 when something acknowledged is gone or happened twice.
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "octroi/adapters/sqlite/crash_common.h"
#include "octroi/ledger/sessions.h"

namespace octroi {
namespace {

using ledger::ConsumeState;
using ledger::RefundStage;
using ledger::SessionOutcome;
using ledger::SessionStore;

constexpr Msat kDeposit = 1'000'000_msat;
/// Proofs of top-ups: above every session.
constexpr std::uint32_t kProofs = 1U << 24;

std::int64_t raw(Msat amount) { return amount.count(); /* raw: to be printed */ }

ledger::ConsumeRequest proof_of(std::uint32_t n, std::uint8_t by) {
  ledger::ConsumeRequest r;
  r.hash = hash_of(n);
  r.scheme = ledger::Scheme::mpp_session;
  r.service = "storm";
  r.challenge_id = "challenge";
  r.payload[0] = by;
  r.idempotency_key = "payload";
  r.now = kNow;
  r.keep_until = kEnd;
  return r;
}

ledger::OpenSession open_of(std::uint32_t n) {
  ledger::OpenSession r;
  r.proof = proof_of(n, 1);
  r.deposit = kDeposit;
  r.return_invoice = "lnbcrt1storm";
  r.return_hash = hash_of(~n);
  r.idle_timeout = Millis(300'000);
  return r;
}

/// Each step is false when the store fails, which ends the storm.
class Storm {
 public:
  Storm(ledger::Store& store, std::uint32_t seed, std::uint32_t sessions)
      : store_(store),
        sessions_(*store.sessions()),
        random_(seed),
        count_(sessions),
        next_proof_(kProofs + seed % 4096 * 4096) {}

  void run() {
    while (step(random_() % count_)) {
    }
  }

 private:
  bool step(std::uint32_t n) {
    const auto what = random_() % 40;
    if (what == 0) return close(n) && refund(n);
    if (what < 4) return open(n);
    if (what < 8) return top_up(n);
    return debit(n, 1 + static_cast<std::int64_t>(random_() % 20'000));
  }
  bool add_invoice(std::uint32_t n) {
    return sync(store_.record_invoices({{hash_of(n), kDeposit, kNow, kEnd, n}})).has_value();
  }
  bool open(std::uint32_t n) {
    if (!add_invoice(n)) return false;
    const auto out = sync(sessions_.open_session(open_of(n)));
    if (out && out->proof.state == ConsumeState::fresh) say(fmt::format("opened {}\n", n));
    return out.has_value();
  }
  bool debit(std::uint32_t n, std::int64_t msat) {
    const auto out =
        sync(sessions_.debit_session(hash_of(n), "storm", Msat::from_raw_unchecked(msat), kNow));
    if (out && out->outcome == SessionOutcome::applied) say(fmt::format("debit {} {}\n", n, msat));
    return out.has_value();
  }
  bool top_up(std::uint32_t n) {
    const std::uint32_t proof = next_proof_++;
    if (!add_invoice(proof)) return false;
    const auto out = sync(sessions_.top_up_session({proof_of(proof, 1), hash_of(n), kDeposit}));
    if (out && out->outcome == SessionOutcome::applied) {
      say(fmt::format("topup {} {}\n", n, proof));
    }
    return out.has_value();
  }
  bool close(std::uint32_t n) {
    ledger::CloseSession request;
    request.session = hash_of(n);
    request.now = kNow;
    const auto out = sync(sessions_.close_session(request));
    if (out && out->outcome == SessionOutcome::applied) {
      say(fmt::format("closed {} {}\n", n, raw(out->session->refund.amount)));
    }
    return out.has_value();
  }
  bool refund(std::uint32_t n) {
    const auto mine = sync(sessions_.claim_refund(hash_of(n), kNow));
    if (!mine) return false;
    if (!*mine) return true;
    say(fmt::format("claimed {} {}\n", n, (*mine)->refund.attempts));
    const auto done =
        sync(sessions_.record_refund(hash_of(n), RefundStage::succeeded, 7_msat, "", kNow));
    if (done && *done == SessionOutcome::applied) say(fmt::format("paid {} 7\n", n));
    return done.has_value();
  }

  ledger::Store& store_;
  SessionStore& sessions_;
  std::mt19937 random_;
  std::uint32_t count_;
  std::uint32_t next_proof_;
};

/// What a process before this one was sending: the node says that it was paid.
bool resume(SessionStore& sessions) {
  const auto left = sync(sessions.unfinished_refunds(kNow, Millis(3'600'000)));
  if (!left) return false;
  for (const ledger::Session& s : *left) {
    if (s.refund.stage != RefundStage::sending) continue;
    const auto done = sync(sessions.record_refund(s.id, RefundStage::succeeded, 9_msat, "", kNow));
    if (!done) return false;
    std::uint32_t n = 0;
    std::memcpy(&n, s.id.bytes().data(), sizeof n);
    if (*done == SessionOutcome::applied) say(fmt::format("paid {} 9\n", n));
  }
  return true;
}

int storm(ledger::Store& store, std::uint32_t seed, std::uint32_t threads, std::uint32_t count) {
  if (!resume(*store.sessions())) return 1;
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] { Storm(store, seed * threads + i, count).run(); });
  }
  for (std::thread& t : running) t.join();
  return 1;  // only a failing store ends a storm
}

// --- afterwards

struct Said {
  int opened = 0;
  std::int64_t debits = 0;
  std::set<std::uint32_t> topups;
  int closed = 0;
  std::int64_t refund = 0;
  std::multiset<std::int64_t> claims;
  std::multiset<std::int64_t> paid;
};

std::map<std::uint32_t, Said> listen() {
  std::map<std::uint32_t, Said> all;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    std::uint32_t n = 0;
    std::int64_t value = 0;
    words >> what >> n >> value;
    Said& said = all[n];
    if (what == "opened") ++said.opened;
    if (what == "debit") said.debits += value;
    if (what == "topup") said.topups.insert(static_cast<std::uint32_t>(value));
    if (what == "claimed") said.claims.insert(value);
    if (what == "paid") said.paid.insert(value);
    if (what != "closed") continue;
    ++said.closed;
    said.refund = value;
  }
  return all;
}

struct Findings {
  int opened = 0;
  int debited = 0;
  int closed = 0;
  int paid = 0;
  int lost = 0;
  int twice = 0;
  int wrong = 0;
};

void check_top_ups(SessionStore& store, std::uint32_t n, const Said& said, Findings& found) {
  for (const std::uint32_t proof : said.topups) {
    const auto again = sync(store.top_up_session({proof_of(proof, 1), hash_of(n), kDeposit}));
    if (!again || again->outcome != SessionOutcome::replayed) ++found.twice;
    const auto thief = sync(store.open_session([&] {
      auto request = open_of(proof);
      request.proof.payload[0] = 2;
      return request;
    }()));
    if (!thief || thief->proof.state != ConsumeState::spent) ++found.twice;
  }
}

void check_session(SessionStore& store, std::uint32_t n, const Said& said, Findings& found) {
  const auto kept = sync(store.find_session(hash_of(n)));
  if (!kept || !*kept) {
    ++found.lost;
    return;
  }
  const ledger::Session& s = **kept;
  const std::int64_t deposits = raw(kDeposit) * (1 + static_cast<std::int64_t>(said.topups.size()));
  if (raw(s.deposit) < deposits || raw(s.spent) < said.debits) ++found.lost;
  if (s.spent > s.deposit) ++found.wrong;
  if (said.opened > 1 || said.closed > 1) ++found.twice;
  if (said.closed == 1) {
    ++found.closed;
    if (s.state != ledger::SessionState::closed || raw(s.refund.amount) != said.refund)
      ++found.lost;
  }
  if (said.claims.size() > 1 || said.paid.size() > 1) ++found.twice;
  if (s.refund.attempts > 1 || s.refund.attempts < static_cast<int>(said.claims.size())) {
    ++found.wrong;
  }
  if (!said.paid.empty()) {
    ++found.paid;
    if (s.refund.stage != RefundStage::succeeded || raw(s.refund.fee) != *said.paid.begin()) {
      ++found.lost;
    }
  }
  check_top_ups(store, n, said, found);
}

/// The money that came in, from the transactions: each deposit is one settled row.
std::int64_t settled_deposits(ledger::Store& store) {
  std::int64_t sum = 0;
  ledger::TransactionFilter filter;
  filter.state = ledger::TransactionState::settled;
  filter.limit = 1000;
  for (;;) {
    const auto rows = sync(store.list_transactions(filter));
    if (!rows || rows->empty()) return sum;
    for (const ledger::Transaction& t : *rows) sum += raw(t.record.amount);
    filter.before_id = rows->back().id;
  }
}

void check_books(ledger::Store& store, Findings& found) {
  const auto t = sync(store.sessions()->session_totals());
  if (!t || raw(t->deposits) != raw(t->spent) + raw(t->refunded) + raw(t->rounding) +
                                    raw(t->open_balances) + raw(t->unpaid_refunds)) {
    ++found.wrong;
  }
  if (!t || raw(t->deposits) != settled_deposits(store)) ++found.wrong;
}

int verify(ledger::Store& store) {
  Findings found;
  for (const auto& [n, said] : listen()) {
    if (said.opened > 0) ++found.opened;
    if (said.debits > 0) ++found.debited;
    check_session(*store.sessions(), n, said, found);
  }
  check_books(store, found);
  std::cout << fmt::format(R"({{"opened":{},"debited":{},"closed":{},"paid":{},)"
                           R"("lost":{},"twice":{},"wrong":{}}})",
                           found.opened, found.debited, found.closed, found.paid, found.lost,
                           found.twice, found.wrong)
            << "\n";
  return found.lost + found.twice + found.wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace octroi

int main(int argc, char** argv) {
  using octroi::ledger::Store;
  return octroi::crash_main(
      argc, argv, "octroi_session_crash storm FILE SEED THREADS SESSIONS | verify FILE", 3,
      [](Store& store, const auto& n) { return octroi::storm(store, n[0], n[1], n[2]); },
      [](Store& store) { return octroi::verify(store); });
}
