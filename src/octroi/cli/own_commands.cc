// The commands that need nothing but a configuration: check, config, version, completion.

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "octroi/cli/command_line.h"
#include "octroi/cli/completion.h"
#include "octroi/cli/config_file.h"
#include "octroi/cli/output.h"
#include "octroi/config/print.h"

namespace octroi::cli {
namespace {

std::string problem_json(const config::Problem& p) {
  JsonObject o;
  o.text("severity", p.severity == config::Severity::error ? "error" : "warning")
      .text("file", p.file);
  o.number("line", p.line)
      .number("column", p.column)
      .text("path", p.path)
      .text("message", p.message)
      .text("fix", p.fix);
  return o.str();
}

ExitCode check(const Invocation& call, bool no_secrets) {
  const auto file = find_config(call);
  if (!file) {
    call.err() << no_config_message();
    return ExitCode::usage;
  }
  const config::LoadResult loaded = try_load_config(call, *file, !no_secrets);
  config::Problems problems = loaded ? loaded->warnings : loaded.error();
  bool valid = loaded.has_value();
  if (loaded && call.host.look_closer) {
    for (config::Problem& p : call.host.look_closer(*loaded)) {
      p.file = *file;
      problems.push_back(std::move(p));
      valid = false;
    }
  }
  const ExitCode code = valid ? ExitCode::done : ExitCode::usage;
  if (call.json) {
    std::vector<std::string> items;
    for (const config::Problem& p : problems) items.push_back(problem_json(p));
    call.out() << JsonObject()
                      .text("file", *file)
                      .boolean("valid", valid)
                      .raw("problems", json_array(items))
                      .str()
               << "\n";
    return code;
  }
  (valid ? call.out() : call.err()) << config::to_text(problems);
  if (valid) call.out() << *file << ": ok\n";
  return code;
}

void add_check(CommandLine& line) {
  auto no_secrets = std::make_shared<bool>(false);
  line.add(
      {.name = "check",
       .summary =
           "Validates the configuration: every problem with its line and what to write instead.",
       .examples = {{"octroi check",
                     "the configuration in its usual place; exit 2 when it has errors"},
                    {"octroi check --config octroi.yaml --json", "problems as JSON"},
                    {"octroi check --no-secrets", "where the secrets are not at hand, as in CI"}},
       .options =
           [no_secrets](OptionSet& o) {
             o.flag("--no-secrets", *no_secrets, "Checks references by their form only.");
           },
       .run = [no_secrets](const Invocation& call) { return check(call, *no_secrets); }});
}

struct PrintArguments {
  std::string path;
  bool given = false;
};

ExitCode config_print(const Invocation& call, const PrintArguments& args) {
  const auto loaded = load_config(call, /*secrets=*/false);
  if (!loaded) return ExitCode::usage;
  config::PrintOptions options;
  options.json = call.json;
  options.defaults = !args.given;
  options.only = args.path;
  const auto text = config::print(*loaded->values, options);
  if (!text) {
    call.err() << fmt::format(
        "octroi: the configuration has no \"{}\"\n    fix: see docs/configuration.md for all "
        "keys\n",
        args.path);
    return ExitCode::usage;
  }
  call.out() << *text;
  return ExitCode::done;
}

void add_config_print(CommandLine& line) {
  auto args = std::make_shared<PrintArguments>();
  line.add({.name = "config print",
            .summary = "Shows the configuration as octroi understands it, with defaults and "
                       "overrides. Secrets stay references.",
            .examples = {{"octroi config print", "everything"},
                         {"octroi config print --given", "only what was written"},
                         {"octroi config print paywall.services[0].price", "one key"}},
            .options =
                [args](OptionSet& o) {
                  o.positional("path", args->path, "A part of it, such as paywall.services[0].",
                               false);
                  o.flag("--given", args->given, "Leaves out what is a default.");
                },
            .run = [args](const Invocation& call) { return config_print(call, *args); }});
}

struct FormatArguments {
  bool write = false;
  bool check = false;
};

ExitCode config_format(const Invocation& call, const FormatArguments& args) {
  const auto file = find_config(call);
  if (!file) {
    call.err() << no_config_message();
    return ExitCode::usage;
  }
  std::ifstream in(*file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) {
    call.err() << fmt::format(
        "octroi: {} cannot be read\n    fix: name a file that can be read with --config\n", *file);
    return ExitCode::usage;
  }
  const auto tidy = config::format_yaml(text.str(), *file);
  if (!tidy) {
    call.err() << config::to_text(tidy.error());
    return ExitCode::usage;
  }
  if (args.check) return *tidy == text.str() ? ExitCode::done : ExitCode::failed;
  if (!args.write) {
    call.out() << *tidy;
    return ExitCode::done;
  }
  if (*tidy == text.str()) return ExitCode::done;
  std::ofstream out(*file, std::ios::binary | std::ios::trunc);
  out << *tidy;
  out.flush();
  if (!out) {
    call.err() << fmt::format("octroi: {} cannot be written\n    fix: check its permissions\n",
                              *file);
    return ExitCode::failed;
  }
  return ExitCode::done;
}

void add_config_format(CommandLine& line) {
  auto args = std::make_shared<FormatArguments>();
  line.add({.name = "config fmt",
            .summary = "Tidies the configuration file; comments and content stay.",
            .examples = {{"octroi config fmt", "prints the tidy form"},
                         {"octroi config fmt --write", "writes it back"},
                         {"octroi config fmt --check", "exit 1 when the file is not tidy"}},
            .options =
                [args](OptionSet& o) {
                  o.flag("-w,--write", args->write, "Writes the file.");
                  o.flag("--check", args->check,
                         "Only says, by the exit code, whether it is tidy.");
                  o.excludes("--write", "--check");
                },
            .run = [args](const Invocation& call) { return config_format(call, *args); }});
}

void add_config_docs(CommandLine& line) {
  line.add({.name = "config docs",
            .summary = "Prints the reference of all configuration keys (docs/configuration.md).",
            .examples = {{"octroi config docs > docs/configuration.md", "writes it anew"}},
            .options = {},
            .run = [](const Invocation& call) {
              call.out() << config::reference_markdown();
              return ExitCode::done;
            }});
}

void add_version(CommandLine& line) {
  line.add({.name = "version",
            .summary = "Prints the version.",
            .examples = {{"octroi version --json", "as JSON"}},
            .options = {},
            .run = [](const Invocation& call) {
              if (call.json) {
                call.out() << JsonObject().text("version", call.host.version).str() << "\n";
              } else {
                call.out() << "octroi " << call.host.version << "\n";
              }
              return ExitCode::done;
            }});
}

void add_completion(CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  line.add({.name = "completion",
            .summary = "Prints a completion script for a shell.",
            .examples = {{"source <(octroi completion bash)", "for this bash session"},
                         {"octroi completion fish > ~/.config/fish/completions/octroi.fish",
                          "for fish, for good"}},
            .options =
                [shell](OptionSet& o) {
                  o.choice("shell", *shell, {"bash", "zsh", "fish"}, "The shell.");
                },
            .run =
                [shell, &line](const Invocation& call) {
                  if (shell->empty()) {
                    call.err() << "octroi: completion needs the name of a shell\n    fix: write "
                                  "bash, zsh or fish\n";
                    return ExitCode::usage;
                  }
                  call.out() << completion_script(line, *shell);
                  return ExitCode::done;
                }});
}

}  // namespace

void add_own_commands(CommandLine& line) {
  line.describe_group("config", "Shows, tidies and documents the configuration.");
  add_check(line);
  add_config_print(line);
  add_config_format(line);
  add_config_docs(line);
  add_version(line);
  add_completion(line);
}

}  // namespace octroi::cli
