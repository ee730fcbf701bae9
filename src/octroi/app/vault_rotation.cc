#include "octroi/app/vault_rotation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "octroi/app/vault_keys.h"
#include "octroi/audit/journal.h"
#include "octroi/base/log.h"
#include "octroi/config/units.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/secrets/key_ring.h"
#include "octroi/vault/key_check.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

namespace {

using ledger::Credential;
using ledger::CredentialState;

constexpr std::string_view kModule = "vault";
constexpr Millis kLongestOverlap = std::chrono::hours(24 * 30);
/// What was staged and is neither switched to nor dropped by then is from a process that died.
constexpr Millis kStaged = std::chrono::minutes(10);

using Details = std::vector<std::pair<std::string, std::string>>;

Task<Result<>> tell(ledger::Store* store, std::string what, std::string vendor, Details details) {
  audit::Journal* journal = store->journal();
  if (journal == nullptr) co_return Result<>{};
  audit::Event e;
  e.kind = std::string(audit::kAdminChange);
  e.operation = std::move(what);
  e.vendor = std::move(vendor);
  e.details = std::move(details);
  auto written = co_await journal->append(std::move(e));
  if (!written) co_return fail(std::move(written).error());
  co_return Result<>{};
}

const vault::VendorSettings* vendor_in(const vault::VaultSettings& settings,
                                       const std::string& name) {
  const auto found =
      std::ranges::find_if(settings.vendors, [&](const auto& v) { return v.name == name; });
  return found == settings.vendors.end() ? nullptr : &*found;
}

/// One whose key is sealed here.
Result<const vault::VendorSettings*> sealed_vendor(const vault::VaultSettings& settings,
                                                   const std::string& name) {
  const vault::VendorSettings* found = vendor_in(settings, name);
  if (found == nullptr)
    return fail(VaultKeyErrc::bad_request, "\"" + name + "\" is not one of vault.vendors");
  if (found->credential != nullptr) {
    return fail(VaultKeyErrc::conflict,
                fmt::format("vault.vendors.{}.credential names the key: change what it names, and "
                            "reload; only registered keys are rotated here",
                            name));
  }
  return found;
}

const Credential* one_of(const std::vector<Credential>& all, const std::string& vendor,
                         CredentialState state) {
  const auto found = std::ranges::find_if(
      all, [&](const Credential& c) { return c.vendor == vendor && c.state == state; });
  return found == all.end() ? nullptr : &*found;
}

/// The key in use and the one that is to take its place, as vendors to be asked with.
struct Pair {
  vault::Vendor now, next;
  std::int64_t from = 0;
  std::string account;  // of the one in use, as it was told when it was tried
};

Result<Pair> pair_of(const vault::VaultSettings& settings, const vault::VendorSettings& vendor,
                     const Credential& current, const std::string& sealed) {
  OCTROI_TRY(const auto seal, CredentialSeal::open(settings));
  OCTROI_TRY(auto next, seal.unseal(sealed, vendor.name));
  redactor().add(next);
  OCTROI_TRY(auto now, seal.unseal(current.sealed, vendor.name));
  redactor().add(now);
  if (next.equals(now)) return fail(VaultKeyErrc::conflict, "this is the key that is in use");
  Pair out;
  out.from = current.version;
  out.account = current.account;
  OCTROI_TRY(out.now, vault::vendor_with(vendor, std::make_shared<const Secret>(std::move(now))));
  auto made = vault::vendor_with(vendor, std::make_shared<const Secret>(std::move(next)));
  if (!made) return fail(VaultKeyErrc::bad_request, std::string(made.error().message()));
  out.next = std::move(*made);
  return out;
}

std::string mode_of(bool live) { return live ? "the live account" : "a test account"; }

/// What the keys themselves say.
Result<> check_alike(const Pair& pair) {
  const auto live = pair.now.pack->is_live(*pair.now.real);
  const auto next = pair.next.pack->is_live(*pair.next.real);
  if (live && next && *live != *next) {
    return fail(VaultKeyErrc::conflict,
                fmt::format("the new key opens {}, the one in use {}; nothing was changed",
                            mode_of(*next), mode_of(*live)));
  }
  const vault::KeyCheck* const check = pair.now.key_check.get();
  if (check == nullptr || check->account_in(*pair.now.real) == check->account_in(*pair.next.real))
    return {};
  return fail(VaultKeyErrc::conflict,
              "the new key is of another account than the one in use; nothing was changed");
}

struct Tried {
  std::string account;
  bool compared = false;  // with that of the key in use
};

/// What the vendor says. An error is a key that must not be used.
Task<Result<Tried>> try_key(vault::VendorClients* clients, const Pair* pair) {
  OCTROI_CO_TRY(const auto found, co_await vault::check_key(clients, &pair->next));
  const auto live = pair->now.pack->is_live(*pair->now.real);
  if (found.live && live && *found.live != *live)
    co_return fail(VaultKeyErrc::conflict,
                   fmt::format("the vendor says that the new key opens {}", mode_of(*found.live)));
  Tried out;
  out.account = found.account;
  if (found.account.empty()) co_return out;
  std::string account = pair->account;
  if (account.empty()) {
    // One that the vendor does not take any more says nothing about its account: that is no reason
    // to keep it.
    const auto before = co_await vault::check_key(clients, &pair->now);
    if (before) account = before->account;
  }
  out.compared = !account.empty();
  if (out.compared && account != found.account)
    co_return fail(VaultKeyErrc::conflict, "the new key is of another account than the one in use");
  co_return out;
}

std::string label_of(const vault::Vendor& vendor) { return secrets::key_label(*vendor.real); }

void write_time(json::Writer& w, std::string_view name, const std::optional<UnixMillis>& at) {
  w.key(name);
  if (at) {
    w.string(to_rfc3339(*at));
  } else {
    w.null();
  }
}

/// The new key is staged as `version`.
Task<Result<std::string>> try_and_switch(RotationMeans means, const Pair* pair,
                                         std::int64_t version, RealKeyRotation wanted) {
  const std::string& vendor = pair->now.settings.name;
  const std::string label = label_of(pair->next);
  Tried tried;
  if (wanted.verify) {
    auto found = co_await try_key(means.clients, pair);
    if (!found) {
      OCTROI_CO_CHECK(co_await tell(
          means.store, "vault.verify", vendor,
          {{"label", label}, {"outcome", "failed"}, {"why", std::string(found.error().code())}}));
      std::string why = fmt::format("{}; the key in use stays", found.error().message());
      for (const auto code : {vault::KeyCheckErrc::unreachable, vault::KeyCheckErrc::no_question}) {
        if (found.error().is(code)) co_return fail(code, std::move(why));
      }
      co_return fail(VaultKeyErrc::conflict, std::move(why));
    }
    tried = std::move(*found);
  } else {
    OCTROI_LOG(warn, kModule, "a real key is not tried before it is used",
               {{"vendor", vendor}, {"label", label}});
  }
  OCTROI_CO_CHECK(co_await tell(
      means.store, "vault.verify", vendor,
      {{"label", label}, {"outcome", wanted.verify ? "verified" : "warning_skipped"}}));
  const UnixMillis now = means.clients->clock().now();
  ledger::CredentialSwitch change{vendor, pair->from, version, tried.account, {}, now, {}};
  if (wanted.verify) change.verified = now;
  if (wanted.overlap > Millis(0)) change.keep_until = now + wanted.overlap;
  const auto until = change.keep_until;
  const std::string before = label_of(pair->now);
  Details details{{"label", label}, {"replaces", before}};
  if (until) details.emplace_back("until", to_rfc3339(*until));
  OCTROI_CO_CHECK(co_await tell(means.store, "vault.rotate", vendor, details));
  OCTROI_CO_TRY(const bool done,
                co_await means.store->vault_keys()->switch_credential(std::move(change)));
  if (!done) {
    details.emplace_back("outcome", "lost");
    OCTROI_CO_CHECK(co_await tell(means.store, "vault.rotate", vendor, std::move(details)));
    co_return fail(VaultKeyErrc::conflict,
                   fmt::format("somebody else changed the key of {} meanwhile; see octroi vault "
                               "show {}",
                               vendor, vendor));
  }
  OCTROI_LOG(info, kModule, "a real key was rotated",
             {{"vendor", vendor}, {"label", label}, {"replaces", before}});
  json::Writer w;
  w.begin_object().field("vendor", vendor).field("label", label).field("replaces", before);
  w.field("verified", wanted.verify).field("account_checked", tried.compared);
  write_time(w, "until", until);
  w.end_object();
  co_return std::move(w).take();
}

void write_version(json::Writer& w, const Credential& c, const std::string& label) {
  w.begin_object().field("state", std::string(ledger::to_string(c.state))).field("label", label);
  w.field("version", c.version).field("since", to_rfc3339(c.since));
  write_time(w, "until", c.until);
  write_time(w, "verified_at", c.verified);
  w.end_object();
}

Result<> write_vendor(json::Writer& w, const vault::VaultSettings& settings,
                      const vault::VendorSettings& vendor, const std::vector<Credential>& all) {
  const Credential* const current = one_of(all, vendor.name, CredentialState::current);
  w.begin_object().field("vendor", vendor.name);
  w.field("source", vendor.credential != nullptr ? "config"
                    : current != nullptr         ? "sealed"
                                                 : "none");
  w.key("versions").begin_array();
  if (vendor.credential != nullptr) {
    w.begin_object().field("state", "current");
    w.field("label", secrets::key_label(*vendor.credential)).end_object();
  }
  for (const Credential& c : all) {
    if (c.vendor != vendor.name || vendor.credential != nullptr) continue;
    OCTROI_TRY(const auto seal, CredentialSeal::open(settings));
    OCTROI_TRY(const auto real, seal.unseal(c.sealed, c.vendor));
    write_version(w, c, secrets::key_label(real));
  }
  w.end_array().end_object();
  return {};
}

}  // namespace

