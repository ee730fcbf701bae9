// octroi/admin/vault_api.h: the keys of the vault door on the admin listener.
//
//   GET  /api/v1/vault/keys                ?vendor= &policy= &agent= &run=
//   POST /api/v1/vault/keys                {"vendor","policy",…} → {"id","key"}, once
//   GET  /api/v1/vault/keys/{id}
//   POST /api/v1/vault/keys/{id}/revoke    also pause, resume; returns after every worker has it
//   POST /api/v1/vault/keys/{id}/rotate    {"overlap","shape"} → {"id","key","replaces"}, once
//   POST /api/v1/vault/revoke              ?run= &agent= &policy= &vendor= or ?all=yes
//   POST /api/v1/vault/credentials/{vendor}  a real key, sealed
//   POST /api/v1/vault/reconcile           {"vendor","since","grace_ms","dry_run","all"}, each optional
//
// Thread  the control loop.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "octroi/admin/governance_api.h"
#include "octroi/http/server.h"
#include "octroi/ledger/vault_keys.h"

namespace octroi::admin {

inline constexpr std::string_view kVault = "/api/v1/vault";

/// Each answers with the JSON to send. Empty: this server runs no vault door.
struct VaultActions {
  std::function<Task<Result<std::string>>(std::string)> issue;
  std::function<Task<Result<std::string>>(ledger::VaultKeyFilter)> list;
  std::function<Task<Result<std::string>>(ledger::VaultKeyFilter, ledger::VaultKeyState)> change;
  std::function<Task<Result<std::string>>(std::string, std::string)> put_credential;
  std::function<Task<Result<std::string>>(std::string)> reconcile;
  /// The id of a key, and {"overlap","shape"}: a new one, which replaces it.
  std::function<Task<Result<std::string>>(std::string, std::string)> rotate;
  GovernanceActions governance;
};

class VaultApi {
 public:
  explicit VaultApi(const VaultActions& actions) : actions_(actions) {}
  /// A request whose path begins with kVault.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<Result<std::string>> answer(http::Exchange& exchange);
  const VaultActions& actions_;
};

}  // namespace octroi::admin
