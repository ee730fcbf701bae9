// octroi/adapters/hashivault/kv_provider.h: vault://mount/path[?version=3][&kv=1]#field, out of the
// key-value engine of HashiCorp Vault or OpenBao.
//
//   VAULT_ADDR        https://vault.example:8200     plain http for loopback addresses only
//   VAULT_TOKEN       or VAULT_TOKEN_FILE, which an agent may renew
//   VAULT_NAMESPACE   VAULT_CACERT (a file in PEM)   VAULT_TLS_SERVER_NAME
//
// BAO_… instead of VAULT_… wins where both are set. `field` is a member of the data, or a path into
// it ("tls.key"); it must be a text.
// Errors   secrets::Errc: not_set (no address, no token, nothing at the path), unreadable (the
//          server says no), no_field, empty, unavailable, timeout, bad_reference for an option.
// Thread   blocking: start-up and the control thread.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "octroi/http/client.h"
#include "octroi/secrets/program.h"
#include "octroi/secrets/provider.h"

namespace octroi::hashivault {

/// Where the server is and what it is shown, as the environment says.
struct Server {
  http::Url url;  // its target is the prefix of paths, without a slash at its end
  std::string name_space;
  std::string ca_file;
  std::string tls_name;
  [[nodiscard]] static Result<Server> from(const secrets::Variables& environment);
};
/// The token as it is now.
[[nodiscard]] Result<Secret> token_from(const secrets::Variables& environment);

/// Which version of the engine is mounted where.
struct Mount {
  std::string path;  // "kv" or "team/kv"
  int version = 2;
};
/// From an answer about a mount.
[[nodiscard]] std::optional<Mount> read_mount(const Secret& body);
/// "/v1/kv/data/app?version=3"; the locator without the mount is the path in it.
[[nodiscard]] std::string target_of(const Mount& mount, const secrets::Reference& reference);
/// The secret in an answer with status 200.
[[nodiscard]] Result<secrets::Fetched> read_secret(const Secret& body, const Mount& mount,
                                                   const secrets::Reference& reference);

class KvProvider final : public secrets::SecretProvider {
 public:
  /// `environment`: of this process.
  explicit KvProvider(secrets::Variables environment, Millis timeout = Millis(10'000))
      : environment_(std::move(environment)), timeout_(timeout) {}
  [[nodiscard]] secrets::Scheme scheme() const override { return secrets::Scheme::vault; }
  [[nodiscard]] Result<secrets::Fetched> fetch(const secrets::Reference& reference) override;

 private:
  secrets::Variables environment_;
  Millis timeout_;
};

}  // namespace octroi::hashivault
