#include "octroi/adapters/sql/vault_key_store.h"

#include <utility>

#include "octroi/adapters/sql/credential_operations.h"
#include "octroi/adapters/sql/store.h"
#include "octroi/adapters/sql/vault_key_operations.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {
/// All changes of the list stand in one lane.
constexpr std::uint64_t kKey = 0x7a017e95;
}  // namespace

Task<Result<bool>> SqlVaultKeys::add_vault_key(VaultKey key) {
  return lanes_.writer(kKey).call<bool>(
      kKey, [k = std::move(key)](Connection& db) { return sql::add_vault_key(db, k); });
}

Task<Result<VaultKeyList>> SqlVaultKeys::list_vault_keys() {
  return lanes_.reader().call<VaultKeyList>(
      0, [](Connection& db) { return sql::list_vault_keys(db); });
}

Task<Result<std::int64_t>> SqlVaultKeys::vault_keys_version() {
  return lanes_.reader().call<std::int64_t>(
      0, [](Connection& db) { return sql::vault_keys_version(db); });
}

Task<Result<std::vector<std::string>>> SqlVaultKeys::change_vault_keys(VaultKeyFilter which,
                                                                       VaultKeyState state,
                                                                       UnixMillis now) {
  return lanes_.writer(kKey).call<std::vector<std::string>>(
      kKey, [w = std::move(which), state, now](Connection& db) {
        return sql::change_vault_keys(db, w, state, now);
      });
}

Task<Result<bool>> SqlVaultKeys::rotate_vault_key(VaultKey fresh, std::string old,
                                                  UnixMillis old_ends) {
  return lanes_.writer(kKey).call<bool>(
      kKey, [k = std::move(fresh), o = std::move(old), old_ends](Connection& db) {
        return sql::rotate_vault_key(db, k, o, old_ends);
      });
}

Task<Result<>> SqlVaultKeys::put_credential(std::string vendor, std::string sealed_base64,
                                            UnixMillis now) {
  return lanes_.writer(kKey).call<void>(
      kKey, [v = std::move(vendor), s = std::move(sealed_base64), now](Connection& db) {
        return sql::put_credential(db, v, s, now);
      });
}

Task<Result<std::optional<std::string>>> SqlVaultKeys::find_credential(std::string vendor) {
  return lanes_.reader().call<std::optional<std::string>>(
      0, [v = std::move(vendor)](Connection& db) { return sql::find_credential(db, v); });
}

Task<Result<std::vector<Credential>>> SqlVaultKeys::list_credentials() {
  return lanes_.reader().call<std::vector<Credential>>(
      0, [](Connection& db) { return sql::list_credentials(db); });
}

Task<Result<std::optional<std::int64_t>>> SqlVaultKeys::stage_credential(std::string vendor,
                                                                         std::string sealed_base64,
                                                                         UnixMillis now,
                                                                         UnixMillis until) {
  return lanes_.writer(kKey).call<std::optional<std::int64_t>>(
      kKey, [v = std::move(vendor), s = std::move(sealed_base64), now, until](Connection& db) {
        return sql::stage_credential(db, v, s, now, until);
      });
}

Task<Result<bool>> SqlVaultKeys::switch_credential(CredentialSwitch wanted) {
  return lanes_.writer(kKey).call<bool>(
      kKey, [w = std::move(wanted)](Connection& db) { return sql::switch_credential(db, w); });
}

Task<Result<std::optional<std::int64_t>>> SqlVaultKeys::roll_back_credential(std::string vendor,
                                                                             std::int64_t from,
                                                                             UnixMillis now) {
  return lanes_.writer(kKey).call<std::optional<std::int64_t>>(
      kKey, [v = std::move(vendor), from, now](Connection& db) {
        return sql::roll_back_credential(db, v, from, now);
      });
}

Task<Result<bool>> SqlVaultKeys::drop_credential(std::string vendor, std::int64_t version) {
  return lanes_.writer(kKey).call<bool>(kKey, [v = std::move(vendor), version](Connection& db) {
    return sql::drop_credential(db, v, version);
  });
}

Task<Result<std::vector<Credential>>> SqlVaultKeys::wipe_credentials(UnixMillis now) {
  return lanes_.writer(kKey).call<std::vector<Credential>>(
      kKey, [now](Connection& db) { return sql::wipe_credentials(db, now); });
}

Task<Result<bool>> SqlVaultKeys::reseal_credentials(std::vector<Resealed> all, UnixMillis now) {
  return lanes_.writer(kKey).call<bool>(kKey, [a = std::move(all), now](Connection& db) {
    return sql::reseal_credentials(db, a, now);
  });
}

}  // namespace octroi::sql
