// octroi/app/approval_commands.h: approval list, show, approve, deny.
//
// Thread   the main thread only.
#pragma once

#include "octroi/cli/command_line.h"

namespace octroi::app {

void add_approval_commands(cli::CommandLine& line);

}  // namespace octroi::app
