#include "octroi/app/vault_snapshot.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "octroi/app/aside.h"
#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/base/secret.h"

namespace octroi::app {

namespace {

using ledger::Credential;
using ledger::CredentialState;

struct RealKeys {
  std::map<std::string, std::shared_ptr<const Secret>> in_use;
  std::map<std::string, vault::OtherKeys> others;
  OpenedKeys opened;
  std::optional<Error> missing;
};

/// Opens what is not held already, and so asks for the key of sealing only when it must.
class Opener {
 public:
  Opener(const vault::VaultSettings& settings, const OpenedKeys* held)
      : settings_(settings), held_(held) {}

  Result<std::shared_ptr<const Secret>> open(const Credential& c) {
    if (held_ != nullptr) {
      const auto found = held_->real.find({c.vendor, c.version});
      if (found != held_->real.end()) return found->second;
    }
    if (!seal_) {
      OCTROI_TRY(seal_, CredentialSeal::open(settings_));
    }
    OCTROI_TRY(auto real, seal_->unseal(c.sealed, c.vendor));
    redactor().add(real);
    return std::make_shared<const Secret>(std::move(real));
  }

 private:
  const vault::VaultSettings& settings_;
  const OpenedKeys* held_;
  std::optional<CredentialSeal> seal_;
};

/// Where the key that should be in use cannot be opened.
void use_the_one_before(const std::vector<Credential>& all, const std::string& vendor,
                        RealKeys& keys) {
  for (const Credential& c : all) {
    if (c.vendor != vendor || c.state != CredentialState::previous) continue;
    const auto before = keys.opened.real.find({vendor, c.version});
    if (before == keys.opened.real.end()) continue;
    keys.others[vendor].version = c.version;
    keys.in_use.emplace(vendor, before->second);
  }
}

/// Of all keys that are kept, whatever they are kept for: none of them may be shown.
Result<RealKeys> open_all(const vault::VaultSettings& settings, const std::vector<Credential>& all,
                          const OpenedKeys* held) {
  RealKeys out;
  std::vector<std::string> without;
  Opener opener(settings, held);
  for (const Credential& c : all) {
    const bool read = std::ranges::any_of(settings.vendors, [&](const auto& v) {
      return v.name == c.vendor && v.credential == nullptr;
    });
    if (!read) continue;
    auto real = opener.open(c);
    if (!real && c.state == CredentialState::current) {
      Error why = std::move(real).error().within("the real key of " + c.vendor);
      if (held == nullptr) return fail(std::move(why));
      out.missing = std::move(why);
      without.push_back(c.vendor);
    }
    if (!real) continue;  // nobody can use it either
    out.opened.real.emplace(std::pair(c.vendor, c.version), *real);
    vault::OtherKeys& others = out.others[c.vendor];
    switch (c.state) {
      case CredentialState::current:
        others.version = c.version;
        out.in_use.emplace(c.vendor, std::move(*real));
        break;
      case CredentialState::previous:
        others.lately = true;
        [[fallthrough]];
      case CredentialState::pending:
        others.real.push_back(std::move(*real));
        break;
    }
  }
  for (const std::string& vendor : without) use_the_one_before(all, vendor, out);
  return out;
}

std::optional<UnixMillis> first_end(const std::vector<Credential>& all) {
  std::optional<UnixMillis> out;
  for (const Credential& c : all) {
    if (c.until && (!out || *c.until < *out)) out = c.until;
  }
  return out;
}

void tell_of_keyless(const vault::VaultSettings& settings, const std::vector<Credential>& all) {
  for (const auto& vendor : settings.vendors) {
    if (vendor.credential != nullptr) continue;
    const bool registered = std::ranges::any_of(all, [&](const Credential& c) {
      return c.vendor == vendor.name && c.state == CredentialState::current;
    });
    if (registered) continue;
    OCTROI_LOG(warn, "vault", "no real key: octroi vault register gives it one",
               {{"vendor", vendor.name}});
  }
}

/// What secrets of keys that sign are derived from: the same as long as the store lives.
Task<Result<std::shared_ptr<const Secret>>> master_of(ledger::Store* store,
                                                      vault::VaultSettings settings,
                                                      std::shared_ptr<const Secret> held) {
  const bool signs =
      std::ranges::any_of(settings.vendors, [](const auto& v) { return v.pack == "aws"; });
  if (!signs || held != nullptr) co_return held;
  OCTROI_CO_TRY(auto master, co_await signer_master(*store, settings));
  co_return std::make_shared<const Secret>(std::move(master));
}

}  // namespace

Task<Result<MadeSnapshot>> open_snapshot(ledger::Store* store, vault::VaultSettings settings,
                                         std::optional<OpenedKeys> held) {
  OCTROI_CO_TRY(const auto all, co_await store->vault_keys()->list_credentials());
  const OpenedKeys* const before = held ? &*held : nullptr;
  OCTROI_CO_TRY(RealKeys keys, co_await aside<Result<RealKeys>>([&settings, &all, before] {
                  return open_all(settings, all, before);
                }));
  tell_of_keyless(settings, all);
  OCTROI_CO_TRY(keys.opened.signer_master,
                co_await master_of(store, settings, held ? held->signer_master : nullptr));
  settings.signer_master = keys.opened.signer_master;
  MadeSnapshot out;
  OCTROI_CO_TRY(out.snapshot, vault::Snapshot::build(std::move(settings), std::move(keys.in_use),
                                                     std::move(keys.others)));
  out.opened = std::move(keys.opened);
  out.next_wipe = first_end(all);
  out.missing = std::move(keys.missing);
  co_return out;
}

Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(ledger::Store* store,
                                                                    vault::VaultSettings settings) {
  OCTROI_CO_TRY(auto made, co_await open_snapshot(store, std::move(settings), {}));
  co_return std::move(made.snapshot);
}

}  // namespace octroi::app
