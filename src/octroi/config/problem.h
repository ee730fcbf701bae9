// octroi/config/problem.h: what is wrong with a configuration, said so that a person can repair it.
//
// A load reports every problem it can see, not the first. Line and column count from 1; line 0
// means that the value did not come from the file (an environment variable, or the file as a
// whole). Secrets: neither message nor fix ever holds the value of a secret or of a URL's user
// information. Thread: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/error.h"

namespace octroi::config {

enum class Severity : std::uint8_t {
  error,    // octroi does not start
  warning,  // octroi starts, but probably not as meant
};

struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;     // "paywall.services[0].price"; empty: the file as a whole
  std::string message;  // what is wrong
  std::string fix;      // what to write instead, a sentence
  Severity severity = Severity::error;
};

using Problems = std::vector<Problem>;

enum class Errc : std::uint8_t {
  invalid_config,  // the configuration has errors; the message holds them all
  unreadable,      // the file cannot be read
  bad_unit,        // a duration or size that is not digits and a unit
  bad_url,         // not scheme://host[:port][/path]
};
ErrorInfo error_info(Errc e);

/// "octroi.yaml:12:7: error: paywall.realm: holds a '|'\n    fix: remove it".
[[nodiscard]] std::string to_text(const Problem& problem);
/// All of them, one after the other, with a closing line that counts them.
[[nodiscard]] std::string to_text(const Problems& problems);

/// By line and column, those without a line last.
void sort_by_place(Problems& problems);

}  // namespace octroi::config
