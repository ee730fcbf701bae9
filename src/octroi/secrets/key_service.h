// octroi/secrets/key_service.h: the port to whoever keeps a key that never leaves it and encrypts
// under it: a KMS. What is sealed is sealed with data keys, which the service wraps.
//
// Errors   Errc::not_set, bad_reference, unreadable (the service says no), unavailable, timeout.
//          Never the key, nor what the service answered.
// Thread   any; blocking, some seconds at most.
#pragma once

#include <string>

#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/secrets/errc.h"

namespace octroi::secrets {

class KeyService {
 public:
  virtual ~KeyService() = default;
  /// Which key of which service: for messages, and to tell two of them apart.
  [[nodiscard]] virtual const std::string& name() const = 0;
  /// What may be stored: printable ASCII, and nothing of the key can be learned from it.
  [[nodiscard]] virtual Result<std::string> wrap(const Secret& key) const = 0;
  [[nodiscard]] virtual Result<Secret> unwrap(const std::string& wrapped) const = 0;
};

}  // namespace octroi::secrets
