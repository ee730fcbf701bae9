// octroi/vault/packs/resend/resend.h: Resend: mail to people. What a call does is counted in
// recipients; who they are and who it says it is from is judged. What reaches a number of people
// that only Resend knows (broadcasts), and what widens what the key may do (keys, domains), is not
// known to the pack and so refused.
// Thread: pure.
#pragma once

#include <memory>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_resend_pack();

/// The address in "Name <a@b>" or "a@b", in lower case; Errc::ambiguous for anything that mail
/// programs could read differently.
[[nodiscard]] Result<std::string> mail_address(std::string_view text);

}  // namespace octroi::vault