Result<RealKeyRotation> RealKeyRotation::from_json(std::string_view text) {
  OCTROI_TRY(const auto doc, json::parse(text));
  RealKeyRotation out;
  for (const auto& [key, value] : doc.root().members()) {
    if (key == "sealed") {
      OCTROI_TRY(const auto sealed, value.as_string());
      out.sealed = std::string(sealed);
    } else if (key == "verify") {
      OCTROI_TRY(out.verify, value.as_bool());
    } else if (key == "overlap") {
      OCTROI_TRY(const auto given, value.as_string());
      const auto overlap = config::parse_duration(given == "0" ? "0s" : given);
      if (!overlap || *overlap < Millis(0) || *overlap > kLongestOverlap)
        return fail(VaultKeyErrc::bad_request, "overlap: write a time up to 30d, such as 1h, or 0");
      out.overlap = *overlap;
    } else {
      return fail(VaultKeyErrc::bad_request, fmt::format("{}: no such field", key));
    }
  }
  if (out.sealed.empty())
    return fail(VaultKeyErrc::bad_request, "sealed: the new key, as octroi vault rotate seals it");
  return out;
}

std::string RealKeyRotation::to_json() const {
  json::Writer w;
  w.begin_object().field("sealed", sealed).field("verify", verify);
  w.field("overlap", fmt::format("{}ms", overlap.count())).end_object();
  return std::move(w).take();
}

