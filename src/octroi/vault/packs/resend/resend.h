// octroi/vault/packs/resend/resend.h: Resend: mail to people. What a call does is counted in
// recipients; who they are and who it says it is from is judged. What reaches a number of people
// that only Resend knows (broadcasts), and what widens what the key may do (keys, domains), is not
// known to the pack and so refused.
// Thread: pure.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_resend_pack();

/// The address in "Name <a@b>" or "a@b", in lower case; Errc::ambiguous for anything that mail
/// programs could read differently.
[[nodiscard]] Result<std::string> mail_address(std::string_view text);
/// Those of a field of a mail, which is one address or a list of them.
[[nodiscard]] Result<> add_mail_addresses(const json::Value& mail, std::string_view field,
                                          std::set<std::string, std::less<>>& out);

/// What one mail costs above the monthly plan, upper bound.
inline constexpr MicroUsd kPerRecipient = MicroUsd::from_raw_unchecked(900);

}  // namespace octroi::vault
