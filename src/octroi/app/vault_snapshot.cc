#include "octroi/app/vault_snapshot.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/base/secret.h"

namespace octroi::app {

namespace {

using ledger::CredentialState;

struct RealKeys {
  std::map<std::string, std::shared_ptr<const Secret>> in_use;
  std::map<std::string, vault::OtherKeys> others;
  std::optional<UnixMillis> next_wipe;
};

/// Of all keys that are kept, whatever they are kept for: none of them may be shown.
Result<RealKeys> unseal_all(const vault::VaultSettings& settings,
                            const std::vector<ledger::Credential>& all) {
  RealKeys out;
  std::optional<CredentialSeal> seal;
  for (const ledger::Credential& c : all) {
    if (c.until && (!out.next_wipe || *c.until < *out.next_wipe)) out.next_wipe = c.until;
    const bool read = std::ranges::any_of(settings.vendors, [&](const auto& v) {
      return v.name == c.vendor && v.credential == nullptr;
    });
    if (!read) continue;
    if (!seal) {
      OCTROI_TRY(seal, CredentialSeal::open(settings));
    }
    auto real = seal->unseal(c.sealed, c.vendor);
    if (!real && c.state == CredentialState::current) return fail(std::move(real).error());
    if (!real) continue;  // nobody can use it either
    redactor().add(*real);
    vault::OtherKeys& others = out.others[c.vendor];
    switch (c.state) {
      case CredentialState::current:
        others.version = c.version;
        out.in_use.emplace(c.vendor, std::make_shared<const Secret>(std::move(*real)));
        break;
      case CredentialState::previous:
        others.lately = true;
        [[fallthrough]];
      case CredentialState::pending:
        others.real.push_back(std::make_shared<const Secret>(std::move(*real)));
        break;
    }
  }
  return out;
}

}  // namespace

Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(
    ledger::Store* store, vault::VaultSettings settings, std::optional<UnixMillis>* next_wipe) {
  OCTROI_CO_TRY(const auto all, co_await store->vault_keys()->list_credentials());
  OCTROI_CO_TRY(RealKeys keys, unseal_all(settings, all));
  for (const auto& vendor : settings.vendors) {
    if (vendor.credential != nullptr || keys.in_use.contains(vendor.name)) continue;
    OCTROI_LOG(warn, "vault", "no real key: octroi vault register gives it one",
               {{"vendor", vendor.name}});
  }
  const bool signs = std::any_of(settings.vendors.begin(), settings.vendors.end(),
                                 [](const auto& v) { return v.pack == "aws"; });
  if (signs) {
    OCTROI_CO_TRY(auto master, co_await signer_master(*store, settings));
    settings.signer_master = std::make_shared<const Secret>(std::move(master));
  }
  auto made =
      vault::Snapshot::build(std::move(settings), std::move(keys.in_use), std::move(keys.others));
  if (made && next_wipe != nullptr) *next_wipe = keys.next_wipe;
  co_return made;
}

}  // namespace octroi::app
