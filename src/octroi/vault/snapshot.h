// octroi/vault/snapshot.h: the configuration of the vault door, compiled: vendors with their packs
// and real keys, policies, rates. Swapped whole on reload.
// Thread: immutable, shared by all workers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/policy/decide.h"
#include "octroi/vault/key_check.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/settings.h"
#include "octroi/vault/tokens.h"

namespace octroi::vault {

/// The real keys of a vendor beside the one that calls are made with: one that is tried, and the
/// one before, as long as there is a way back to it.
struct OtherKeys {
  std::vector<std::shared_ptr<const Secret>> real;
  std::int64_t version = 0;  // of the one in use
  bool lately = false;       // it took the place of another, which is still there
};

struct Vendor {
  VendorSettings settings;
  std::unique_ptr<VendorPack> pack;
  std::shared_ptr<const Secret> real;  // null: none was registered
  std::shared_ptr<TokenCell> tokens;   // of the real key; null: it is shown itself
  OtherKeys others;                    // of which nothing may be shown either
  std::vector<std::shared_ptr<TokenCell>> other_tokens;
  std::shared_ptr<const KeyCheck> key_check;  // key_check.h; null: there is none
  bool live = true;
  http::Origin origin;
  std::string authority;        // Host of what is sent
  const Vendor* api = nullptr;  // of a vendor's MCP server: the API of the same account

  /// Whom octroi itself asks about this account.
  [[nodiscard]] const Vendor& asked() const { return api != nullptr ? *api : *this; }
};

/// Whether a request that was read as one of them is read the same as the other: all that is
/// configured is, but for the real key.
[[nodiscard]] bool read_alike(const Vendor& a, const Vendor& b);

/// A vendor as it would be with this real key, to be asked with it.
[[nodiscard]] Result<Vendor> vendor_with(VendorSettings settings,
                                         std::shared_ptr<const Secret> real);

struct Snapshot {
  VaultSettings settings;
  std::vector<Vendor> vendors;
  std::vector<Vendor> doors;  // the MCP servers of vendors: the same name, key and policies
  std::map<std::string, policy::Policy, std::less<>> policies;
  std::optional<policy::Rates> rates;

  /// `registered`: the real keys that were sealed, by vendor; the configuration's come first.
  /// `others`: what was sealed beside them.
  [[nodiscard]] static Result<std::shared_ptr<const Snapshot>> build(
      VaultSettings settings, std::map<std::string, std::shared_ptr<const Secret>> registered,
      std::map<std::string, OtherKeys> others = {});

  /// That what a policy holds back has the names of its vendor.
  [[nodiscard]] Result<> check_names(const policy::Policy& policy) const;
  [[nodiscard]] const Vendor* by_name(std::string_view name) const;
  /// What a vendor of an earlier snapshot, or its MCP server, is in this one; null: not there.
  [[nodiscard]] const Vendor* now_of(const Vendor& earlier) const;
  /// By the first segment of a path.
  [[nodiscard]] const Vendor* by_path(std::string_view segment) const;
  /// Several where two accounts of one vendor are configured: which one is meant, the key says.
  [[nodiscard]] std::vector<const Vendor*> by_host(std::string_view host) const;
};

}  // namespace octroi::vault
