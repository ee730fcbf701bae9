// octroi/adapters/hashivault/server.h: where the server of HashiCorp Vault or OpenBao is, and who
// we are to it, as the environment says.
//
//   VAULT_ADDR           https://vault.example:8200     plain http for loopback addresses only
//   VAULT_TOKEN          or VAULT_TOKEN_FILE, which an agent may renew
//   VAULT_ROLE_ID        with VAULT_SECRET_ID: an AppRole to log in with, where no token is named;
//                        each a text or a reference to another source (cred://vault-secret-id)
//   VAULT_APPROLE_MOUNT  where it is mounted under auth/; "approle"
//   VAULT_NAMESPACE      VAULT_CACERT (a file in PEM)   VAULT_TLS_SERVER_NAME
//
// BAO_… instead of VAULT_… wins where both are set.
// Errors   secrets::Errc: not_set, bad_reference, unreadable, empty; they name the variable.
// Thread   blocking (files, and what a reference asks); any.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/http/message.h"
#include "octroi/secrets/program.h"

namespace octroi::hashivault {

using secrets::Variables;

/// Reads a reference to another source than this server.
using ReadSecret = std::function<Result<Secret>(std::string_view reference)>;

struct Server {
  http::Url url;  // its target is the prefix of paths, without a slash at its end
  std::string name_space;
  std::string ca_file;
  std::string tls_name;
  [[nodiscard]] static Result<Server> from(const Variables& environment);
};

/// The token as it is now; none when the environment names none.
[[nodiscard]] Result<std::optional<Secret>> token_from(const Variables& environment);

struct AppRole {
  std::string mount;  // "approle", "team/approle": under auth/
  Secret role_id;
  Secret secret_id;
};
/// None when the environment names neither part of one.
[[nodiscard]] Result<std::optional<AppRole>> app_role_from(const Variables& environment,
                                                           const ReadSecret& read);

/// What a login gives.
struct Login {
  Secret token;
  Seconds lease{0};  // 0: it does not end
};
/// From the answer to a login with status 200.
[[nodiscard]] std::optional<Login> read_login(const Secret& body);

/// Parts of a path, with a slash before each, as they stand in a request line.
[[nodiscard]] std::string encoded_path(std::string_view path);

}  // namespace octroi::hashivault
