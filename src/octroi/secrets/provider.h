// octroi/secrets/provider.h: the port behind which secrets are kept, and the providers that need
// nothing but the machine.
//
// Errors   Errc::not_set, empty, unreadable, no_field; they name the reference and the fix.
// Thread   blocking: start-up and the control thread, never a worker's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/secrets/reference.h"

namespace octroi::secrets {

struct Fetched {
  Secret value;
  std::string version;                // as the provider names it; empty: it has none
  std::optional<UnixMillis> expires;  // fetch again before
};

class SecretProvider {
 public:
  virtual ~SecretProvider() = default;
  [[nodiscard]] virtual Scheme scheme() const = 0;
  /// REQUIRES a reference of this scheme.
  [[nodiscard]] virtual Result<Fetched> fetch(const Reference& reference) = 0;
};

/// An environment variable, as it is. Set but empty is an error.
class EnvProvider final : public SecretProvider {
 public:
  [[nodiscard]] Scheme scheme() const override { return Scheme::env; }
  [[nodiscard]] Result<Fetched> fetch(const Reference& reference) override;
};

/// A file without its last newline (one, if there is one), or one text inside a JSON file. A file
/// that others than its owner may read is used with a warning in the log.
class FileProvider final : public SecretProvider {
 public:
  [[nodiscard]] Scheme scheme() const override { return Scheme::file; }
  [[nodiscard]] Result<Fetched> fetch(const Reference& reference) override;
};

/// A systemd credential (LoadCredential=, LoadCredentialEncrypted=), read as a file is.
class CredentialProvider final : public SecretProvider {
 public:
  /// `folder`: what the service manager says in $CREDENTIALS_DIRECTORY; empty: nothing was said.
  explicit CredentialProvider(std::optional<std::string> folder) : folder_(std::move(folder)) {}
  [[nodiscard]] Scheme scheme() const override { return Scheme::cred; }
  [[nodiscard]] Result<Fetched> fetch(const Reference& reference) override;

 private:
  std::optional<std::string> folder_;
};

/// The text at `path` ("a.b.0.c": member names and positions) in a JSON text. A member whose own
/// name has dots ("tls.key") is found too.
[[nodiscard]] Result<Secret> select_json(const Secret& json_text, std::string_view path);

}  // namespace octroi::secrets
