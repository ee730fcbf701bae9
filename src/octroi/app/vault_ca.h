// octroi/app/vault_ca.h: the vault's own certificate authority, in one file: its certificate in
// PEM, and its key, sealed like a registered credential.
//
// File     `vault.proxy.ca_file`, 0600, made on the first use. Replicas share one by copying it,
//          with the vault's key of sealing.
// Errors   VaultKeyErrc::bad_key_file; FileErrc.   Thread: blocking; not on a worker's loop.
#pragma once

#include <memory>

#include "octroi/app/vault_seal.h"
#include "octroi/net/tls_authority.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

/// Null when the configuration has no file for it or no proxy.
[[nodiscard]] Result<std::shared_ptr<const net::TlsAuthority>> open_vault_ca(
    const vault::VaultSettings& settings, UnixMillis now);

/// Seals its key anew, in one step. False: there is no file, or it is sealed so already.
[[nodiscard]] Result<bool> reseal_vault_ca(const std::string& path, const CredentialSeal& from,
                                           const CredentialSeal& to);

}  // namespace octroi::app
