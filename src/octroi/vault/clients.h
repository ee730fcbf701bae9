// octroi/vault/clients.h: the connections over which a loop reaches vendors, and their token
// endpoints. One per loop.
#pragma once

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/http/client.h"

namespace octroi::vault {

struct Vendor;

class VendorClients {
 public:
  virtual ~VendorClients() = default;
  [[nodiscard]] virtual http::Client& client_for(const Vendor& vendor) = 0;
  /// To where the vendor's tokens come from: under the same rules, by another CA perhaps.
  [[nodiscard]] virtual http::Client& token_client(const Vendor& vendor) {
    return client_for(vendor);
  }
  /// For what octroi asks by itself.
  [[nodiscard]] virtual Clock& clock() { return system_clock(); }
  [[nodiscard]] virtual Random& randomness() { return system_random(); }
};

}  // namespace octroi::vault
