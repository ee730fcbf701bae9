// octroi/vault/clients.h: the connections over which a loop reaches vendors. One per loop.
#pragma once

#include "octroi/http/client.h"

namespace octroi::vault {

struct Vendor;

class VendorClients {
 public:
  virtual ~VendorClients() = default;
  [[nodiscard]] virtual http::Client& client_for(const Vendor& vendor) = 0;
};

}  // namespace octroi::vault
