// octroi/app/vault_keys.h: issuing vault keys and sealing real ones, for the running server and for
// commands that open the store themselves.
//
// Errors   VaultKeyErrc, with what to write instead; the store's.   Thread: the caller's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/base/random.h"
#include "octroi/crypto/aead.h"
#include "octroi/json/value.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

enum class VaultKeyErrc : std::uint8_t {
  bad_request,   // a field of a request that makes no sense; the message names it
  no_vault,      // the configuration has no vault section, or the store keeps no keys
  not_found,     // no such key
  bad_key_file,  // the key file does not hold what it should
};
ErrorInfo error_info(VaultKeyErrc e);

struct KeyRequest {
  std::string vendor, policy, name, server, agent, run;
  bool test = false;
  std::string shape;  // "", "vault" or "vendor", or one of a vendor's ("stripe", "restricted", …)
  std::optional<UnixMillis> expires;
  [[nodiscard]] static Result<KeyRequest> from_json(const json::Value& root);
  [[nodiscard]] std::string to_json() const;
};

/// {"id","key",…}: the one time that the text of the key is seen.
Task<Result<std::string>> issue_key(ledger::Store& store, const vault::VaultSettings& settings,
                                    KeyRequest request, UnixMillis now);
/// {"keys":[…]} and one of them, without anything that opens.
[[nodiscard]] std::string keys_json(const ledger::VaultKeyList& list,
                                    const ledger::VaultKeyFilter& filter);
[[nodiscard]] std::string key_json(const ledger::VaultKey& key);
/// {"id","revoked_at"} of one key, {"ids",…} of several.
[[nodiscard]] std::string changed_json(const std::vector<std::string>& ids,
                                       ledger::VaultKeyState state, UnixMillis now, bool one);

/// Opens and seals credentials; the key file (64 hexadecimal digits, 0600) is made when missing.
class CredentialSeal {
 public:
  [[nodiscard]] static Result<CredentialSeal> open(const std::string& key_file);
  [[nodiscard]] Result<std::string> seal(const Secret& real, const std::string& vendor) const;
  [[nodiscard]] Result<Secret> unseal(const std::string& sealed, const std::string& vendor) const;

 private:
  explicit CredentialSeal(crypto::AeadKey key) : key_(std::move(key)) {}
  crypto::AeadKey key_;
};

/// Writes what an administrator did into the audit.
Task<Result<>> audit_change(ledger::Store& store, std::string what, std::string key_id,
                            std::string detail);

}  // namespace octroi::app
