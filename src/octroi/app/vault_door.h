// octroi/app/vault_door.h: the vault door in a running server: its workers, the book of keys that
// they have, what changes both, and the sweep of reservations whose process died.
//
// Thread  the control thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "octroi/admin/api.h"
#include "octroi/admin/vault_api.h"
#include "octroi/app/vault_clients.h"
#include "octroi/app/vault_reconcile.h"
#include "octroi/app/vault_snapshot.h"
#include "octroi/app/vault_worker.h"
#include "octroi/app/webhook.h"
#include "octroi/audit/event.h"
#include "octroi/base/metrics.h"
#include "octroi/config/model.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/task/sync.h"
#include "octroi/vault/freshness.h"
#include "octroi/vault/unsent.h"

namespace octroi::app {

class VaultDoor {
 public:
  /// The store outlives it and keeps keys, spends and a journal.
  VaultDoor(net::Loop& loop, ledger::Store& store, MetricRegistry& metrics);
  /// Before start(). The tracer outlives it; null: nothing is traced.
  void trace_with(Tracer* tracer) { shared_.tracer = tracer; }
  ~VaultDoor();
  VaultDoor(const VaultDoor&) = delete;
  VaultDoor& operator=(const VaultDoor&) = delete;

  /// Binds and serves.
  Task<Result<std::vector<net::Endpoint>>> start(const config::Config& config);
  /// The new configuration, or the error for which everything stays as it is.
  Task<Result<>> reload(const config::Config& config);
  /// Watches for what other processes change, and after what is spent, as long as it runs.
  Task<void> watch();

  /// What the admin API may do.
  [[nodiscard]] admin::VaultActions actions();
  /// What /readyz asks: whether keys, policies and real keys are those of the store.
  [[nodiscard]] std::vector<admin::Check> checks();
  /// Drains the workers; join() waits for them, which blocks.
  void drain(Millis grace);
  void join();

 private:
  /// In force for whoever is published to next. As open_snapshot.
  Task<Result<>> make_snapshot(vault::VaultSettings settings, std::optional<OpenedKeys> held);
  Task<void> watch_keys();
  Task<void> watch_real_keys();
  Task<void> watch_governance();
  Task<void> watch_freshness();
  Task<Result<>> look_at_keys();
  Task<Result<>> look_at_policies();
  Task<Result<>> check_current();
  Task<void> mind_money();
  Task<void> ask_vendors();
  Task<void> prune();
  Task<Result<>> spread_keys();
  Task<void> hand_out_book();
  Task<void> hand_out_snapshot();
  Task<Result<std::string>> issue(std::string request);
  Task<Result<std::string>> change(ledger::VaultKeyFilter which, ledger::VaultKeyState state,
                                   std::string by = "admin");
  /// What the webhook hears of calls and keys; vault_notices.cc.
  void start_notices();
  void told_of_change(const std::vector<std::string>& ids, ledger::VaultKeyState state,
                      std::string_view by);
  void told_of_sweep(std::int64_t orphaned);
  Task<Result<std::string>> rotate(std::string id, std::string request);
  /// What people decide; vault_governance.cc.
  [[nodiscard]] admin::GovernanceActions governance();
  void start_governance();
  Task<void> look_at_governance();
  /// Policies or real keys of the store were changed: every worker has them when it returns.
  Task<Result<>> spread_snapshot();
  void note_snapshot(std::string problem, Millis again);
  Task<Result<std::string>> decide(std::string id, bool approved, std::string by);
  Task<Result<std::string>> policy_changed(Task<Result<std::string>> change);
  /// Into the audit; the log, the metrics and the webhook are told by who raises it.
  Task<void> record_alarm(audit::Event alarm);
  Task<void> told_of_alarm(std::string call, std::string key_id, std::string from);
  Task<Result<std::string>> put_credential(std::string vendor, std::string sealed);
  /// Real keys that give way to new ones; vault_real_keys.cc.
  void start_rotation();
  [[nodiscard]] admin::RealKeyActions real_keys();
  Task<Result<std::string>> rotate_real(std::string vendor, std::string request);
  Task<Result<std::string>> roll_back_real(std::string vendor);
  Task<void> told_of_refused_key(std::string vendor, std::int64_t version, std::string call);
  Task<void> look_at_real_keys();

  net::Loop& loop_;
  ledger::Store& store_;
  bool shared_store_ = false;  // other processes may write to it
  vault::Freshness fresh_;
  vault::Shared shared_;
  vault::VaultSettings settings_;
  vault::VaultSettings in_force_;          // with the policies of the store
  std::int64_t policies_version_ = 0;      // of the snapshot
  std::int64_t policies_spread_ = 0;       // that every worker has
  std::optional<Millis> policies_behind_;  // since when the store is known to have others
  std::unique_ptr<vault::ApprovalDesk> desk_;
  Webhook webhook_;
  vault::OncePerWindow windows_;  // caps that were told of
  Millis expired_tickets_{0};
  std::shared_ptr<const vault::Snapshot> snapshot_;
  OpenedKeys opened_;  // the real keys in it
  std::string snapshot_problem_;
  std::shared_ptr<const vault::KeyBook> book_;
  std::int64_t book_spread_ = -1;  // the version that every worker has
  std::shared_ptr<const net::TlsAuthority> authority_;
  std::vector<std::unique_ptr<VaultWorker>> workers_;
  vault::UnsentHolds unsent_;
  VaultReconcile reconcile_;
  VaultClients own_clients_;  // over which new real keys are tried
  std::optional<UnixMillis> next_wipe_;
  std::optional<Millis> snapshot_due_;  // when another one is to be made
  std::set<std::pair<std::string, std::int64_t>> told_refused_;
  // Not one for both: a revocation does not wait for a KMS.
  Semaphore book_turn_{1};
  Semaphore snapshot_turn_{1};
};

}  // namespace octroi::app
