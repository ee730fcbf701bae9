// octroi/adapters/sim/sim_node.h: a simulated Lightning network in one SQLite file, shared by any
// number of processes: accounts with a node key and a balance, real signed regtest invoices
// (lnbcrt…) whose preimages open them, and payments that move a balance in one transaction.
//
// For trying octroi out and for tests: refused in production. It can be told to fail, to be slow
// and to lose an answer (set_fault), which is how the doors' handling of unknown outcomes is
// tested.
//
// Secrets  no preimage is stored: each is derived from the payee's node key and a random seed of
//          the invoice. The file holds the node keys and is made with mode 0600.
// Errors   lightning::Errc, as a real node's.
// Thread   make_sim_node starts one thread of its own for SQLite; calls resume on the loop that
//          made them. The functions below it block and are for commands and tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/lightning/node.h"
#include "octroi/money/money.h"
#include "octroi/net/loop.h"

namespace octroi::sim {

struct SimOptions {
  std::string file;  // its directory must exist
  std::string account = "merchant";
  Msat initial;              // balance of an account that does not exist yet
  std::int64_t fee_ppm = 0;  // what this account's payments cost, in millionths, rounded up
};

/// Opens (or makes) the network and the account. The loop must outlive the node.
[[nodiscard]] Result<std::unique_ptr<lightning::Node>> make_sim_node(net::Loop& loop,
                                                                     SimOptions options,
                                                                     Random& random, Clock& clock);

enum class Operation : std::uint8_t {
  any,
  info,
  add_invoice,
  lookup,
  subscribe,
  pay,
  track,
  balance
};
enum class FaultKind : std::uint8_t {
  unavailable,  // the node cannot be reached: nothing happens
  fail,         // pay: a definite payment_failed, nothing is paid; others: denied
  delay,        // the answer (for pay: the payment itself) takes `delay` longer
  lose_answer,  // it happens, but the caller gets payment_unknown (pay) or timeout (others)
};
struct Fault {
  Operation operation = Operation::any;
  FaultKind kind = FaultKind::unavailable;
  std::int64_t count = 1;  // how many calls it spoils; negative: until cleared
  Millis delay{0};
};
/// Seen by every process that shares the file, from the next call on. The account must exist.
[[nodiscard]] Result<> set_fault(const std::string& file, const std::string& account,
                                 const Fault& fault);
[[nodiscard]] Result<> clear_faults(const std::string& file, const std::string& account);

struct AccountBalance {
  std::string account;
  Msat balance;
};
struct NetworkTotals {
  std::vector<AccountBalance> accounts;
  Msat in_flight;  // debited, not yet credited
  Msat fees;       // paid to nobody
  Msat issued;     // sum of initial balances: always accounts + in_flight + fees
  std::int64_t invoices = 0;
};
/// For `octroi wallet balance`, the demo and the conservation check of the tests.
[[nodiscard]] Result<NetworkTotals> read_totals(const std::string& file);
/// How many invoices an account has made.
[[nodiscard]] Result<std::int64_t> count_invoices(const std::string& file,
                                                  const std::string& account);

}  // namespace octroi::sim
