// octroi/vault/known_operations.h: operations that a policy names and its vendor does not have.
// Such a name in `endpoints` allows nothing; in `approve` it lets pass what somebody was to look
// at. Thread: pure.
#pragma once

#include <string>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/policy/policy.h"
#include "octroi/vault/settings.h"

namespace octroi::vault {

class VendorPack;

struct UnknownOperation {
  std::string text;    // "approve: charges.craete is no operation of stripe"
  bool opens = false;  // what it was to hold back passes: not only said in vain
};

/// Patterns and paths are not looked at, nor vendors without a list. `door`: the pack of the
/// vendor's MCP server, null where it has none.
[[nodiscard]] std::vector<UnknownOperation> unknown_operations(const policy::Policy& policy,
                                                               const VendorPack& pack,
                                                               const VendorPack* door);
/// Empty for a vendor that is not among these.
[[nodiscard]] std::vector<UnknownOperation> unknown_operations(
    const policy::Policy& policy, const std::vector<VendorSettings>& vendors);
/// That none of these opens anything: with such a policy nobody may be served.
[[nodiscard]] Result<> check_holds_back(const std::vector<UnknownOperation>& unknown);

}  // namespace octroi::vault
