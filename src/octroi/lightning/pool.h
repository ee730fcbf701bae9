// octroi/lightning/pool.h: invoices made ahead of demand, so that an unpaid request costs the node
// nothing while it waits.
//
// One list an (amount, memo). Nothing is made before the first demand; then it is refilled in
// batches up to the number taken in the last minute, at most `size`, so at any time
//     invoices made  <=  invoices taken + size + what the node made for callers that gave up.
// An invoice lives challenge_ttl + max_age and is given out only while younger than max_age: what
// is taken stays payable for the whole challenge. A list that nobody used for `idle` is dropped.
// Every hash is in the store before its invoice is given to anybody.
// A taker who finds the list dry waits for the node, at most `deadline`, then gets
// Errc::unavailable; while the node is known to be down it gets that at once. The node is asked
// again with back-off.
//
// Errors   Errc::unavailable (node or store).
// Thread   take() from any loop, resuming there; give_back() from any thread; the rest, and its
//          destruction, on the control loop, where all talk with the node and the store happens.
//          Taking a ready invoice is one short mutex.
// Source   architecture 3.7.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"
#include "octroi/lightning/health.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"

namespace octroi::lightning {

struct PoolOptions {
  Millis challenge_ttl{900'000};
  std::int64_t size = 32;        // ready invoices an amount and memo; 0: only on demand
  Millis max_age{300'000};       // how long an invoice may wait to be taken
  Millis idle{600'000};          // a list nobody used is dropped
  Millis deadline{5'000};        // how long a taker waits for the node
  std::size_t max_lists = 1024;  // beyond it invoices are made on demand only
  int max_batch = 64;
};

class InvoicePool {
 public:
  /// Publishes octroi_invoice_pool and octroi_invoices_created_total. Everything outlives the pool.
  InvoicePool(net::Loop& control, Node& node, ledger::Store& store, NodeHealth& health,
              Clock& clock, MetricRegistry& metrics, PoolOptions options);
  ~InvoicePool();
  InvoicePool(const InvoicePool&) = delete;
  InvoicePool& operator=(const InvoicePool&) = delete;

  /// Starts the upkeep. Takers may come before it; they wait.
  void start();

  /// An invoice nobody has seen, payable for challenge_ttl from now.
  Task<Result<Invoice>> take(Msat amount, std::string memo);
  /// The same for an amount that nobody may ask for again, such as a quoted price: none is made
  /// ahead for it, and its list goes once it is empty.
  Task<Result<Invoice>> take_once(Msat amount, std::string memo);
  /// It was shown to nobody: the next taker may have it.
  void give_back(Invoice invoice);
  /// The node's network, once it was reached.
  [[nodiscard]] std::optional<Network> network() const;
  /// Its public key in hex, likewise.
  [[nodiscard]] std::optional<std::string> node_key() const;
  /// Ready invoices of all lists.
  [[nodiscard]] std::size_t ready() const;

 private:
  struct Impl;
  static Task<Result<Invoice>> take_from(std::shared_ptr<Impl> impl,
                                         std::pair<Msat, std::string> key, bool demand);
  std::shared_ptr<Impl> impl_;
};

}  // namespace octroi::lightning
