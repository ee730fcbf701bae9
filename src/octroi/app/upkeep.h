// octroi/app/upkeep.h: what every server does beside its doors until it is cancelled.
//
// Thread   the control loop. What is pointed to must outlive the task; `config` is looked at anew
// each
//          time, since a reload replaces what it holds.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "octroi/config/load.h"
#include "octroi/ledger/store.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::app {

/// Removes each minute what `retention` no longer keeps.
Task<void> keep_retention(net::Loop* loop, ledger::Store* store, const config::Config* config);

/// Reloads when the file of the configuration was changed. A reload that fails is logged.
Task<void> watch_file(net::Loop* loop, const config::Config* config,
                      std::function<Task<Result<std::string>>()> reload);

/// What a reload changed: into the log, and as the JSON that answers who asked for it.
[[nodiscard]] std::string tell_changes(std::span<const config::Change> changes);

}  // namespace octroi::app
