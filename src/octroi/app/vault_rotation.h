// octroi/app/vault_rotation.h: the real key of a vendor gives way to a new one, for the running
// server and for commands that open the store themselves: staged, tried, switched to, and for a
// while there is a way back. Each step is a row of the audit before it is taken.
//
// Whatever ends in between (a crash, a refusal) leaves the key in use as it is; what was staged is
// wiped by the next server that looks.
//
// Errors   VaultKeyErrc, vault::KeyCheckErrc, the store's.   Thread: the loop of the clients.
// Source   issue 6, "Secrets".
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/ledger/store.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

struct RealKeyRotation {
  std::string sealed;                      // by CredentialSeal, for the vendor
  Millis overlap = std::chrono::hours(1);  // how long there is a way back; 0: none
  bool verify = true;
  [[nodiscard]] static Result<RealKeyRotation> from_json(std::string_view text);
  [[nodiscard]] std::string to_json() const;
};

struct RotationMeans {
  ledger::Store* store;
  vault::VendorClients* clients;
  vault::VaultSettings settings;
  /// Awaited once the new key is staged, before the vendor sees it: from then on no answer shows
  /// it. Empty: nothing is served here.
  std::function<Task<Result<>>()> staged = {};
};

/// {"vendor","label","replaces","verified","account_checked","until"}
Task<Result<std::string>> rotate_real_key(RotationMeans means, std::string vendor,
                                          RealKeyRotation wanted);
/// {"vendor","label","replaces","until"}
Task<Result<std::string>> roll_back_real_key(ledger::Store* store, vault::VaultSettings settings,
                                             std::string vendor, UnixMillis now);
/// {"vendors":[{"vendor","source","versions":[{"state","label","since",…}]}]}, or one of them.
Task<Result<std::string>> show_real_keys(ledger::Store* store, vault::VaultSettings settings,
                                         std::string vendor);
/// Wipes what is over. Of several servers each version is told by one.
Task<Result<>> wipe_real_keys(ledger::Store* store, UnixMillis now);

}  // namespace octroi::app
