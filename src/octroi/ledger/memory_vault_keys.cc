#include "octroi/ledger/memory_vault_keys.h"

#include <algorithm>
#include <set>
#include <utility>

namespace octroi::ledger {

void MemoryVaultKeys::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
}

Result<> MemoryVaultKeys::begin() const {
  if (unavailable_) return fail(Errc::unavailable, "the store was told to fail");
  return {};
}

Task<Result<bool>> MemoryVaultKeys::add_vault_key(VaultKey key) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const bool taken = std::any_of(list_.keys.begin(), list_.keys.end(), [&](const VaultKey& k) {
    return k.id == key.id || k.pair_id == key.pair_id;
  });
  if (taken) co_return false;
  list_.keys.push_back(std::move(key));
  ++list_.version;
  co_return true;
}

Task<Result<VaultKeyList>> MemoryVaultKeys::list_vault_keys() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return list_;
}

Task<Result<std::int64_t>> MemoryVaultKeys::vault_keys_version() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return list_.version;
}

Task<Result<std::vector<std::string>>> MemoryVaultKeys::change_vault_keys(VaultKeyFilter which,
                                                                          VaultKeyState state,
                                                                          UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<std::string> changed;
  std::set<std::string> hit;  // also revoked ones, whose children go with them
  for (const VaultKey& k : list_.keys) {
    if (which.matches(k)) hit.insert(k.id);
  }
  // A parent that follows another key is younger than its children.
  for (std::size_t before = 0; state == VaultKeyState::revoked && before != hit.size();) {
    before = hit.size();
    for (const VaultKey& k : list_.keys) {
      if (hit.contains(k.parent)) hit.insert(k.id);
    }
  }
  for (VaultKey& k : list_.keys) {
    if (!hit.contains(k.id) || k.state == VaultKeyState::revoked) continue;
    k.state = state;
    k.changed = now;
    changed.push_back(k.id);
  }
  if (!changed.empty()) ++list_.version;
  co_return changed;
}

Task<Result<bool>> MemoryVaultKeys::rotate_vault_key(VaultKey fresh, std::string old,
                                                     UnixMillis old_ends) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  VaultKey* before = nullptr;
  for (VaultKey& k : list_.keys) {
    if (k.id == fresh.id || k.pair_id == fresh.pair_id) co_return false;
    if (k.id == old && k.state != VaultKeyState::revoked) before = &k;
  }
  if (before == nullptr) co_return false;
  if (!before->expires || *before->expires > old_ends) before->expires = old_ends;
  for (VaultKey& k : list_.keys) {
    if (k.parent == old) k.parent = fresh.id;
  }
  fresh.state = before->state;  // somebody may have paused it since the new one was made up
  list_.keys.push_back(std::move(fresh));
  ++list_.version;
  co_return true;
}

Task<Result<>> MemoryVaultKeys::put_credential(std::string vendor, std::string sealed_base64,
                                               UnixMillis now) {
  std::ignore = now;
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  credentials_[std::move(vendor)] = std::move(sealed_base64);
  ++list_.version;
  co_return Result<>{};
}

Task<Result<std::optional<std::string>>> MemoryVaultKeys::find_credential(std::string vendor) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto found = credentials_.find(vendor);
  if (found == credentials_.end()) co_return std::optional<std::string>{};
  co_return std::optional<std::string>(found->second);
}

}  // namespace octroi::ledger
