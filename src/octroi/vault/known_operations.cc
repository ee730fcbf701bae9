#include "octroi/vault/known_operations.h"

#include <algorithm>

#include <fmt/format.h>

#include "octroi/vault/pack.h"

namespace octroi::vault {

std::vector<UnknownOperation> unknown_operations(const policy::Policy& policy,
                                                 const VendorPack& pack, const VendorPack* door) {
  std::vector<UnknownOperation> out;
  const auto look = [&](const std::string& where, const std::vector<policy::Endpoint>& named,
                        bool opens) {
    for (const policy::Endpoint& e : named) {
      const bool pattern = e.is_path() || e.pattern.find('*') != std::string::npos;
      if (pattern || pack.has_operation(e.pattern) ||
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

std::vector<UnknownOperation> unknown_operations(const policy::Policy& policy,
                                                 const std::vector<VendorSettings>& vendors) {
  const auto vendor = std::ranges::find(vendors, policy.vendor, &VendorSettings::name);
  const auto pack = vendor == vendors.end() ? nullptr : make_pack(*vendor);
  if (pack == nullptr) return {};
  return unknown_operations(policy, *pack, make_door_pack(*vendor).get());
}

Result<> check_holds_back(const std::vector<UnknownOperation>& unknown) {
  const auto found = std::ranges::find(unknown, true, &UnknownOperation::opens);
  return found == unknown.end() ? Result<>{} : fail(Errc::ambiguous, found->text);
}

}  // namespace octroi::vault
