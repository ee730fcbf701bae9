// octroi/cli/completion.h: shell completion out of the commands that are registered.
// Thread: the main thread only.
#pragma once

#include <string>
#include <string_view>

#include "octroi/cli/command_line.h"

namespace octroi::cli {

/// For "bash", "zsh" or "fish".
[[nodiscard]] std::string completion_script(const CommandLine& line, std::string_view shell);

}  // namespace octroi::cli
