// octroi/app/vault_clients.h: connections to vendors, apart by the CA that they are trusted by.
//
// Thread  one per loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "octroi/net/loop.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

class VaultClients final : public vault::VendorClients {
 public:
  explicit VaultClients(net::Loop& loop) : loop_(loop) {}
  [[nodiscard]] http::Client& client_for(const vault::Vendor& vendor) override;
  [[nodiscard]] http::Client& token_client(const vault::Vendor& vendor) override;

 private:
  http::Client& trusting(const std::string& ca_pem, const vault::Vendor& vendor);
  std::unique_ptr<http::Client> make(const std::string& ca_pem, const vault::Vendor& vendor);

  net::Loop& loop_;
  std::map<std::string, std::unique_ptr<http::Client>> by_ca_;
};

}  // namespace octroi::app
