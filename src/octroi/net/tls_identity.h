// octroi/net/tls_identity.h: makes certificates with fresh keys (ECDSA P-256): for tests and for
// trying things out, never for production. Thread: any.
#pragma once

#include <string>

#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/net/stream.h"

namespace octroi::net {

/// A certificate and its key, as PEM.
struct Identity {
  std::string certificate;
  Secret key;
};

struct IdentityRequest {
  std::string common_name;
  std::string alt_names;             // "DNS:a.example,IP:127.0.0.1"; "" for none
  int valid_days = 30;               // from now; negative makes one that has expired
  bool authority = false;            // may sign others
  const Identity* issuer = nullptr;  // signs it; null: signs itself
};
[[nodiscard]] Result<Identity> make_identity(const IdentityRequest& request);

}  // namespace octroi::net
