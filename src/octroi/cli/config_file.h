// octroi/cli/config_file.h: finding and loading the configuration that a command works with.
// Thread: the main thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/cli/command.h"

namespace octroi::cli {

/// --config, $OCTROI_CONFIG, ./octroi.yaml, $XDG_CONFIG_HOME/octroi/octroi.yaml (or below
/// ~/.config), /etc/octroi/octroi.yaml: the first that was named or exists; empty when there is
/// none.
[[nodiscard]] std::optional<std::string> find_config(const Invocation& call);

/// Loads it with the environment and --log-level laid over. Prints every problem to stderr; on
/// errors gives nothing, and the command ends with ExitCode::usage. `secrets`: false leaves
/// references alone.
[[nodiscard]] std::optional<config::Loaded> load_config(const Invocation& call,
                                                        bool secrets = true);

/// The same without printing, with services of the store behind those of the file.
[[nodiscard]] config::LoadResult try_load_config(const Invocation& call, const std::string& file,
                                                 bool secrets,
                                                 std::vector<config::StoredService> stored = {});

/// The lines that say where a configuration was looked for.
[[nodiscard]] std::string no_config_message();

}  // namespace octroi::cli
