// octroi/vault/packs/generic/generic.h: any vendor: the key goes where the configuration says, or
// signs what is sent (signing.h), or is exchanged for a token that goes there (vault/oauth.h); and
// operations are those that the configuration declares, with where their amount, currency and
// customer stand. What is not declared has no name: only a policy's path can allow it, and it
// counts as a call, not as an amount.
// Thread: pure.
#pragma once

#include <memory>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_generic_pack(const VendorSettings& vendor);

/// "bearer", "basic", "header:NAME", "query:NAME", "cookie:NAME".
struct AuthStyle {
  enum class Is : std::uint8_t { bearer, basic, header, query, cookie } is = Is::bearer;
  std::string name;
};
[[nodiscard]] Result<AuthStyle> parse_auth_style(std::string_view text);
/// Where an agent shows its key, beside Authorization.
[[nodiscard]] std::vector<Place> places_of(const AuthStyle& auth);
/// Puts the real key there.
void put_credential(const AuthStyle& auth, VendorPack::Sending& sending);
/// The parts of the real key that are secrets beside the whole of it.
void hide_parts(const AuthStyle& auth, const Secret& real, std::vector<VendorPack::Hidden>& out);

/// "12.34" in the smallest unit of `currency`; no rounding.
[[nodiscard]] Result<std::int64_t> parse_major(std::string_view field, std::string_view text,
                                               std::string_view currency);

}  // namespace octroi::vault
