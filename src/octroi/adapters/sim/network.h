// octroi/adapters/sim/network.h: what happens in the simulated network, one operation a function,
// each one transaction on the shared file. Internal to the adapter: sim_node.cc gives it the port's
// shape.
//
// Thread  one at a time; it blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/adapters/sim/database.h"
#include "octroi/adapters/sim/sim_node.h"
#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/lightning/node.h"

namespace octroi::sim {

/// How a payment was begun: `due` is when its money arrives.
struct StartedPayment {
  PaymentHash hash;
  UnixMillis due;
};

class Network {
 public:
  /// Opens the file and makes its tables and the account when they are absent.
  [[nodiscard]] static Result<Network> open(const SimOptions& options, Random& random,
                                            UnixMillis now);
  /// For commands: without an account of one's own.
  [[nodiscard]] static Result<Network> attach(const std::string& file);

  /// Takes the next fault planned for this operation, if there is one.
  [[nodiscard]] Result<std::optional<Fault>> take_fault(Operation operation);
  [[nodiscard]] Result<> set_fault(const std::string& account, const Fault& fault);
  [[nodiscard]] Result<> clear_faults(const std::string& account);

  [[nodiscard]] Result<std::string> public_key();
  [[nodiscard]] Result<std::vector<lightning::Invoice>> add_invoices(
      const lightning::InvoiceRequest& request, int count, Random& random, UnixMillis now);
  [[nodiscard]] Result<lightning::InvoiceStatus> lookup(const PaymentHash& hash, UnixMillis now);
  [[nodiscard]] Result<std::vector<lightning::InvoiceStatus>> settled_after(
      std::uint64_t settle_index, UnixMillis now);
  /// Debits the payer; the payee is credited at once, or `delay` later by whoever looks first.
  [[nodiscard]] Result<StartedPayment> start_payment(const lightning::PayRequest& request,
                                                     Millis delay, UnixMillis now);
  /// Remembers a payment that failed without moving money, as a node does.
  [[nodiscard]] Result<> record_failure(const lightning::PayRequest& request, std::string reason,
                                        UnixMillis now);
  [[nodiscard]] Result<lightning::Payment> track(const PaymentHash& hash, UnixMillis now);
  [[nodiscard]] Result<Msat> balance(UnixMillis now);
  [[nodiscard]] Result<NetworkTotals> totals();
  [[nodiscard]] Result<std::int64_t> count_invoices(const std::string& account);

 private:
  Network(Database db, SimOptions options) : db_(std::move(db)), options_(std::move(options)) {}
  [[nodiscard]] Result<> make_tables();
  [[nodiscard]] Result<> make_account(Random& random, UnixMillis now);
  [[nodiscard]] Result<Secret> node_secret(const std::string& account);
  [[nodiscard]] Result<lightning::Invoice> insert_invoice(const lightning::InvoiceRequest& request,
                                                          const Secret& secret, Random& random,
                                                          UnixMillis now);
  /// Delivers every payment whose time has come.
  [[nodiscard]] Result<> complete_due(UnixMillis now);
  [[nodiscard]] Result<> complete(const std::string& payer, const PaymentHash& hash,
                                  UnixMillis now);
  [[nodiscard]] Result<StartedPayment> debit(const lightning::PayRequest& request, Millis delay,
                                             UnixMillis now);

  Database db_;
  SimOptions options_;
};

}  // namespace octroi::sim
