// octroi/app/token_commands.h: commands about counted L402 tokens: token list, show, totals.
// Through a running server's admin listener, or on its store while none runs.
#pragma once

#include "octroi/cli/command_line.h"

namespace octroi::app {

void add_token_commands(cli::CommandLine& line);

}  // namespace octroi::app
