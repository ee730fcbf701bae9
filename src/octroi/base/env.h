// octroi/base/env.h: the only door to environment variables.
//
// Secrets that came in a variable are scrubbed once read, so that child processes do not inherit
// them and the process's own environment block (readable by the same user) no longer shows them.
// Thread: start-up only, before other threads run: the C library's environment is not synchronised.
#pragma once

#include <optional>
#include <string>

#include "octroi/base/secret.h"

namespace octroi {

/// A copy of the variable; empty when it is not set (set but empty gives "").
[[nodiscard]] std::optional<std::string> get_env(const std::string& name);

/// As get_env, into guarded memory.
[[nodiscard]] std::optional<Secret> get_env_secret(const std::string& name);

/// Overwrites the variable's value in place and removes it.
void scrub_env(const std::string& name);

}  // namespace octroi
