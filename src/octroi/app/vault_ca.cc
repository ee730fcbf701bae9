#include "octroi/app/vault_ca.h"

#include <filesystem>

#include "octroi/app/vault_keys.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"

namespace octroi::app {

namespace {

// No vendor can be called so: names of vendors are keys of the configuration.
const std::string kSealedFor = "\nauthority";
constexpr std::string_view kEndOfCertificate = "-----END CERTIFICATE-----\n";
constexpr std::string_view kSealedKey = "octroi-sealed-key: ";
constexpr std::size_t kMostText = std::size_t{16} * 1024;
constexpr Millis kLife = std::chrono::hours(24 * 365 * 5);
constexpr Millis kWarnBefore = std::chrono::hours(24 * 60);

Result<std::string> make_text(const CredentialSeal& seal, UnixMillis now) {
  // Two of them are two lines in a list of authorities.
  const std::string name = "octroi vault CA " + to_hex(system_random().bytes<4>());
  OCTROI_TRY(const auto made, net::TlsAuthority::make(name, now, kLife));
  OCTROI_TRY(const std::string sealed, seal.seal(made.key_pem, kSealedFor));
  return made.certificate_pem + std::string(kSealedKey) + sealed + "\n";
}

/// Nothing is made, and nobody asked to seal it, where there is one already.
Result<Secret> load_or_make(const std::string& path, const CredentialSeal& seal, UnixMillis now) {
  std::string fresh;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) {
    OCTROI_TRY(fresh, make_text(seal, now));
  }
  return load_or_create_secret_file(path, {64, kMostText},
                                    [&] { return Secret::take(std::move(fresh)); });
}

}  // namespace

Result<std::shared_ptr<const net::TlsAuthority>> open_vault_ca(const vault::VaultSettings& settings,
                                                               UnixMillis now) {
  const std::string& path = settings.proxy.ca_file;
  if (!settings.proxy.enabled || path.empty() || !has_seal(settings))
    return std::shared_ptr<const net::TlsAuthority>();
  OCTROI_TRY(const auto seal, CredentialSeal::open(settings));
  OCTROI_TRY(const Secret text, load_or_make(path, seal, now));
  const std::string_view all = text.reveal_text();
  const std::size_t end = all.find(kEndOfCertificate);
  const std::size_t key = end == std::string_view::npos ? end : end + kEndOfCertificate.size();
  if (key == std::string_view::npos || !all.substr(key).starts_with(kSealedKey))
    return fail(VaultKeyErrc::bad_key_file,
                path +
                    ": is no authority of octroi's; remove it, and a new one is made, which "
                    "clients have to trust anew");
  std::string_view sealed = all.substr(key + kSealedKey.size());
  while (sealed.ends_with('\n')) sealed.remove_suffix(1);
  auto opened = seal.unseal(std::string(sealed), kSealedFor);
  if (!opened)
    return fail(
        VaultKeyErrc::bad_key_file,
        path +
            ": its key was sealed with another key than the one of this vault; copy that one, too");
  auto authority = net::TlsAuthority::open(all.substr(0, key), *opened);
  if (!authority) return fail(std::move(authority).error().within(path));
  if ((*authority)->valid_until() - now < kWarnBefore)
    OCTROI_LOG(warn, "vault", "the proxy's authority ends soon: remove its file for a new one",
               {{"file", path}, {"until", to_rfc3339((*authority)->valid_until())}});
  return authority;
}

Result<bool> reseal_vault_ca(const std::string& path, const CredentialSeal& from,
                             const CredentialSeal& to) {
  const auto text = read_secret_file(path, kMostText);
  if (!text && text.error().kind() == ErrorKind::not_found) return false;
  if (!text) return fail(text.error());
  const std::string_view all = text->reveal_text();
  const std::size_t at = all.find(kSealedKey);
  if (at == std::string_view::npos)
    return fail(VaultKeyErrc::bad_key_file, path + ": is no authority of octroi's");
  std::string_view sealed = all.substr(at + kSealedKey.size());
  while (sealed.ends_with('\n')) sealed.remove_suffix(1);
  if (to.keeps(std::string(sealed), kSealedFor)) return false;
  auto key = from.unseal(std::string(sealed), kSealedFor);
  if (!key) return fail(std::move(key).error().within(path));
  OCTROI_TRY(const std::string again, to.seal(*key, kSealedFor));
  const std::string whole = std::string(all.substr(0, at)) + std::string(kSealedKey) + again + "\n";
  OCTROI_CHECK(write_file_atomic(path, as_bytes(whole)));
  return true;
}

}  // namespace octroi::app