Task<Result<std::string>> rotate_real_key(RotationMeans means, std::string vendor,
                                          RealKeyRotation wanted) {
  ledger::VaultKeys* keys = means.store->vault_keys();
  OCTROI_CO_TRY(const auto* settings, sealed_vendor(means.settings, vendor));
  OCTROI_CO_TRY(const auto all, co_await keys->list_credentials());
  const Credential* current = one_of(all, vendor, CredentialState::current);
  if (current == nullptr)
    co_return fail(
        VaultKeyErrc::not_found,
        fmt::format("no key of {} is sealed here: octroi vault register {}", vendor, vendor));
  OCTROI_CO_TRY(const Pair pair, pair_of(means.settings, *settings, *current, wanted.sealed));
  OCTROI_CO_CHECK(check_alike(pair));
  OCTROI_CO_CHECK(
      co_await tell(means.store, "vault.stage", vendor, {{"label", label_of(pair.next)}}));
  const UnixMillis now = means.clients->clock().now();
  OCTROI_CO_TRY(const auto version,
                co_await keys->stage_credential(vendor, wanted.sealed, now, now + kStaged));
  if (!version)
    co_return fail(VaultKeyErrc::conflict, "the key of this vendor was taken away meanwhile");
  if (means.staged) OCTROI_CO_CHECK(co_await means.staged());
  auto out = co_await try_and_switch(means, &pair, *version, std::move(wanted));
  if (!out) {
    auto dropped = co_await keys->drop_credential(vendor, *version);
    if (!dropped)
      OCTROI_LOG(warn, kModule, "a key that was staged is still there; it is wiped later",
                 {{"vendor", vendor}});
  }
  co_return out;
}

