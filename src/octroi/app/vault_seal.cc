#include "octroi/app/vault_seal.h"

#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/crypto/hkdf.h"
#include "octroi/ledger/vault_keys.h"

namespace octroi::app {

ErrorInfo error_info(VaultKeyErrc e) {
  switch (e) {
    case VaultKeyErrc::bad_request:
      return {"vault.bad-request", ErrorKind::invalid};
    case VaultKeyErrc::no_vault:
      return {"vault.not-configured", ErrorKind::invalid};
    case VaultKeyErrc::not_found:
      return {"vault.no-such-key", ErrorKind::not_found};
    case VaultKeyErrc::conflict:
      return {"vault.conflict", ErrorKind::conflict};
    case VaultKeyErrc::bad_key_file:
      return {"vault.bad-key-file", ErrorKind::invalid};
  }
  return {"vault.unknown", ErrorKind::internal};
}

namespace {

constexpr std::string_view kStretched = "argon2id:";
constexpr std::string_view kWrapped = "transit:";
// What a text from outside may make this process do.
constexpr crypto::Argon2Cost kMostCost{.passes = 16, .memory_kib = 512 * 1024};

std::string associated(const std::string& vendor) { return "octroi vault credential\n" + vendor; }

/// The two ways in which a passphrase and a salt give a key.
struct Stretch {
  crypto::Argon2Cost cost = kSealCost;
  Bytes salt;
};

/// Keys that passphrases have given in this process. It is the same few as long as it runs, and
/// each takes half a second to find again.
class StretchedKeys {
 public:
  Result<Secret> key(const Secret& passphrase, const Stretch& how) {
    const std::string name = name_of(passphrase, how);
    const std::lock_guard lock(guard_);
    if (const auto it = known_.find(name); it != known_.end()) return it->second.clone();
    OCTROI_TRY(Secret made, crypto::argon2id(passphrase, how.salt, how.cost));
    if (known_.size() >= kMost) known_.clear();
    known_.emplace(name, made.clone());
    return made;
  }
  /// What to seal the next one with: one salt for all that a process seals.
  Stretch current(const Secret& passphrase) {
    const std::string name = name_of(passphrase, {});
    const std::lock_guard lock(guard_);
    if (current_ != name) {
      const auto salt = system_random().bytes<crypto::kArgon2SaltSize>();
      salt_.assign(salt.begin(), salt.end());
      current_ = name;
    }
    return {kSealCost, salt_};
  }

 private:
  static constexpr std::size_t kMost = 64;
  static std::string name_of(const Secret& passphrase, const Stretch& how) {
    const auto digest = crypto::hmac_sha256(passphrase.reveal(), how.salt);
    return fmt::format("{} {} {}", how.cost.passes, how.cost.memory_kib, to_hex(digest));
  }

  std::mutex guard_;
  std::map<std::string, Secret> known_;
  std::string current_;
  Bytes salt_;
};

StretchedKeys& stretched_keys() {
  static StretchedKeys keys;
  return keys;
}

/// A data key, and what a service made of it.
struct DataKey {
  std::string wrapped;
  Secret key;
};

/// Data keys that this process has drawn, or had unwrapped: few, and each costs a call.
class DataKeys {
 public:
  Result<Secret> unwrap(const secrets::KeyService& service, const std::string& wrapped) {
    const std::string name = service.name() + " " + wrapped;
    {
      const std::lock_guard lock(guard_);
      if (const auto it = known_.find(name); it != known_.end()) return it->second.clone();
      if (failed_ && system_clock().now() < ask_again_ && service.name() == failed_at_)
        return fail(*failed_);
    }
    auto key = service.unwrap(wrapped);
    const std::lock_guard lock(guard_);
    if (!key) {
      remember(service.name(), key.error());
      return key;
    }
    failed_.reset();
    redactor().add(*key);
    if (known_.size() >= kMost) known_.clear();
    known_.emplace(name, key->clone());
    return key;
  }
  /// What to seal the next one with: one for all that a process seals.
  Result<DataKey> current(const secrets::KeyService& service) {
    {
      const std::lock_guard lock(guard_);
      if (current_ && current_for_ == service.name())
        return DataKey{current_->wrapped, current_->key.clone()};
    }
    DataKey drawn;
    drawn.key = system_random().secret(crypto::kAeadKeySize);
    redactor().add(drawn.key);
    OCTROI_TRY(drawn.wrapped, service.wrap(drawn.key));
    const std::lock_guard lock(guard_);
    known_.emplace(service.name() + " " + drawn.wrapped, drawn.key.clone());
    current_ = DataKey{drawn.wrapped, drawn.key.clone()};
    current_for_ = service.name();
    return drawn;
  }

