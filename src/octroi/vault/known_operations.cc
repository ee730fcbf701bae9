#include "octroi/vault/known_operations.h"

#include <algorithm>

#include <fmt/format.h>

#include "octroi/vault/pack.h"

namespace octroi::vault {

std::vector<UnknownOperation> unknown_operations(const policy::Policy& policy,
                                                 const std::vector<VendorSettings>& vendors) {
  std::vector<UnknownOperation> out;
  const auto vendor = std::ranges::find(vendors, policy.vendor, &VendorSettings::name);
  if (vendor == vendors.end()) return out;
  const auto pack = make_pack(*vendor);
  if (pack == nullptr) return out;
  const auto door = make_door_pack(*vendor);
  const auto look = [&](const std::string& where, const std::vector<policy::Endpoint>& named,
                        bool opens) {
    for (const policy::Endpoint& e : named) {
      const bool pattern = e.is_path() || e.pattern.find('*') != std::string::npos;
      if (pattern || pack->has_operation(e.pattern) ||
          (door != nullptr && door->has_operation(e.pattern)))
        continue;
      out.push_back(
          {fmt::format("{}: {} is no operation of {}", where, e.pattern, policy.vendor), opens});
    }
  };
  look("endpoints", policy.endpoints, false);
  look("approve", policy.approve, true);
  for (std::size_t i = 0; i < policy.fields.size(); ++i)
    look(fmt::format("fields[{}].endpoints", i), policy.fields[i].endpoints, true);
  return out;
}

Result<> check_holds_back(const policy::Policy& policy,
                          const std::vector<VendorSettings>& vendors) {
  for (const UnknownOperation& one : unknown_operations(policy, vendors)) {
    if (one.opens) return fail(Errc::ambiguous, one.text);
  }
  return {};
}

}  // namespace octroi::vault
