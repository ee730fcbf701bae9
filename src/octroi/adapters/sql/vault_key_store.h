// octroi/adapters/sql/vault_key_store.h: ledger::VaultKeys over the lanes of a SqlStore.
//
// Thread   as SqlStore.
#pragma once

#include <string>
#include <vector>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/vault_keys.h"

namespace octroi::sql {

class Lanes;

class SqlVaultKeys final : public ledger::VaultKeys {
 public:
  /// `lanes` must outlive it.
  explicit SqlVaultKeys(Lanes& lanes) : lanes_(lanes) {}

  Task<Result<bool>> add_vault_key(ledger::VaultKey key) override;
  Task<Result<ledger::VaultKeyList>> list_vault_keys() override;
  Task<Result<std::int64_t>> vault_keys_version() override;
  Task<Result<std::vector<std::string>>> change_vault_keys(ledger::VaultKeyFilter which,
                                                           ledger::VaultKeyState state,
                                                           UnixMillis now) override;
  Task<Result<bool>> rotate_vault_key(ledger::VaultKey fresh, std::string old,
                                      UnixMillis old_ends) override;
  Task<Result<>> put_credential(std::string vendor, std::string sealed_base64,
                                UnixMillis now) override;
  Task<Result<std::optional<std::string>>> find_credential(std::string vendor) override;
  Task<Result<std::vector<ledger::Credential>>> list_credentials() override;
  Task<Result<std::optional<std::int64_t>>> stage_credential(std::string vendor,
                                                             std::string sealed_base64,
                                                             UnixMillis now,
                                                             UnixMillis until) override;
  Task<Result<bool>> switch_credential(ledger::CredentialSwitch wanted) override;
  Task<Result<std::optional<std::int64_t>>> roll_back_credential(std::string vendor,
                                                                 std::int64_t from,
                                                                 UnixMillis now) override;
  Task<Result<bool>> drop_credential(std::string vendor, std::int64_t version) override;
  Task<Result<std::vector<ledger::Credential>>> wipe_credentials(UnixMillis now) override;
  Task<Result<bool>> reseal_credentials(std::vector<ledger::Resealed> all, UnixMillis now) override;

 private:
  Lanes& lanes_;
};

}  // namespace octroi::sql
