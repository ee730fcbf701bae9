// octroi/ledger/memory_vault_keys.h: VaultKeys in memory: part of MemoryStore.
//
// Thread   any thread; one mutex.
#pragma once

#include <map>
#include <mutex>

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

 private:
  [[nodiscard]] Result<> begin() const;
  mutable std::mutex mutex_;
  bool unavailable_ = false;
  VaultKeyList list_;
  std::map<std::string, std::string> credentials_;
};

}  // namespace octroi::ledger
