// octroi/admin/vault_api.h: the keys of the vault door on the admin listener.
//
//   GET  /api/v1/vault/keys                ?vendor= &policy= &agent= &run=
//   POST /api/v1/vault/keys                {"vendor","policy",…} → {"id","key"}, once
//   GET  /api/v1/vault/keys/{id}
//   POST /api/v1/vault/keys/{id}/revoke    also pause, resume; returns after every worker has it
//   POST /api/v1/vault/keys/{id}/rotate    {"overlap","shape"} → {"id","key","replaces"}, once
//   POST /api/v1/vault/revoke              ?run= &agent= &policy= &vendor= or ?all=yes
//   GET  /api/v1/vault/credentials         also /{vendor}: which real keys there are, never a key
//   POST /api/v1/vault/credentials/{vendor}  a real key, sealed; replaces whatever there was
//   POST /api/v1/vault/credentials/{vendor}/rotate    {"sealed","overlap","verify"}
//   POST /api/v1/vault/credentials/{vendor}/rollback
//   POST /api/v1/vault/reconcile           {"vendor","since","grace_ms","dry_run","all"}, each
//   optional
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

/// The real keys of vendors, by the vendor's name (empty: all): labels and times; a new one in the
/// place of the one in use; and the way back. Each answers with the JSON to send.
struct RealKeyActions {
  std::function<Task<Result<std::string>>(std::string)> show;
  std::function<Task<Result<std::string>>(std::string, std::string)> rotate;
  std::function<Task<Result<std::string>>(std::string)> roll_back;
};

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
  RealKeyActions real_keys;
};

class VaultApi {
 public:
  explicit VaultApi(const VaultActions& actions) : actions_(actions) {}
  /// A request whose path begins with kVault.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<Result<std::string>> answer(http::Exchange& exchange);
  Task<Result<std::string>> answer_credentials(http::Exchange& exchange, std::string path);
  const VaultActions& actions_;
};

}  // namespace octroi::admin
