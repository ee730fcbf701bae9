// octroi/config/vault_auth.h: how a vendor without a pack wants to be shown who asks: requests that
// are signed (hmac), tokens that are minted (oauth). Internal to config.
#pragma once

#include <string>

#include "octroi/config/check.h"
#include "octroi/vault/settings.h"

namespace octroi::config {

[[nodiscard]] Field hmac_field();
[[nodiscard]] Field oauth_field();
/// `vendor` is a vendor's section at `path`, `pack` its pack.
void check_vendor_auth(const std::string& path, const Value& vendor, const std::string& pack,
                       Context& context);
void bind_vendor_auth(const Value& vendor, vault::VendorSettings& out);

}  // namespace octroi::config
