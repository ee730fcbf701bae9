#include "octroi/app/vault_snapshot.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/base/secret.h"

namespace octroi::app {

Task<Result<std::shared_ptr<const vault::Snapshot>>> vault_snapshot(ledger::Store* store,
                                                                    vault::VaultSettings settings) {
  std::map<std::string, std::shared_ptr<const Secret>> registered;
  for (const auto& vendor : settings.vendors) {
    if (vendor.credential != nullptr) continue;
    OCTROI_CO_TRY(const auto sealed, co_await store->vault_keys()->find_credential(vendor.name));
    if (!sealed) {
      OCTROI_LOG(warn, "vault", "no real key: octroi vault register gives it one",
                 {{"vendor", vendor.name}});
      continue;
    }
    OCTROI_CO_TRY(const auto seal, CredentialSeal::open(settings.key_file));
    OCTROI_CO_TRY(auto real, seal.unseal(*sealed, vendor.name));
    redactor().add(real);
    registered.emplace(vendor.name, std::make_shared<const Secret>(std::move(real)));
  }
  const bool signs = std::any_of(settings.vendors.begin(), settings.vendors.end(),
                                 [](const auto& v) { return v.pack == "aws"; });
  if (signs) {
    OCTROI_CO_TRY(auto master, signer_master(settings.key_file));
    settings.signer_master = std::make_shared<const Secret>(std::move(master));
  }
  co_return vault::Snapshot::build(std::move(settings), std::move(registered));
}

}  // namespace octroi::app
