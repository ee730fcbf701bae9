// octroi/app/vault_door.h: the vault door in a running server: its workers, the book of keys that
// they have, what changes both, and the sweep of reservations whose process died.
//
// Thread  the control thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "octroi/admin/vault_api.h"
#include "octroi/app/vault_unsent.h"
#include "octroi/app/vault_worker.h"
#include "octroi/base/metrics.h"
#include "octroi/config/model.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/task/sync.h"

namespace octroi::app {

class VaultDoor {
 public:
  /// The store outlives it and keeps keys, spends and a journal.
  VaultDoor(net::Loop& loop, ledger::Store& store, MetricRegistry& metrics);
  ~VaultDoor();
  VaultDoor(const VaultDoor&) = delete;
  VaultDoor& operator=(const VaultDoor&) = delete;

  /// Binds and serves.
  Task<Result<std::vector<net::Endpoint>>> start(const config::Config& config);
  /// The new configuration, or the error for which everything stays as it is.
  Task<Result<>> reload(const config::Config& config);
  /// Watches for what other processes change, as long as it runs.
  Task<void> watch();

  /// What the admin API may do.
  [[nodiscard]] admin::VaultActions actions();
  /// Drains the workers; join() waits for them, which blocks.
  void drain(Millis grace);
  void join();

 private:
  Task<Result<std::shared_ptr<const vault::Snapshot>>> make_snapshot(vault::VaultSettings settings);
  Task<Result<>> spread_keys();
  Task<Result<std::string>> issue(std::string request);
  Task<Result<std::string>> change(ledger::VaultKeyFilter which, ledger::VaultKeyState state);
  Task<Result<std::string>> put_credential(std::string vendor, std::string sealed);
  void set_stale(bool yes);

  net::Loop& loop_;
  ledger::Store& store_;
  vault::Shared shared_;
  vault::VaultSettings settings_;
  std::shared_ptr<const vault::Snapshot> snapshot_;
  std::shared_ptr<const vault::KeyBook> book_;
  std::shared_ptr<const net::TlsAuthority> authority_;
  std::vector<std::unique_ptr<VaultWorker>> workers_;
  UnsentHolds unsent_;
  bool stale_ = false;
  Semaphore turn_{1};
};

}  // namespace octroi::app
