// octroi/config/check.h: the steps of a load, in order. Internal to octroi/config.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "octroi/config/lnd_macaroon.h"
#include "octroi/config/load.h"

namespace octroi::config {

/// What every step needs: where to report, and the world outside.
struct Context {
  std::string file;
  const LoadOptions& options;
  UnixMillis now;
  Problems problems;
  std::map<std::string, std::shared_ptr<const Secret>, std::less<>>
      resolved;  // each reference is fetched once

  void report(Severity severity, const Value& at, std::string path, std::string message,
              std::string fix);
  void error(const Value& at, std::string path, std::string message, std::string fix) {
    report(Severity::error, at, std::move(path), std::move(message), std::move(fix));
  }
  void warn(const Value& at, std::string path, std::string message, std::string fix) {
    report(Severity::warning, at, std::move(path), std::move(message), std::move(fix));
  }
  [[nodiscard]] bool has_errors() const;
  /// Fetches a reference; the error is for a message.
  [[nodiscard]] Result<std::shared_ptr<const Secret>> fetch(std::string_view reference);
};

/// Lays OCTROI_… variables over the tree.
void apply_environment(Node& root, Context& context);

/// Types, ranges, unknown keys, required keys, defaults.
[[nodiscard]] Value check_tree(const Node& root, Context& context);

/// One scalar by its type: fills data and text, or reports. `shown` is what messages may quote.
void parse_leaf(Value& value, const std::string& text, const std::string& path, Context& context);

/// Fetches the secrets of the parts that are in use.
void resolve_secrets(Value& root, Context& context);

/// Rules between keys.
void cross_check(const Value& root, Context& context);

/// REQUIRES a tree without errors.
[[nodiscard]] Config bind(const Value& root, const Context& context);

}  // namespace octroi::config
