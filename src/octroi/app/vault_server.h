// octroi/app/vault_server.h: a server that runs the vault door and nothing of the paywall: no node,
// no invoices, no key of another door. `octroi serve` runs it when the configuration has no
// paywall, and with --only vault.
//
// Thread   made and run on the control thread; stop() and request_reload() from any.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "octroi/admin/api.h"
#include "octroi/app/audit_keeper.h"
#include "octroi/app/telemetry.h"
#include "octroi/app/vault_door.h"
#include "octroi/config/load.h"
#include "octroi/http/server.h"

namespace octroi::app {

class VaultServer {
 public:
  using Loader = std::function<config::LoadResult()>;
  VaultServer(config::Loaded loaded, Loader reload);
  ~VaultServer();
  VaultServer(const VaultServer&) = delete;
  VaultServer& operator=(const VaultServer&) = delete;

  /// Serves until stop().
  [[nodiscard]] Result<> run();
  void stop();
  void request_reload();

 private:
  Task<void> main();
  Task<Result<>> boot();
  Task<Result<>> start_admin();
  Task<Result<std::string>> reload();
  Task<void> shut_down();

  config::Loaded loaded_;
  Loader reload_;
  net::Loop loop_;
  MetricRegistry metrics_;
  std::unique_ptr<Telemetry> telemetry_;  // null: there is no collector
  std::unique_ptr<ledger::Store> store_;
  std::unique_ptr<AuditKeeper> audit_;
  std::unique_ptr<VaultDoor> door_;
  std::unique_ptr<admin::Api> admin_;
  std::unique_ptr<http::Server> admin_server_;
  Event stopping_;
  Semaphore reload_turn_{1};
  Result<> outcome_;
};

/// The admin token of the configuration, made on the first start when it says so.
[[nodiscard]] Result<std::shared_ptr<const Secret>> admin_token_of(
    const config::AdminSettings& settings);

}  // namespace octroi::app