Task<Result<std::string>> roll_back_real_key(ledger::Store* store, vault::VaultSettings settings,
                                             std::string vendor, UnixMillis now) {
  OCTROI_CO_TRY(const auto* found, sealed_vendor(settings, vendor));
  std::ignore = found;
  OCTROI_CO_TRY(const auto all, co_await store->vault_keys()->list_credentials());
  const Credential* current = one_of(all, vendor, CredentialState::current);
  const Credential* previous = one_of(all, vendor, CredentialState::previous);
  if (current == nullptr || previous == nullptr || previous->until.value_or(now) <= now) {
    co_return fail(VaultKeyErrc::conflict,
                   fmt::format("there is nothing to go back to: the key of {} was not rotated, or "
                               "the overlap is over",
                               vendor));
  }
  OCTROI_CO_TRY(const auto seal, CredentialSeal::open(settings));
  OCTROI_CO_TRY(const auto from, seal.unseal(current->sealed, vendor));
  OCTROI_CO_TRY(const auto to, seal.unseal(previous->sealed, vendor));
  const std::string label = secrets::key_label(to);
  const std::string replaces = secrets::key_label(from);
  OCTROI_CO_CHECK(
      co_await tell(store, "vault.rollback", vendor, {{"label", label}, {"replaces", replaces}}));
  OCTROI_CO_TRY(const auto back,
                co_await store->vault_keys()->roll_back_credential(vendor, current->version, now));
  if (!back || *back != previous->version) {
    co_return fail(VaultKeyErrc::conflict,
                   fmt::format("somebody else changed the key of {} meanwhile; see octroi vault "
                               "show {}",
                               vendor, vendor));
  }
  OCTROI_LOG(warn, kModule, "a real key was rolled back",
             {{"vendor", vendor}, {"label", label}, {"replaces", replaces}});
  json::Writer w;
  w.begin_object().field("vendor", vendor).field("label", label).field("replaces", replaces);
  write_time(w, "until", previous->until);
  w.end_object();
  co_return std::move(w).take();
}

Task<Result<std::string>> show_real_keys(ledger::Store* store, vault::VaultSettings settings,
                                         std::string vendor) {
  OCTROI_CO_TRY(const auto all, co_await store->vault_keys()->list_credentials());
  json::Writer w;
  if (!vendor.empty()) {
    const vault::VendorSettings* const one = vendor_in(settings, vendor);
    if (one == nullptr)
      co_return fail(VaultKeyErrc::not_found, "this vendor is not one of vault.vendors");
    OCTROI_CO_CHECK(write_vendor(w, settings, *one, all));
    co_return std::move(w).take();
  }
  w.begin_object().key("vendors").begin_array();
  for (const auto& v : settings.vendors) OCTROI_CO_CHECK(write_vendor(w, settings, v, all));
  w.end_array().end_object();
  co_return std::move(w).take();
}

// After it took effect: a full journal keeps nothing alive that should be gone.
Task<Result<>> wipe_real_keys(ledger::Store* store, UnixMillis now) {
  OCTROI_CO_TRY(const auto over, co_await store->vault_keys()->wipe_credentials(now));
  for (const Credential& c : over) {
    const std::string state(ledger::to_string(c.state));
    OCTROI_LOG(info, kModule, "a real key was wiped", {{"vendor", c.vendor}, {"state", state}});
    auto told = co_await tell(store, "vault.wipe", c.vendor,
                              {{"version", std::to_string(c.version)}, {"state", state}});
    if (!told)
      OCTROI_LOG(error, kModule, "the wiping of a key is missing in the audit",
                 {{"vendor", c.vendor}});
  }
  co_return Result<>{};
}

}  // namespace octroi::app
