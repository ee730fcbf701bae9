// octroi/adapters/hashivault/transit.h: the transit engine of HashiCorp Vault or OpenBao as a
// secrets::KeyService: its key never leaves the server, which wraps ours with it.
//
//   "transit/octroi"        the key "octroi" of the engine that is mounted at "transit"
//   "vault:v1:<base64>"     what it makes of a key; the number is the version of its own key
//
// Errors   those of access.h; unreadable when the server refuses, when it answers what is no key,
// and
//          when the key is another one than what wrapped.
// Thread   any; blocking, `timeout` at most. The deadline covers a login as well.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/adapters/hashivault/access.h"
#include "octroi/secrets/key_service.h"

namespace octroi::hashivault {

/// Whether a text has the shape of what the engine wrapped.
[[nodiscard]] bool is_wrapped(std::string_view text);
/// From answers with status 200: to encrypt, and to decrypt.
[[nodiscard]] std::optional<std::string> read_wrapped(const Secret& body);
[[nodiscard]] std::optional<Secret> read_unwrapped(const Secret& body);

class TransitKey final : public secrets::KeyService {
 public:
  /// `name`: mount and key; its last part is the key.
  TransitKey(std::shared_ptr<Access> access, std::string name, Millis timeout = Millis(5'000))
      : access_(std::move(access)), name_(std::move(name)), timeout_(timeout) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] Result<std::string> wrap(const Secret& key) const override;
  [[nodiscard]] Result<Secret> unwrap(const std::string& wrapped) const override;

 private:
  [[nodiscard]] Result<Secret> ask(std::string_view operation, Secret body) const;

  std::shared_ptr<Access> access_;
  std::string name_;
  Millis timeout_;
};

}  // namespace octroi::hashivault
