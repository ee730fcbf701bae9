// octroi/ledger/memory_vault_keys.h: VaultKeys in memory: part of MemoryStore.
//
// Thread   any thread; one mutex.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "octroi/ledger/vault_keys.h"

namespace octroi::ledger {

class MemoryVaultKeys final : public VaultKeys {
 public:
  void set_unavailable(bool yes);

  Task<Result<bool>> add_vault_key(VaultKey key) override;
  Task<Result<VaultKeyList>> list_vault_keys() override;
  Task<Result<std::int64_t>> vault_keys_version() override;
  Task<Result<std::vector<std::string>>> change_vault_keys(VaultKeyFilter which,
                                                           VaultKeyState state,
                                                           UnixMillis now) override;
  Task<Result<bool>> rotate_vault_key(VaultKey fresh, std::string old,
                                      UnixMillis old_ends) override;
  Task<Result<>> put_credential(std::string vendor, std::string sealed_base64,
                                UnixMillis now) override;
  Task<Result<std::optional<std::string>>> find_credential(std::string vendor) override;
  Task<Result<std::vector<Credential>>> list_credentials() override;
  Task<Result<std::optional<std::int64_t>>> stage_credential(std::string vendor,
                                                             std::string sealed_base64,
                                                             UnixMillis now,
                                                             UnixMillis until) override;
  Task<Result<bool>> switch_credential(CredentialSwitch wanted) override;
  Task<Result<std::optional<std::int64_t>>> roll_back_credential(std::string vendor,
                                                                 std::int64_t from,
                                                                 UnixMillis now) override;
  Task<Result<bool>> drop_credential(std::string vendor, std::int64_t version) override;
  Task<Result<std::vector<Credential>>> wipe_credentials(UnixMillis now) override;
  Task<Result<bool>> reseal_credentials(std::vector<Resealed> all, UnixMillis now) override;

 private:
  [[nodiscard]] Result<> begin() const;
  mutable std::mutex mutex_;
  bool unavailable_ = false;
  VaultKeyList list_;
  [[nodiscard]] Credential* credential(const std::string& vendor, CredentialState state);
  void wipe(const std::string& vendor, CredentialState state);
  std::vector<Credential> credentials_;
};

}  // namespace octroi::ledger
