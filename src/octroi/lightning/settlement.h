// octroi/lightning/settlement.h: learns from the node which invoices were paid, and remembers it.
//
// Subscribes where it left off (the node's settle index is kept in the store, one a node key),
// marks each invoice settled in the ledger, and connects again with back-off for as long as it
// lives: nothing that a node or a store does ends the process. An index is kept only after the
// ledger has everything up to it; after a crash the last second is told twice, which changes
// nothing.
//
// Thread   made, started and destroyed on the control loop; is_settled() from any loop.
// Source   architecture 3.7; lnd's subscription by settle index.
#pragma once

#include <functional>
#include <memory>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"
#include "octroi/lightning/health.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"

namespace octroi::lightning {

class SettlementTracker {
 public:
  /// `on_settled` runs on the control loop, after the ledger knows. Everything outlives the
  /// tracker.
  SettlementTracker(net::Loop& control, Node& node, ledger::Store& store, NodeHealth& health,
                    Clock& clock, std::function<void(const PaymentHash&)> on_settled);
  ~SettlementTracker();
  SettlementTracker(const SettlementTracker&) = delete;
  SettlementTracker& operator=(const SettlementTracker&) = delete;

  void start();

  /// Asks the node itself, for services with `strict`. An invoice the node does not know is not
  /// settled. Errc::unavailable after `deadline`.
  Task<Result<bool>> is_settled(PaymentHash hash, Millis deadline = Millis(5'000));

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace octroi::lightning
