// octroi/secrets/program.h: runs a program for the secret that it prints: no shell, no terminal,
// nothing inherited but the variables that are named.
//
// What it prints to its error stream is thrown away, and nothing of its output is in any message:
// programs quote what they were asked for.
// Errors   Errc::not_set (no such file), unreadable (cannot be started; others may write it; its
//          status was not 0), empty, too_large, timeout. They name the program and its status.
// Thread   blocking, at most `timeout` and a moment. Any thread.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/secrets/errc.h"

namespace octroi::secrets {

using Variables = std::map<std::string, std::string>;

struct Program {
  std::string path;                    // absolute
  std::vector<std::string> arguments;  // after its own name
  Variables environment;               // all of it
  Millis timeout{10'000};              // then it and all that it started are killed
};

inline constexpr std::size_t kMostProgramOutput = std::size_t{64} * 1024;

/// What it printed, without one newline at the end.
[[nodiscard]] Result<Secret> output_of(const Program& program);

/// Where the program of this name is: the first absolute folder of $PATH that has it; else empty.
[[nodiscard]] std::string find_program(const std::string& name, const Variables& environment);

/// Those of `all` that a program needs to know who it runs for and where its own settings are:
/// PATH, HOME, USER, LOGNAME, LANG, LC_ALL, TZ, TMPDIR, XDG_*, and names with one of `prefixes`.
[[nodiscard]] Variables plain_environment(const Variables& all,
                                          const std::vector<std::string_view>& prefixes = {});

}  // namespace octroi::secrets
