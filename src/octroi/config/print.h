// octroi/config/print.h: the configuration as octroi understood it, the reference of all keys, and
// a file in tidy form.
//
// Secrets are shown as their reference; those written into the file as "(written in the file)".
// Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "octroi/config/problem.h"
#include "octroi/config/value.h"

namespace octroi::config {

struct PrintOptions {
  bool json = false;
  bool defaults = true;  // false: only what was given
  std::string only;      // a path ("paywall.services[0].price"); empty: everything
};
/// Empty when `only` names nothing.
[[nodiscard]] std::optional<std::string> print(const Value& root, const PrintOptions& options);

/// docs/configuration.md: every key with its type, default, meaning and reload class.
[[nodiscard]] std::string reference_markdown();

/// The same content with two spaces a level, one blank line at most, and no trailing blanks;
/// comments stay. Fails where the text is not valid YAML.
[[nodiscard]] tl::expected<std::string, Problems> format_yaml(std::string_view text,
                                                              std::string_view file);

}  // namespace octroi::config