 private:
  static constexpr std::size_t kMost = 256;
  static constexpr Millis kPause{10'000};

  /// Who tries again every second must not wait for a silent service each time.
  void remember(const std::string& name, const Error& error) {
    const bool passes =
        error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout;
    if (!passes) return;
    failed_ = error;
    failed_at_ = name;
    ask_again_ = system_clock().now() + kPause;
  }

  std::mutex guard_;
  std::map<std::string, Secret> known_;
  std::optional<DataKey> current_;
  std::string current_for_;
  std::optional<Error> failed_;
  std::string failed_at_;
  UnixMillis ask_again_{};
};

DataKeys& data_keys() {
  static DataKeys keys;
  return keys;
}

/// "vault:v3": whose key, and which version of it.
std::string_view version_of(std::string_view wrapped) {
  return wrapped.substr(0, wrapped.rfind(':'));
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

tl::unexpected<Error> damaged() {
  return fail(VaultKeyErrc::bad_key_file, "a sealed credential is damaged");
}

/// "vault:v1:<base64>:<sealed>"
Result<std::pair<std::string, std::string_view>> read_wrapped(std::string_view text) {
  const std::size_t colon = text.rfind(':');  // base64 has none
  if (colon == std::string_view::npos || colon == 0) return damaged();
  return std::pair{std::string(text.substr(0, colon)), text.substr(colon + 1)};
}

/// "3:65536:<salt>:<sealed>"
Result<std::pair<Stretch, std::string_view>> read_stretched(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t colon = text.find(':'); colon != std::string_view::npos && parts.size() < 3;
       colon = text.find(':')) {
    parts.push_back(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  if (parts.size() != 3) return damaged();
  const auto passes = number(parts[0]);
  const auto memory = number(parts[1]);
  auto salt = from_base64(parts[2]);
  const bool sane = passes && memory && *passes <= kMostCost.passes &&
                    *memory <= kMostCost.memory_kib && salt &&
                    salt->size() == crypto::kArgon2SaltSize;
  if (!sane) return damaged();
  return std::pair{Stretch{{*passes, *memory}, *std::move(salt)}, text};
}

Secret signer_of(const Secret& raw) {
  constexpr std::string_view kFor = "octroi vault keys that sign";
  auto mac = crypto::hmac_sha256(raw.reveal(), as_bytes(kFor));
  Secret out{ByteView(mac)};
  secure_wipe(mac.data(), mac.size());
  return out;
}

Result<Secret> open_with(const crypto::AeadKey& key, std::string_view sealed,
                         const std::string& vendor) {
  const auto raw = from_base64(sealed);
  if (!raw) return damaged();
  const std::string name = associated(vendor);
  auto opened = key.open(*raw, as_bytes(name));
  if (opened) return opened;
  return fail(VaultKeyErrc::bad_key_file,
              "the credential of " + vendor +
                  " was sealed with another key: vault.key_file, "
                  "vault.key or vault.key_passphrase is not what it was");
}

}  // namespace

bool has_seal(const vault::VaultSettings& settings) {
  return !settings.key_file.empty() || settings.seal_key != nullptr ||
         settings.seal_passphrase != nullptr || !settings.key_transit.empty();
}

Result<CredentialSeal> CredentialSeal::of_bytes(Secret raw) {
  CredentialSeal out;
  out.signer_ = std::make_shared<const Secret>(signer_of(raw));
  OCTROI_TRY(auto key, crypto::AeadKey::from_secret(std::move(raw)));
  out.key_ = std::make_shared<const crypto::AeadKey>(std::move(key));
  return out;
}

namespace {

/// The key usually stands beside a store that is not there before the first command, which may be
/// this one. Its folder is made as the store makes it; where it cannot be, writing the key says so.
void make_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) (void)::mkdir(folder.c_str(), 0700);
}

}  // namespace

Result<CredentialSeal> CredentialSeal::of_file(const std::string& path, bool make) {
  if (make) make_folder_of(path);
  OCTROI_TRY(const Secret text,
             make ? load_or_create_secret_file(path, {64, 65},
                                               [] {
                                                 const Secret raw =
                                                     system_random().secret(crypto::kAeadKeySize);
                                                 return Secret::take(to_hex(raw.reveal()));
                                               })
                  : read_secret_file(path, 65));
  std::string_view hex = text.reveal_text();
  if (hex.ends_with('\n')) hex.remove_suffix(1);
  auto raw = from_hex(hex);
  if (!raw || raw->size() != crypto::kAeadKeySize)
    return fail(VaultKeyErrc::bad_key_file, path + ": must hold 64 hexadecimal digits");
  return of_bytes(Secret::take(std::move(*raw)));
}

Result<CredentialSeal> CredentialSeal::of_key(const Secret& text) {
  const std::string_view written = text.reveal_text();
  std::array readings{from_hex(written), from_base64_any(written)};
  for (auto& raw : readings) {
    if (!raw) continue;
    const bool whole = raw->size() == crypto::kAeadKeySize;
    Secret bytes = Secret::take(std::move(*raw));
    if (whole) return of_bytes(std::move(bytes));
  }
  if (text.size() < kLeastKeyText)
    return fail(VaultKeyErrc::bad_key_file,
                fmt::format("vault.key: needs 32 bytes as hex or base64, or a text of at least {} "
                            "characters",
                            kLeastKeyText));
  constexpr std::string_view kFor = "octroi vault key of sealing";
  OCTROI_TRY(Secret raw, crypto::hkdf_sha256(text, {}, as_bytes(kFor), crypto::kAeadKeySize));
  return of_bytes(std::move(raw));
}

Result<CredentialSeal> CredentialSeal::of_passphrase(std::shared_ptr<const Secret> text) {
  if (text->size() < kLeastPassphrase)
    return fail(
        VaultKeyErrc::bad_key_file,
        fmt::format("vault.key_passphrase: needs at least {} characters", kLeastPassphrase));
  CredentialSeal out;
  out.passphrase_ = std::move(text);
  return out;
}

Result<CredentialSeal> CredentialSeal::of_service(
    std::shared_ptr<const secrets::KeyService> service) {
  if (service == nullptr)
    return fail(VaultKeyErrc::bad_key_file, "vault.key_transit: there is nobody to ask for it");
  CredentialSeal out;
  out.service_ = std::move(service);
  return out;
}

Result<CredentialSeal> CredentialSeal::open(const vault::VaultSettings& settings) {
  if (!settings.key_transit.empty()) return of_service(settings.seal_service);
  if (settings.seal_passphrase != nullptr) return of_passphrase(settings.seal_passphrase);
  if (settings.seal_key != nullptr) return of_key(*settings.seal_key);
  if (settings.key_file.empty())
    return fail(VaultKeyErrc::bad_key_file,
                "vault.key_file: name the file of the key that credentials are sealed with, or "
                "write vault.key, vault.key_passphrase or vault.key_transit");
  return of_file(settings.key_file, /*make=*/true);
}

Result<std::string> CredentialSeal::seal(const Secret& real, const std::string& vendor) const {
  const std::string name = associated(vendor);
  if (key_) {
    OCTROI_TRY(const Bytes sealed, key_->seal(real, as_bytes(name), system_random()));
    return to_base64(sealed);
  }
  if (service_) {
    OCTROI_TRY(DataKey with, data_keys().current(*service_));
    OCTROI_TRY(const auto key, crypto::AeadKey::from_secret(std::move(with.key)));
    OCTROI_TRY(const Bytes sealed, key.seal(real, as_bytes(name), system_random()));
    return fmt::format("{}{}:{}", kWrapped, with.wrapped, to_base64(sealed));
  }
  const Stretch how = stretched_keys().current(*passphrase_);
  OCTROI_TRY(Secret raw, stretched_keys().key(*passphrase_, how));
  OCTROI_TRY(const auto key, crypto::AeadKey::from_secret(std::move(raw)));
  OCTROI_TRY(const Bytes sealed, key.seal(real, as_bytes(name), system_random()));
  return fmt::format("{}{}:{}:{}:{}", kStretched, how.cost.passes, how.cost.memory_kib,
                     to_base64(how.salt), to_base64(sealed));
}

Result<Secret> CredentialSeal::unseal(const std::string& sealed, const std::string& vendor) const {
  const std::string_view text = sealed;
  const bool stretched = text.starts_with(kStretched);
  const bool wrapped = text.starts_with(kWrapped);
  if (stretched && passphrase_) return unseal_stretched(text.substr(kStretched.size()), vendor);
  if (wrapped && service_) return unseal_wrapped(text.substr(kWrapped.size()), vendor);
  if (!stretched && !wrapped && key_) return open_with(*key_, text, vendor);
  const std::string_view with = stretched ? "a passphrase: write vault.key_passphrase"
                                : wrapped ? "a key of a transit engine: write vault.key_transit"
                                          : "a key: write vault.key_file or vault.key";
  return fail(VaultKeyErrc::bad_key_file,
              fmt::format("the credential of {} was sealed with {}", vendor, with));
}

Result<Secret> CredentialSeal::unseal_stretched(std::string_view text,
                                                const std::string& vendor) const {
  OCTROI_TRY(const auto read, read_stretched(text));
  OCTROI_TRY(Secret raw, stretched_keys().key(*passphrase_, read.first));
  OCTROI_TRY(const auto key, crypto::AeadKey::from_secret(std::move(raw)));
  return open_with(key, read.second, vendor);
}

Result<Secret> CredentialSeal::unseal_wrapped(std::string_view text,
                                              const std::string& vendor) const {
  OCTROI_TRY(const auto read, read_wrapped(text));
  OCTROI_TRY(Secret raw, data_keys().unwrap(*service_, read.first));
  if (raw.size() != crypto::kAeadKeySize)
    return fail(VaultKeyErrc::bad_key_file, "what the transit key unwrapped is no key of octroi's");
  OCTROI_TRY(const auto key, crypto::AeadKey::from_secret(std::move(raw)));
  return open_with(key, read.second, vendor);
}

bool CredentialSeal::keeps(const std::string& sealed, const std::string& vendor) const {
  if (!unseal(sealed, vendor)) return false;
  if (!service_) return true;
  const auto read = read_wrapped(std::string_view(sealed).substr(kWrapped.size()));
  const auto newest = data_keys().current(*service_);
  return read && newest && version_of(read->first) == version_of(newest->wrapped);
}

Task<Result<Secret>> signer_master(ledger::Store& store, const vault::VaultSettings& settings) {
  OCTROI_CO_TRY(auto seal, CredentialSeal::open(settings));
  co_return co_await signer_master(store, std::move(seal));
}

Task<Result<Secret>> signer_master(ledger::Store& store, CredentialSeal seal) {
  OCTROI_CO_TRY(const auto kept, co_await store.vault_keys()->find_credential(kSignerFor));
  if (kept) co_return seal.unseal(*kept, kSignerFor);
  if (seal.signer_ != nullptr) co_return seal.signer_->clone();
  // Under a passphrase each text has a salt of its own, under a KMS any data key, so the master is
  // drawn, and kept.
  OCTROI_CO_TRY(const std::string drawn,
                seal.seal(system_random().secret(crypto::kAeadKeySize), kSignerFor));
  OCTROI_CO_TRY(const Secret first, co_await store.get_or_put_secret(
                                        "vault.signer_master", Secret(std::string_view(drawn))));
  co_return seal.unseal(std::string(first.reveal_text()), kSignerFor);
}

}  // namespace octroi::app
