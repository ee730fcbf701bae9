// octroi/cli/command.h: what a command of the program is: its name, options, examples and action.
//
//   auto limit = std::make_shared<std::string>("20");
//   line.add({.name = "transaction list",
//             .summary = "Lists what was paid.",
//             .examples = {{"octroi transaction list --limit 5", "the last five"}},
//             .options = [limit](OptionSet& o) { o.option("--limit", *limit, "How many."); },
//             .run = [limit](const Invocation& call) { return ExitCode::done; }});
//
// The library that parses is hidden; commands bind options to variables of their own, which live as
// long as the specification (a shared_ptr held by both functions).
// Thread: the main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/cli/exit_code.h"
#include "octroi/config/load.h"

namespace octroi::secrets {
class KeyService;
}

namespace octroi::cli {

/// What the process gives to every command; made once by main.
struct Host {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  std::map<std::string, std::string> env;
  config::ResolveSecret resolve;
  const Clock* clock = nullptr;
  std::string version;
  /// The key of this name in the KMS that the environment names; null where there is none.
  std::function<std::shared_ptr<const secrets::KeyService>(const std::string& name)> key_service;
  /// What the doors find wrong with a configuration that is sound in itself; may be empty.
  std::function<config::Problems(const config::Loaded&)> look_closer = {};
};

struct GlobalOptions {
  std::string config;  // empty: the usual places
  bool json = false;
  std::string log_level;  // empty: as configured
};

/// One call of a command, after its options were bound.
struct Invocation {
  Host& host;
  GlobalOptions global;
  bool json = false;              // print JSON: asked for, or nobody reads along
  std::vector<std::string> rest;  // everything after "--", where the command takes it

  [[nodiscard]] std::ostream& out() const { return host.out; }
  [[nodiscard]] std::ostream& err() const { return host.err; }
};

/// Declares a command's options. Names as "-o,--output" or "--limit"; positional ones without
/// dashes.
class OptionSet {
 public:
  virtual ~OptionSet() = default;
  virtual void flag(const std::string& names, bool& target, const std::string& help) = 0;
  /// How often it was given: -vvv.
  virtual void count(const std::string& names, int& target, const std::string& help) = 0;
  virtual void option(const std::string& names, std::string& target, const std::string& help) = 0;
  virtual void option(const std::string& names, std::int64_t& target, const std::string& help) = 0;
  /// One of `allowed`.
  virtual void choice(const std::string& names, std::string& target,
                      const std::vector<std::string>& allowed, const std::string& help) = 0;
  /// May be given several times, one value each.
  virtual void repeated(const std::string& names, std::vector<std::string>& target,
                        const std::string& help) = 0;
  virtual void positional(const std::string& name, std::string& target, const std::string& help,
                          bool required = true) = 0;
  virtual void positionals(const std::string& name, std::vector<std::string>& target,
                           const std::string& help, bool required = true) = 0;
  /// Only one of the two may be given; both must be declared before.
  virtual void excludes(const std::string& name, const std::string& other) = 0;
};

struct Example {
  std::string command;
  std::string meaning;
};

struct CommandSpec {
  std::string
      name;  // words: "wallet pay"; a group ("wallet") comes into being with its first command
  std::string summary;  // one sentence
  std::vector<Example> examples;
  std::function<void(OptionSet&)> options;
  std::function<ExitCode(const Invocation&)> run;
  bool takes_rest = false;       // `octroi run -- CMD ARGS`: nothing after "--" is parsed
  bool json_when_piped = false;  // without a terminal its reader is likely a program
};

}  // namespace octroi::cli
