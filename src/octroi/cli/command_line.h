// octroi/cli/command_line.h: the commands of the program, and the reading of argv.
//
// Global options (--config, --json, --log-level, --help) may stand before or after the command,
// never after "--". Wrong usage is explained on stderr and ends with 2; --help prints to stdout and
// ends with 0. Thread: the main thread only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/cli/command.h"

namespace octroi::cli {

class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// REQUIRES a name that is not taken.
  void add(CommandSpec spec);
  /// The sentence that `octroi --help` shows for a group such as "wallet".
  void describe_group(std::string name, std::string summary);

  /// Without the program's name. Parses and runs; returns the process's exit code.
  [[nodiscard]] int run(std::vector<std::string> args, Host& host);

  // For shell completion.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Long options of a command, global ones included; commands one level below for a group.
  [[nodiscard]] std::vector<std::string> words_after(std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// check, config print|fmt|docs, version, completion. `line` outlives its commands.
void add_own_commands(CommandLine& line);

}  // namespace octroi::cli
