// octroi/app/runtime.h: the running server: builds the doors from a configuration, reloads, drains.
//
// The control thread (the caller of run) owns the node, the invoice pool, the admin listener,
// upkeep and the configuration; workers own connections. Everything is made in one order and
// destroyed in the opposite one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/admin/api.h"
#include "octroi/app/access_log.h"
#include "octroi/app/audit_keeper.h"
#include "octroi/app/lightning_stack.h"
#include "octroi/app/price_sources.h"
#include "octroi/app/replicas.h"
#include "octroi/app/service_desk.h"
#include "octroi/app/telemetry.h"
#include "octroi/app/transaction_writer.h"
#include "octroi/app/upstreams.h"
#include "octroi/app/vault_door.h"
#include "octroi/app/worker.h"
#include "octroi/config/load.h"
#include "octroi/config/model.h"
#include "octroi/http/server.h"
#include "octroi/paywall/refunds.h"
#include "octroi/paywall/usage_desk.h"
#include "octroi/task/sync.h"
#include "octroi/upstream/checker.h"
#include "octroi/upstream/group.h"

namespace octroi::app {

enum class RuntimeErrc : std::uint8_t {
  unsupported,    // the configuration asks for a part that this version does not have
  bad_secret,     // a secret is too short, or could not be read or kept
  nothing_to_do,  // no section that starts a door
};
ErrorInfo error_info(RuntimeErrc e);

struct Addresses {
  std::vector<net::Endpoint> paywall;
  std::vector<net::Endpoint> vault;
  std::optional<net::Endpoint> admin;
};

class Runtime {
 public:
  /// Reads the configuration again, for SIGHUP, /api/v1/reload and changed services. Null: it stays
  /// as it was given, and services of the store are not served.
  using Loader = ConfigLoader;

  Runtime(config::Loaded loaded, Loader reload);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Serves until stop(). `ready` runs on the control loop once everything listens.
  [[nodiscard]] Result<> run(std::function<Task<void>(const Addresses&)> ready);
  /// Any thread: drains and returns from run().
  void stop();
  /// Any thread.
  void request_reload();

  [[nodiscard]] net::Loop& loop() { return loop_; }
  [[nodiscard]] MetricRegistry& metrics() { return metrics_; }

 private:
  Task<void> main(std::function<Task<void>(const Addresses&)> ready);
  Task<Result<>> boot();
  Task<Result<>> fill_secrets(paywall::PaywallSettings& settings);
  Result<> start_refunds();
  Result<> start_usage();
  Result<> start_workers();
  Task<Result<>> start_vault();
  Task<Result<>> start_admin();
  Task<Result<std::string>> reload();
  Task<config::LoadResult> load_aside(std::vector<config::StoredService> stored);
  // In runtime_services.cc.
  /// A configuration that is ready to be served, and not served yet.
  struct Prepared {
    config::Loaded loaded;
    std::shared_ptr<const paywall::Snapshot> snapshot;
    std::shared_ptr<const net::TlsServerContext> tls;
  };
  Task<Result<Prepared>> prepare(config::Loaded fresh);
  /// Every worker serves by it when this returns.
  Task<void> adopt(Prepared next, std::int64_t services_version);
  Task<Result<>> load_stored_services();
  Task<Result<>> refresh_services();
  Task<void> watch_services();
  Task<admin::ServiceAnswer<admin::ServiceEntry>> change_service(admin::ServiceChange change);
  admin::ServiceActions service_actions();
  Task<Result<>> revoke(TokenId id);
  Task<Result<>> load_revocations();
  Task<Result<>> spread_revocations();
  /// Probes the addresses of these services from now on.
  void watch_upstreams(const paywall::Snapshot& snapshot);
  Task<void> tell_of_sales();
  Task<void> tick_upstreams();
  Task<void> shut_down();
  Result<std::shared_ptr<const net::TlsServerContext>> tls_context(
      const paywall::PaywallSettings& settings) const;

  config::Loaded loaded_;
  Loader reload_;
  net::Loop loop_;
  MetricRegistry metrics_;
  upstream::Directory upstreams_{metrics_};
  Upstreams probing_{loop_, 0};  // the connections of the health checks
  std::unique_ptr<upstream::HealthChecker> checker_;
  std::unique_ptr<ledger::Store> store_;
  std::unique_ptr<AuditKeeper> audit_;  // null: the store keeps none
  std::unique_ptr<LightningStack> lightning_;
  std::unique_ptr<paywall::UnpaidBound> unpaid_;
  paywall::RateLimiter rates_;
  std::unique_ptr<TransactionWriter> transactions_;
  std::unique_ptr<FileAccessLog> access_;
  std::unique_ptr<Telemetry> telemetry_;       // null: there is no collector
  std::unique_ptr<paywall::Refunds> refunds_;  // also while no service sells sessions any more
  PriceSources prices_{loop_, metrics_};       // of the control loop
  std::unique_ptr<paywall::UsageDesk> usage_;  // also while no service is metered any more
  std::unique_ptr<paywall::Shared> shared_;
  std::unique_ptr<Replicas> replicas_;
  std::shared_ptr<const l402::RevocationSet> revoked_ = std::make_shared<l402::RevocationSet>();
  std::shared_ptr<const Secret> admin_token_;
  std::unique_ptr<admin::Api> admin_;
  std::unique_ptr<http::Server> admin_server_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<VaultDoor> vault_;  // null: this door is not started
  Addresses addresses_;
  Result<> outcome_;
  std::unique_ptr<ServiceDesk> services_;  // null: this store keeps none, or nothing is read again
  std::int64_t services_version_ = 0;      // of the list that is served
  std::string services_problem_;           // why a newer one is not; empty: none is
  Event stopping_;
  Semaphore reload_turn_{1};
  Semaphore spread_turn_{1};
};

}  // namespace octroi::app
