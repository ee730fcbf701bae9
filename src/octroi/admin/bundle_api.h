// octroi/admin/bundle_api.h: counted L402 tokens on the admin listener: list, show, totals.
//
// Thread  the control loop.
#pragma once

#include <string_view>

#include "octroi/http/server.h"
#include "octroi/ledger/bundles.h"

namespace octroi::admin {

inline constexpr std::string_view kTokens = "/api/v1/tokens";

class BundleApi {
 public:
  /// `bundles`: null when the store counts none; outlives it.
  explicit BundleApi(ledger::BundleStore* bundles) : bundles_(bundles) {}
  /// A GET whose path is kTokens or below it.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<void> list(http::Exchange& exchange);
  Task<void> totals(http::Exchange& exchange);
  Task<void> show(http::Exchange& exchange, std::string id);

  ledger::BundleStore* bundles_;
};

}  // namespace octroi::admin
