#include "octroi/ledger/memory_vault_keys.h"

#include <algorithm>
#include <set>
#include <tuple>
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

Credential* MemoryVaultKeys::credential(const std::string& vendor, CredentialState state) {
  for (Credential& c : credentials_) {
    if (c.vendor == vendor && c.state == state) return &c;
  }
  return nullptr;
}

void MemoryVaultKeys::wipe(const std::string& vendor, CredentialState state) {
  std::erase_if(credentials_,
                [&](const Credential& c) { return c.vendor == vendor && c.state == state; });
}

Task<Result<>> MemoryVaultKeys::put_credential(std::string vendor, std::string sealed_base64,
                                               UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::erase_if(credentials_, [&](const Credential& c) { return c.vendor == vendor; });
  Credential fresh;
  fresh.vendor = std::move(vendor);
  fresh.version = ++list_.version;
  fresh.sealed = std::move(sealed_base64);
  fresh.since = now;
  credentials_.push_back(std::move(fresh));
  co_return Result<>{};
}

Task<Result<std::optional<std::string>>> MemoryVaultKeys::find_credential(std::string vendor) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const Credential* found = credential(vendor, CredentialState::current);
  if (found == nullptr) co_return std::optional<std::string>{};
  co_return std::optional<std::string>(found->sealed);
}

Task<Result<std::vector<Credential>>> MemoryVaultKeys::list_credentials() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Credential> out = credentials_;
  std::ranges::sort(out, [](const Credential& a, const Credential& b) {
    return std::tie(a.vendor, a.version) < std::tie(b.vendor, b.version);
  });
  co_return out;
}

Task<Result<std::optional<std::int64_t>>> MemoryVaultKeys::stage_credential(
    std::string vendor, std::string sealed_base64, UnixMillis now, UnixMillis until) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  if (credential(vendor, CredentialState::current) == nullptr)
    co_return std::optional<std::int64_t>{};
  wipe(vendor, CredentialState::pending);
  Credential fresh;
  fresh.vendor = std::move(vendor);
  fresh.version = ++list_.version;
  fresh.state = CredentialState::pending;
  fresh.sealed = std::move(sealed_base64);
  fresh.since = now;
  fresh.until = until;
  credentials_.push_back(std::move(fresh));
  co_return std::optional<std::int64_t>(list_.version);
}

Task<Result<bool>> MemoryVaultKeys::switch_credential(CredentialSwitch wanted) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const Credential* from = credential(wanted.vendor, CredentialState::current);
  const Credential* to = credential(wanted.vendor, CredentialState::pending);
  if (from == nullptr || to == nullptr || from->version != wanted.from || to->version != wanted.to)
    co_return false;
  wipe(wanted.vendor, CredentialState::previous);
  if (wanted.keep_until) {
    Credential* before = credential(wanted.vendor, CredentialState::current);
    before->state = CredentialState::previous;
    before->until = wanted.keep_until;
  } else {
    wipe(wanted.vendor, CredentialState::current);
  }
  Credential* now = credential(wanted.vendor, CredentialState::pending);
  now->state = CredentialState::current;
  now->account = std::move(wanted.account);
  now->verified = wanted.verified;
  now->since = wanted.now;
  now->until = std::nullopt;
  ++list_.version;
  co_return true;
}

Task<Result<std::optional<std::int64_t>>> MemoryVaultKeys::roll_back_credential(std::string vendor,
                                                                                std::int64_t from,
                                                                                UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const Credential* const in_use = credential(vendor, CredentialState::current);
  const Credential* const before = credential(vendor, CredentialState::previous);
  if (in_use == nullptr || before == nullptr || in_use->version != from ||
      before->until.value_or(now) <= now)
    co_return std::optional<std::int64_t>{};
  wipe(vendor, CredentialState::pending);
  Credential* current = credential(vendor, CredentialState::current);
  Credential* previous = credential(vendor, CredentialState::previous);
  std::swap(current->until, previous->until);
  std::swap(current->state, previous->state);
  previous->since = now;
  ++list_.version;
  co_return std::optional<std::int64_t>(previous->version);
}

Task<Result<bool>> MemoryVaultKeys::drop_credential(std::string vendor, std::int64_t version) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const Credential* pending = credential(vendor, CredentialState::pending);
  if (pending == nullptr || pending->version != version) co_return false;
  wipe(vendor, CredentialState::pending);
  ++list_.version;
  co_return true;
}

Task<Result<std::vector<Credential>>> MemoryVaultKeys::wipe_credentials(UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Credential> over;
  std::erase_if(credentials_, [&](Credential& c) {
    if (!c.until || *c.until > now) return false;
    over.push_back(std::move(c));
    over.back().sealed.clear();
    return true;
  });
  if (!over.empty()) ++list_.version;
  co_return over;
}

Task<Result<bool>> MemoryVaultKeys::reseal_credentials(std::vector<Resealed> all, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Credential> next = credentials_;
  std::size_t named = 0;
  for (Resealed& one : all) {
    const auto it = std::ranges::find_if(next, [&](const Credential& c) {
      return c.vendor == one.vendor &&
             (one.version == 0 ? c.state == CredentialState::current : c.version == one.version);
    });
    if (one.version == 0) {
      if (it != next.end()) co_return false;
      Credential fresh;
      fresh.vendor = std::move(one.vendor);
      fresh.version = list_.version + 1;  // what the list's version becomes below
      fresh.since = now;
      fresh.sealed = std::move(one.after);
      next.push_back(std::move(fresh));
      continue;
    }
    if (it == next.end() || it->sealed != one.before) co_return false;
    it->sealed = std::move(one.after);
    ++named;
  }
  if (named != credentials_.size()) co_return false;
  credentials_ = std::move(next);
  ++list_.version;
  co_return true;
}

}  // namespace octroi::ledger
