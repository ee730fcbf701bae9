// octroi/paywall/discovery.h: /openapi.json and /llms.txt, made from the configuration, so that
// agents learn what is sold before they are asked to pay. The 402 stays authoritative. Source
// Payment discovery draft: x-service-info, x-payment-info, 402 responses, Cache-Control. Thread
// immutable once built.
#pragma once

#include <string>
#include <string_view>

#include "octroi/paywall/settings.h"

namespace octroi::paywall {

class Discovery {
 public:
  Discovery() = default;
  explicit Discovery(const PaywallSettings& settings);

  /// Empty when no service is listed.
  [[nodiscard]] const std::string& openapi() const { return openapi_; }
  [[nodiscard]] const std::string& llms() const { return llms_; }

 private:
  std::string openapi_;
  std::string llms_;
};

}  // namespace octroi::paywall
