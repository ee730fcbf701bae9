// octroi/config/stripe_scopes.h: which permissions a Restricted Key of Stripe needs for what
// policies allow, by their endpoints: "charges: write, customers: read". Thread: pure.
#pragma once

#include <string>
#include <vector>

namespace octroi::config {

/// `endpoints` as policies write them: names, names with `*`, or method and path.
[[nodiscard]] std::string stripe_scopes(const std::vector<std::string>& endpoints);

}  // namespace octroi::config
