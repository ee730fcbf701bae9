// octroi/app/vault_keys.h: issuing vault keys and sealing real ones, for the running server and for
// commands that open the store themselves.
//
// Errors   VaultKeyErrc, with what to write instead; the store's.   Thread: the caller's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/app/vault_seal.h"
#include "octroi/base/random.h"
#include "octroi/json/value.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

struct KeyRequest {
  std::string vendor, policy, name, server, agent, run;
  std::string parent;    // the id of the key that it is narrower than
  std::string networks;  // "10.0.0.0/8,::1": where it may be used from
  bool test = false;
  bool canary = false;  // nobody should use it
  std::string shape;    // "", "vault" or "vendor", or one of a vendor's ("stripe", "restricted", …)
  std::optional<UnixMillis> expires;
  [[nodiscard]] static Result<KeyRequest> from_json(const json::Value& root);
  [[nodiscard]] std::string to_json() const;
};

/// {"id","key",…}: the one time that the text of the key is seen.
Task<Result<std::string>> issue_key(ledger::Store& store, const vault::VaultSettings& settings,
                                    KeyRequest request, UnixMillis now);
struct RotateRequest {
  Millis overlap = std::chrono::hours(1);  // how long the old one still works
  std::string shape;
  [[nodiscard]] static Result<RotateRequest> from_json(std::string_view text);
  [[nodiscard]] std::string to_json() const;
};
/// A new key in the place of one: same policy, bindings and counts; the old one ends after the
/// overlap. {"id","key","replaces",…}.
Task<Result<std::string>> rotate_key(ledger::Store& store, const vault::VaultSettings& settings,
                                     std::string id, RotateRequest request, UnixMillis now);
/// {"keys":[…]} and one of them, without anything that opens.
[[nodiscard]] std::string keys_json(const ledger::VaultKeyList& list,
                                    const ledger::VaultKeyFilter& filter);
[[nodiscard]] std::string key_json(const ledger::VaultKey& key);
/// {"id","revoked_at"} of one key, {"ids",…} of several.
[[nodiscard]] std::string changed_json(const std::vector<std::string>& ids,
                                       ledger::VaultKeyState state, UnixMillis now, bool one);

/// Writes what an administrator did into the audit.
Task<Result<>> audit_change(ledger::Store& store, std::string what, std::string key_id,
                            std::string detail);

}  // namespace octroi::app
