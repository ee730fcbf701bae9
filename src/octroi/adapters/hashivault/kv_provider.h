// octroi/adapters/hashivault/kv_provider.h: vault://mount/path[?version=3][&kv=1]#field, out of the
// key-value engine of HashiCorp Vault or OpenBao.
//
// Where the server is and who asks stands in server.h. `field` is a member of the data, or a path
// into it ("tls.key"); it must be a text.
// Errors   secrets::Errc: those of access.h; not_set (nothing at the path), unreadable (the server
//          says no), no_field, empty, unavailable, timeout, bad_reference for an option.
// Thread   blocking: start-up and the control thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "octroi/adapters/hashivault/access.h"
#include "octroi/secrets/provider.h"

namespace octroi::hashivault {

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
  explicit KvProvider(std::shared_ptr<Access> access, Millis timeout = Millis(10'000))
      : access_(std::move(access)), timeout_(timeout) {}
  [[nodiscard]] secrets::Scheme scheme() const override { return secrets::Scheme::vault; }
  [[nodiscard]] Result<secrets::Fetched> fetch(const secrets::Reference& reference) override;

 private:
  std::shared_ptr<Access> access_;
  Millis timeout_;
};

}  // namespace octroi::hashivault
