// octroi/app/audit_keeper.h: what a process does for its audit: holds the key of checkpoints, signs
// one each second in which rows came, keeps it in a file beside the store, and verifies.
//
// Where   SQLite: <store file>.audit-key (32 bytes, 0600, made at the first start) and
//         <store file>.checkpoints (JSON Lines, only ever added to), or `audit_checkpoints`.
//         PostgreSQL: the key is in the database, for all replicas; the file is where
//         `audit_checkpoints` says, or nowhere.
// Thread  the control loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/admin/audit_api.h"
#include "octroi/audit/checkpointer.h"
#include "octroi/config/model.h"
#include "octroi/ledger/store.h"
#include "octroi/net/loop.h"
#include "octroi/task/sync.h"

namespace octroi::app {

class AuditKeeper {
 public:
  /// Null when the store keeps no audit. `store` must outlive it.
  static Task<Result<std::unique_ptr<AuditKeeper>>> open(const config::Config* config,
                                                         ledger::Store* store);
  /// Of a journal elsewhere, which must outlive it: the key that signs it, and its file of
  /// checkpoints (empty: none).
  [[nodiscard]] static Result<std::unique_ptr<AuditKeeper>> over(audit::Journal& journal,
                                                                 const Secret& seed,
                                                                 std::string file);

  [[nodiscard]] std::string public_key() const;
  /// Signs what is new. Returns the public key.
  Task<Result<std::string>> checkpoint();
  /// checkpoint() of a process that ends; a failure is logged.
  Task<void> sign_last();
  /// All of the store, against its checkpoints and those of the file.
  Task<Result<audit::Report>> verify();
  /// Until it is cancelled.
  Task<void> run(net::Loop& loop);
  /// As long as this lives.
  [[nodiscard]] admin::AuditActions actions();

 private:
  AuditKeeper(audit::Journal& journal, audit::Signer signer, std::string file);

  audit::Journal& journal_;
  const std::string file_;  // of checkpoints; empty: none
  audit::Checkpointer checkpointer_;
  Semaphore turn_{1};
};

}  // namespace octroi::app
