// octroi/app/real_key.h: the real key of a vendor, as a command gets it, and sealed.
//
// Errors   StateErrc::bad_argument, with what to write instead; those of CredentialSeal.
// Thread   blocking: commands.
#pragma once

#include <string>

#include "octroi/app/vault_keys.h"
#include "octroi/base/secret.h"
#include "octroi/config/model.h"

namespace octroi::app {

/// One line of standard input, or a PEM; on a terminal without showing it.
[[nodiscard]] Result<Secret> read_real_key();
/// Sealed for this vendor, which has to be one whose key is not in the configuration.
[[nodiscard]] Result<std::string> seal_for(const config::Config& config, const std::string& vendor,
                                           const Secret& real);

}  // namespace octroi::app
