#include "octroi/vault/snapshot.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/known_operations.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kDoor = "-mcp";

void lead_to(Vendor& vendor) {
  const VendorSettings& settings = vendor.settings;
  vendor.origin = {settings.scheme, settings.host, settings.port, http::Protocol::automatic};
  if (settings.scheme != "https") vendor.origin.protocol = http::Protocol::http1;
  http::Url url;
  url.scheme = settings.scheme;
  url.host = settings.host;
  url.port = settings.port;
  vendor.authority = url.authority();
}

Result<Vendor> vendor_of(const VendorSettings& settings,
                         const std::map<std::string, std::shared_ptr<const Secret>>& registered) {
  Vendor out;
  out.settings = settings;
  out.pack = make_pack(settings);
  if (out.pack == nullptr)
    return fail(Errc::unknown_vendor,
                fmt::format("vault.vendors.{}: there is no pack of that name", settings.name));
  out.real = settings.credential;
  if (out.real == nullptr) {
    const auto found = registered.find(settings.name);
    if (found != registered.end()) out.real = found->second;
  }
  if (out.real != nullptr) {
    if (auto good = out.pack->check_credential(*out.real); !good)
      return fail(std::move(good).error().within(
          fmt::format("vault.vendors.{}.credential", settings.name)));
    if (const TokenGrant* grant = out.pack->grant(); grant != nullptr)
      out.tokens = TokenCell::of(grant->identity(*out.real));
    out.live = settings.live.value_or(out.pack->is_live(*out.real).value_or(true));
  }
  out.key_check = make_key_check(settings);
  lead_to(out);
  return out;
}

/// The vendor's MCP server: the same account, at another address.
Vendor door_of(const Vendor& vendor, std::unique_ptr<VendorPack> pack) {
  Vendor out;
  out.settings = vendor.settings;
  const DoorSettings& door = *vendor.settings.door;
  out.settings.scheme = door.scheme;
  out.settings.host = door.host;
  out.settings.port = door.port;
  out.settings.base_path.clear();
  out.settings.hosts.clear();
  out.pack = std::move(pack);
  out.real = vendor.real;
  out.others = vendor.others;
  out.live = vendor.live;
  out.api = &vendor;
  lead_to(out);
  return out;
}

Result<std::optional<policy::Rates>> rates_of(const VaultSettings& settings) {
  if (settings.rates.empty()) return std::optional<policy::Rates>{};
  policy::Rates out;
  out.as_of = settings.rates_as_of;
  out.max_age = settings.rates_max_age;
  out.haircut_percent = settings.haircut_percent;
  for (const auto& [code, text] : settings.rates) {
    auto rate = policy::parse_nano_usd(text);
    if (!rate) return fail(std::move(rate).error().within("vault.rates." + code));
    std::string upper = code;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    out.per_unit.emplace(std::move(upper), *rate);
  }
  return std::optional<policy::Rates>(std::move(out));
}

void add_others(Vendor& vendor, OtherKeys others) {
  vendor.others = std::move(others);
  const TokenGrant* const grant = vendor.pack->grant();
  if (grant == nullptr) return;
  for (const auto& real : vendor.others.real)
    vendor.other_tokens.push_back(TokenCell::of(grant->identity(*real)));
}

const Vendor* named(const std::vector<Vendor>& list, std::string_view name) {
  for (const Vendor& v : list) {
    if (v.settings.name == name) return &v;
  }
  return nullptr;
}

}  // namespace

bool read_alike(const Vendor& a, const Vendor& b) {
  VendorSettings other = b.settings;
  other.credential = a.settings.credential;
  return a.settings == other;
}

Result<Vendor> vendor_with(VendorSettings settings, std::shared_ptr<const Secret> real) {
  settings.credential = std::move(real);
  return vendor_of(settings, {});
}

Result<std::shared_ptr<const Snapshot>> Snapshot::build(
    VaultSettings settings, std::map<std::string, std::shared_ptr<const Secret>> registered,
    std::map<std::string, OtherKeys> others) {
  auto out = std::make_shared<Snapshot>();
  for (const VendorSettings& v : settings.vendors) {
    OCTROI_TRY(auto vendor, vendor_of(v, registered));
    if (const auto found = others.find(v.name); found != others.end() && v.credential == nullptr)
      add_others(vendor, std::move(found->second));
    out->vendors.push_back(std::move(vendor));
  }
  // Now they stay where they are.
  for (const Vendor& v : out->vendors) {
    if (auto pack = make_door_pack(v.settings)) out->doors.push_back(door_of(v, std::move(pack)));
  }
  for (const PolicySettings& p : settings.policies) {
    auto policy = policy::parse_policy(p.name, p.document);
    if (!policy) return fail(std::move(policy).error().within("vault.policies." + p.name));
    policy->version = p.version;
    OCTROI_CHECK(out->check_names(*policy));
    out->policies.emplace(p.name, std::move(*policy));
  }
  OCTROI_TRY(out->rates, rates_of(settings));
  out->settings = std::move(settings);
  return std::shared_ptr<const Snapshot>(std::move(out));
}

/// A vendor that is not there opens nothing.
Result<> Snapshot::check_names(const policy::Policy& policy) const {
  const Vendor* vendor = by_name(policy.vendor);
  if (vendor == nullptr) return {};
  const Vendor* door = named(doors, policy.vendor);
  auto good = check_holds_back(
      unknown_operations(policy, *vendor->pack, door == nullptr ? nullptr : door->pack.get()));
  if (good) return good;
  return fail(std::move(good).error().within("vault.policies." + policy.name));
}

const Vendor* Snapshot::by_name(std::string_view name) const { return named(vendors, name); }

const Vendor* Snapshot::now_of(const Vendor& earlier) const {
  return named(earlier.api == nullptr ? vendors : doors, earlier.settings.name);
}

const Vendor* Snapshot::by_path(std::string_view segment) const {
  if (const Vendor* vendor = by_name(segment)) return vendor;
  if (!segment.ends_with(kDoor)) return nullptr;
  segment.remove_suffix(kDoor.size());
  return named(doors, segment);
}

std::vector<const Vendor*> Snapshot::by_host(std::string_view host) const {
  std::vector<const Vendor*> out;
  for (const std::vector<Vendor>* list : {&vendors, &doors}) {
    for (const Vendor& v : *list) {
      const auto names = v.pack->hosts();
      if (std::find(names.begin(), names.end(), host) != names.end() ||
          std::find(v.settings.hosts.begin(), v.settings.hosts.end(), host) !=
              v.settings.hosts.end())
        out.push_back(&v);
    }
  }
  return out;
}

}  // namespace octroi::vault
