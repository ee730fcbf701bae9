// octroi/app/vault_seal.h: seals what the vault keeps: registered real keys, its authority's key,
// and what the secrets of keys that sign are derived from.
//
// Key      one of `vault.key_file` (64 hexadecimal digits, 0600, made when missing), `vault.key`
//          (32 bytes as hex or base64, which are the key, or a longer text, which HKDF makes one
//          of), `vault.key_passphrase` (Argon2id) and `vault.key_transit` (a key that stays in a
//          KMS, which wraps data keys of ours).
// Text     base64 of what octroi/crypto/aead.h makes; under a passphrase behind
//          "argon2id:<passes>:<KiB>:<salt in base64>:", under a KMS behind
//          "transit:<the wrapped data key>:", so that each says how it is opened, on any replica,
//          also after the costs or the data key have changed.
// Errors   VaultKeyErrc::bad_key_file; FileErrc; secrets::Errc of a KMS.
// Thread   any; a passphrase takes up to a second a salt, and a KMS is asked once a process for
//          each data key, some seconds at most: not a worker's loop.
#pragma once

#include <memory>
#include <string>

#include "octroi/base/secret.h"
#include "octroi/crypto/aead.h"
#include "octroi/crypto/kdf.h"
#include "octroi/ledger/store.h"
#include "octroi/secrets/key_service.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

enum class VaultKeyErrc : std::uint8_t {
  bad_request,   // a field of a request that makes no sense; the message names it
  no_vault,      // the configuration has no vault section, or the store keeps no keys
  not_found,     // no such key
  conflict,      // it is decided, used or over already
  bad_key_file,  // the key of sealing is not what it should be, or another one
};
ErrorInfo error_info(VaultKeyErrc e);

/// What a passphrase is stretched with: half a second and 64 MiB, which small machines have as
/// well.
inline constexpr crypto::Argon2Cost kSealCost{.passes = 3, .memory_kib = 64 * 1024};
inline constexpr std::size_t kLeastKeyText = 32;
inline constexpr std::size_t kLeastPassphrase = 12;

/// Whether the settings name a key of sealing.
[[nodiscard]] bool has_seal(const vault::VaultSettings& settings);

class CredentialSeal {
 public:
  /// Reads the key, or makes its file.
  [[nodiscard]] static Result<CredentialSeal> open(const vault::VaultSettings& settings);
  [[nodiscard]] static Result<CredentialSeal> of_key(const Secret& text);
  [[nodiscard]] static Result<CredentialSeal> of_passphrase(std::shared_ptr<const Secret> text);
  [[nodiscard]] static Result<CredentialSeal> of_service(
      std::shared_ptr<const secrets::KeyService> service);
  /// `make`: whether a missing file is made.
  [[nodiscard]] static Result<CredentialSeal> of_file(const std::string& path, bool make);

  /// `vendor` is authenticated: what was sealed for one opens for no other.
  [[nodiscard]] Result<std::string> seal(const Secret& real, const std::string& vendor) const;
  [[nodiscard]] Result<Secret> unseal(const std::string& sealed, const std::string& vendor) const;
  /// Whether sealing it again would change nothing of worth: it opens, and the key that wraps its
  /// data key has no newer version.
  [[nodiscard]] bool keeps(const std::string& sealed, const std::string& vendor) const;

 private:
  friend Task<Result<Secret>> signer_master(ledger::Store& store, CredentialSeal seal);
  CredentialSeal() = default;
  static Result<CredentialSeal> of_bytes(Secret raw);

  [[nodiscard]] Result<Secret> unseal_stretched(std::string_view text,
                                                const std::string& vendor) const;
  [[nodiscard]] Result<Secret> unseal_wrapped(std::string_view text,
                                              const std::string& vendor) const;

  // One of these three:
  std::shared_ptr<const crypto::AeadKey> key_;
  std::shared_ptr<const Secret> passphrase_;
  std::shared_ptr<const secrets::KeyService> service_;
  std::shared_ptr<const Secret> signer_;  // what a key's own signer master is
};

/// What secrets of keys that sign are derived from: the same as long as the store lives, also after
/// `octroi vault rekey`.
[[nodiscard]] Task<Result<Secret>> signer_master(ledger::Store& store,
                                                 const vault::VaultSettings& settings);
[[nodiscard]] Task<Result<Secret>> signer_master(ledger::Store& store, CredentialSeal seal);

/// Where it is kept once the key of sealing alone does not tell it: among the credentials, under a
/// name that no vendor can have.
inline constexpr const char* kSignerFor = "\nsigner";

}  // namespace octroi::app
