// octroi/app/vault_reconcile.h: comparing the ledger with vendors on request (`octroi vault
// reconcile`, the admin API) and by itself: prices that come late, and holds without an outcome.
//
// Thread  the control thread, or a command's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/app/vault_clients.h"
#include "octroi/base/metrics.h"
#include "octroi/json/value.h"
#include "octroi/ledger/store.h"
#include "octroi/task/sync.h"
#include "octroi/vault/late_prices.h"
#include "octroi/vault/reconcile.h"

namespace octroi::app {

struct ReconcileRequest {
  std::string vendor;
  std::optional<UnixMillis> since;  // empty: a day ago
  std::optional<Millis> grace;      // empty: the configuration's
  bool dry_run = false;
  bool all = false;  // also calls that are the same
  [[nodiscard]] static Result<ReconcileRequest> from_json(const json::Value& root);
  [[nodiscard]] std::string to_json() const;
};

class VaultReconcile {
 public:
  /// The store outlives it and keeps spends and a journal.
  VaultReconcile(net::Loop& loop, ledger::Store& store, MetricRegistry& metrics);

  /// The report as JSON. One at a time.
  Task<Result<std::string>> run(std::shared_ptr<const vault::Snapshot> snapshot,
                                ReconcileRequest request);
  /// Late prices, and every now and then the vendors of holds without an outcome. Never fails: what
  /// could not be done now is done later.
  Task<void> look(std::shared_ptr<const vault::Snapshot> snapshot);

 private:
  Task<Result<>> resolve_open(std::shared_ptr<const vault::Snapshot> snapshot);

  net::Loop& loop_;
  ledger::Store& store_;
  VaultClients clients_;
  vault::LatePrices late_;
  Semaphore turn_{1};
  Millis resolved_;
};

}  // namespace octroi::app
