// octroi/config/load.h: from the text of octroi.yaml and the environment to a Config, or to every
// problem in it.
//
//   auto loaded = config::load_file("octroi.yaml", options);
//   if (!loaded) { print(to_text(loaded.error())); return ExitCode::usage; }
//
// Order: YAML, then environment overrides, then services of the store (stored.h), then defaults; a
// secret reference is replaced last. Overrides are OCTROI_ and the path in capitals with __ between
// levels. An item of a list is named by its number from 0 or by its `name`; a list is written with
// commas, a mapping as {key: value}. Secrets are resolved only where they are used: not those of a
// backend that is not chosen. Thread: any; reads files and secrets, so not on a worker's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/config/model.h"
#include "octroi/config/problem.h"
#include "octroi/config/stored.h"
#include "octroi/config/value.h"

namespace octroi::config {

/// Fetches what a reference ("env://NAME", "file:///path") stands for. Its error messages name the
/// reference, never the value. ErrorKind::not_found: there is nothing there (yet).
using ResolveSecret = std::function<Result<Secret>(std::string_view reference)>;

struct LoadOptions {
  /// Null: references are checked by their form only and stay unresolved; enough for `config
  /// print`.
  ResolveSecret resolve;
  /// The process's environment; only names that begin with OCTROI_ and HOME are looked at.
  std::map<std::string, std::string> env;
  const Clock* clock = nullptr;  // null: the system's
  /// Services that stand in the store, in their order; they are a part of `paywall.services`.
  std::vector<StoredService> stored;
};

struct Loaded {
  Config config;
  std::shared_ptr<const Value> values;  // what `config print` shows and `diff` compares
  Problems warnings;
  /// Stored services that are left out, because the file has a service of that name.
  std::vector<std::string> shadowed;
};

using LoadResult = tl::expected<Loaded, Problems>;

/// `file` names the text in problems.
[[nodiscard]] LoadResult load(std::string_view text, std::string_view file,
                              const LoadOptions& options);
[[nodiscard]] LoadResult load_file(const std::string& path, const LoadOptions& options);

/// "env://X", "file:///x", …: whether the text has the form of a reference to a provider we know
/// of.
[[nodiscard]] bool is_reference(std::string_view text);

struct Change {
  std::string path;         // "paywall.services[0].price"
  bool reloadable = false;  // false: takes effect after a restart
};
/// What differs, secrets by value included, in the order of the schema.
[[nodiscard]] std::vector<Change> diff(const Loaded& before, const Loaded& after);

/// The path of the file that `store: sqlite:///path` names; empty for another kind of store.
[[nodiscard]] std::string sqlite_path(const Config& config);
/// Whether `store` is a PostgreSQL database.
[[nodiscard]] bool is_postgres(const Config& config);

}  // namespace octroi::config
