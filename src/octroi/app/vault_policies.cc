#include "octroi/app/vault_policies.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/decide.h"
#include "octroi/policy/policy.h"
#include "octroi/policy/usage.h"
#include "octroi/vault/known_operations.h"

namespace octroi::app {

namespace {

constexpr int kMostVersions = 200;

Result<ledger::VaultPolicies*> policies_of(ledger::Store& store) {
  if (store.vault_policies() == nullptr)
    return fail(VaultKeyErrc::no_vault, "this store keeps no policies");
  return store.vault_policies();
}

const vault::PolicySettings* named(const vault::VaultSettings& settings, std::string_view name) {
  for (const auto& p : settings.policies) {
    if (p.name == name) return &p;
  }
  return nullptr;
}

Result<> check_vendor(const vault::VaultSettings& settings, const policy::Policy& policy) {
  if (std::ranges::find(settings.vendors, policy.vendor, &vault::VendorSettings::name) !=
      settings.vendors.end())
    return {};
  return fail(VaultKeyErrc::bad_request,
              fmt::format("vendor: \"{}\" is not one of vault.vendors", policy.vendor));
}

/// Whether one that was stored may be served.
Result<> check_stored(const vault::VaultSettings& settings, const policy::Policy& policy) {
  OCTROI_CHECK(check_vendor(settings, policy));
  return vault::check_holds_back(vault::unknown_operations(policy, settings.vendors));
}

/// A new one may name nothing that is not there.
Result<> check_new(const vault::VaultSettings& settings, const policy::Policy& policy) {
  OCTROI_CHECK(check_vendor(settings, policy));
  const auto unknown = vault::unknown_operations(policy, settings.vendors);
  return unknown.empty() ? Result<>{} : fail(VaultKeyErrc::bad_request, unknown.front().text);
}

Result<> check_not_in_file(const vault::VaultSettings& file, const std::string& name) {
  if (named(file, name) == nullptr) return {};
  return fail(VaultKeyErrc::conflict,
              name + ": this policy stands in the configuration file; change it there");
}

void write_policy(json::Writer& w, const policy::Policy& p, std::string_view source,
                  std::int64_t version) {
  w.begin_object().field("name", p.name).field("vendor", p.vendor).field("source", source);
  w.field("version", version).field("hash", to_hex(p.hash));
  w.field("mode", policy::to_string(p.mode)).key("policy").raw(p.text);
  w.key("advice").begin_array();
  for (const std::string& line : policy::advice(p)) w.string(line);
  w.end_array().end_object();
}

std::string policy_json(const policy::Policy& p, std::string_view source, std::int64_t version) {
  json::Writer w;
  write_policy(w, p, source, version);
  return std::move(w).take();
}

tl::unexpected<Error> changed_meanwhile(std::int64_t version) {
  return fail(VaultKeyErrc::conflict,
              version == 0
                  ? std::string("there is no such policy")
                  : fmt::format("the policy is of version {} now; read it again", version));
}

/// Of the one that is there: a mistyped name must not make a new policy beside the one that was
/// meant.
Task<Result<std::int64_t>> version_of(ledger::VaultPolicies* policies, std::string name) {
  OCTROI_CO_TRY(const auto list, co_await policies->list_policies());
  for (const ledger::StoredPolicy& p : list.policies) {
    if (p.name == name) co_return p.version;
  }
  co_return fail(
      VaultKeyErrc::not_found,
      fmt::format("the store has no policy \"{}\" to replace; add it (octroi policy add)", name));
}

std::string amount_text(ledger::SpendUnit unit, std::int64_t n) {
  switch (unit) {
    case ledger::SpendUnit::micro_usd: {
      const auto usd = MicroUsd::from_raw(n);
      return usd ? format(*usd) : std::string("?");
    }
    case ledger::SpendUnit::calls:
      return std::to_string(n);
  }
  return {};
}

void write_usage(json::Writer& w, const policy::Policy& p, const policy::CapUsage& u) {
  const policy::Cap& cap = p.caps[u.cap];
  w.begin_object().field("per", policy::to_string(cap.period));
  w.field("direction", cap.direction ? policy::to_string(*cap.direction) : "all");
  w.field("by", policy::to_string(cap.by));
  if (!cap.budget.empty()) w.field("budget", cap.budget);
  w.field("unit", u.unit == ledger::SpendUnit::calls ? "calls" : "usd");
  if (!u.whose.empty()) w.field("whose", u.whose);
  w.field("limit", amount_text(u.unit, u.limit)).field("held", amount_text(u.unit, u.held));
  w.field("settled", amount_text(u.unit, u.settled)).field("left", amount_text(u.unit, u.left()));
  if (u.resets_at) w.field("resets_at", to_rfc3339(*u.resets_at));
  w.end_object();
}

}  // namespace

Task<Result<InForce>> policies_in_force(ledger::Store& store, vault::VaultSettings file) {
  InForce out;
  out.settings = std::move(file);
  if (store.vault_policies() == nullptr) co_return out;
  OCTROI_CO_TRY(auto list, co_await store.vault_policies()->list_policies());
  out.list_version = list.version;
  for (ledger::StoredPolicy& p : list.policies) {
    if (named(out.settings, p.name) != nullptr) continue;  // the file's hides it
    const auto parsed = policy::parse_policy(p.name, p.document);
    const auto usable = parsed ? check_stored(out.settings, *parsed) : fail(parsed.error());
    if (!usable) {
      OCTROI_LOG(error, "vault", "a policy of the store cannot be used; its keys open nothing",
                 {{"policy", p.name}, {"error", usable.error().message()}});
      continue;
    }
    out.settings.policies.push_back(
        {std::move(p.name), parsed->vendor, std::move(p.document), p.version});
  }
  co_return out;
}

Task<Result<std::string>> put_policy(ledger::Store& store, const vault::VaultSettings& file,
                                     PolicyPut put, UnixMillis now) {
  OCTROI_CO_TRY(auto* const policies, policies_of(store));
  if (!policy::is_policy_name(put.name)) {
    co_return fail(VaultKeyErrc::bad_request, "name: 1 to 64 letters, digits, '-', '_' and '.'");
  }
  OCTROI_CO_CHECK(check_not_in_file(file, put.name));
  if (put.expected == kAnyVersion) {
    OCTROI_CO_TRY(put.expected, co_await version_of(policies, put.name));
  }
  auto parsed = policy::parse_policy(put.name, put.document);
  if (!parsed) co_return fail(VaultKeyErrc::bad_request, std::string(parsed.error().message()));
  OCTROI_CO_CHECK(check_new(file, *parsed));
  OCTROI_CO_CHECK(co_await audit_change(store, "policy.set", "",
                                        put.name + " " + to_hex(parsed->hash).substr(0, 16)));
  OCTROI_CO_TRY(const auto done,
                co_await policies->change_policy({put.name, parsed->text, put.expected, now}));
  if (!done.applied) {
    if (put.expected == 0) {
      co_return fail(VaultKeyErrc::conflict,
                     fmt::format("there is a policy \"{}\" already", put.name));
    }
    co_return changed_meanwhile(done.version);
  }
  co_return policy_json(*parsed, "store", done.version);
}

Task<Result<std::string>> remove_policy(ledger::Store& store, const vault::VaultSettings& file,
                                        std::string name, std::optional<std::int64_t> expected,
                                        UnixMillis now) {
  OCTROI_CO_TRY(auto* const policies, policies_of(store));
  OCTROI_CO_CHECK(check_not_in_file(file, name));
  OCTROI_CO_CHECK(co_await audit_change(store, "policy.remove", "", name));
  OCTROI_CO_TRY(const auto done, co_await policies->change_policy({name, "", expected, now}));
  if (!done.applied && done.version == 0)
    co_return fail(VaultKeyErrc::not_found, "there is no policy of this name in the store");
  if (!done.applied) co_return changed_meanwhile(done.version);
  json::Writer w;
  w.begin_object().field("name", name).field("removed", true).field("version", done.version);
  w.end_object();
  co_return std::move(w).take();
}

Task<Result<std::string>> roll_back_policy(ledger::Store& store, const vault::VaultSettings& file,
                                           std::string name, std::int64_t to, UnixMillis now) {
  OCTROI_CO_TRY(auto* const policies, policies_of(store));
  OCTROI_CO_TRY(const auto versions, co_await policies->policy_versions(name, kMostVersions));
  for (const auto& v : versions) {
    if (v.version != to) continue;
    if (v.document.empty())
      co_return fail(VaultKeyErrc::bad_request, "version: the policy was removed then");
    PolicyPut put{std::move(name), v.document, std::nullopt};
    co_return co_await put_policy(store, file, std::move(put), now);
  }
  co_return fail(VaultKeyErrc::not_found, "there is no such version of this policy in the store");
}

Task<Result<std::string>> list_policies(ledger::Store& store, const vault::VaultSettings& file) {
  const std::size_t of_file = file.policies.size();
  OCTROI_CO_TRY(const auto now, co_await policies_in_force(store, file));
  json::Writer w;
  w.begin_object().key("policies").begin_array();
  for (std::size_t i = 0; i < now.settings.policies.size(); ++i) {
    const auto& p = now.settings.policies[i];
    OCTROI_CO_TRY(const auto parsed, policy::parse_policy(p.name, p.document));
    write_policy(w, parsed, i < of_file ? "file" : "store", p.version);
  }
  w.end_array().end_object();
  co_return std::move(w).take();
}

Task<Result<std::string>> show_policy(ledger::Store& store, const vault::VaultSettings& file,
                                      std::string name) {
  const bool of_file = named(file, name) != nullptr;
  OCTROI_CO_TRY(const auto now, co_await policies_in_force(store, file));
  const auto* const found = named(now.settings, name);
  if (found == nullptr)
    co_return fail(VaultKeyErrc::not_found, "there is no policy \"" + name + "\"");
  OCTROI_CO_TRY(const auto parsed, policy::parse_policy(name, found->document));
  co_return policy_json(parsed, of_file ? "file" : "store", found->version);
}

Task<Result<std::string>> policy_versions(ledger::Store& store, std::string name) {
  OCTROI_CO_TRY(auto* const policies, policies_of(store));
  OCTROI_CO_TRY(const auto versions, co_await policies->policy_versions(name, kMostVersions));
  if (versions.empty())
    co_return fail(VaultKeyErrc::not_found, "the store has no versions of this policy");
  json::Writer w;
  w.begin_object().field("name", name).key("versions").begin_array();
  for (const auto& v : versions) {
    w.begin_object().field("version", v.version).field("at", to_rfc3339(v.at));
    w.field("removed", v.document.empty());
    if (!v.document.empty()) w.key("policy").raw(v.document);
    w.end_object();
  }
  w.end_array().end_object();
  co_return std::move(w).take();
}

Task<Result<std::string>> policy_usage(ledger::Store& store, const vault::VaultSettings& file,
                                       std::string name, UnixMillis now) {
  OCTROI_CO_TRY(const auto in_force, co_await policies_in_force(store, file));
  const auto* const found = named(in_force.settings, name);
  if (found == nullptr || store.spends() == nullptr)
    co_return fail(VaultKeyErrc::not_found, "there is no policy \"" + name + "\"");
  OCTROI_CO_TRY(const auto parsed, policy::parse_policy(name, found->document));
  std::vector<ledger::SpendUsage> windows;
  for (const policy::Cap& cap : parsed.caps) {
    OCTROI_CO_TRY(auto some, co_await store.spends()->usage(policy::scopes_of(parsed, cap), now));
    windows.insert(windows.end(), some.begin(), some.end());
  }
  // Caps of one policy or one budget ask for the same windows.
  const auto before = [](const auto& a, const auto& b) {
    return std::tie(a.scope, a.unit, a.starts) < std::tie(b.scope, b.unit, b.starts);
  };
  std::sort(windows.begin(), windows.end(), before);
  windows.erase(
      std::unique(windows.begin(), windows.end(),
                  [&](const auto& a, const auto& b) { return !before(a, b) && !before(b, a); }),
      windows.end());
  json::Writer w;
  w.begin_object().field("policy", name).field("at", to_rfc3339(now)).key("caps").begin_array();
  for (const auto& u : policy::cap_usage(parsed, windows)) write_usage(w, parsed, u);
  w.end_array().end_object();
  co_return std::move(w).take();
}

Task<Result<std::vector<ledger::SpendUsage>>> windows_of(ledger::Store& store, std::string name,
                                                         UnixMillis at) {
  std::vector<ledger::SpendUsage> out;
  if (store.spends() == nullptr) co_return out;
  for (const std::string mode : {"", "shadow/"}) {
    for (const std::string& below : {policy::scope_prefix(name), std::string("budget/")}) {
      OCTROI_CO_TRY(auto some, co_await store.spends()->usage(mode + below, at));
      std::move(some.begin(), some.end(), std::back_inserter(out));
    }
  }
  co_return out;
}

Task<Result<std::string>> policy_windows(ledger::Store& store, std::string name, UnixMillis at) {
  OCTROI_CO_TRY(const auto windows, co_await windows_of(store, name, at));
  json::Writer w;
  w.begin_object().field("policy", name).field("at", to_rfc3339(at)).key("windows").begin_array();
  for (const ledger::SpendUsage& u : windows) {
    w.begin_object().field("scope", u.scope).field("unit", ledger::to_string(u.unit));
    w.field("starts_ms", u.starts.value).field("ends_ms", u.ends.value);
    w.field("held", u.held).field("settled", u.settled).end_object();
  }
  w.end_array().end_object();
  co_return std::move(w).take();
}

Result<std::vector<ledger::SpendUsage>> read_windows(std::string_view text) {
  OCTROI_TRY(const auto doc, json::parse(text, {8, 64U << 20, false}));
  OCTROI_TRY(const auto rows, doc.root().array("windows"));
  std::vector<ledger::SpendUsage> out;
  for (const json::Value row : rows.elements()) {
    ledger::SpendUsage u;
    OCTROI_TRY(u.scope, row.string("scope"));
    OCTROI_TRY(const auto unit, row.string("unit"));
    u.unit = unit == ledger::to_string(ledger::SpendUnit::calls) ? ledger::SpendUnit::calls
                                                                 : ledger::SpendUnit::micro_usd;
    OCTROI_TRY(u.starts.value, row.int64("starts_ms"));
    OCTROI_TRY(u.ends.value, row.int64("ends_ms"));
    OCTROI_TRY(u.held, row.int64("held"));
    OCTROI_TRY(u.settled, row.int64("settled"));
    out.push_back(std::move(u));
  }
  return out;
}

}  // namespace octroi::app
