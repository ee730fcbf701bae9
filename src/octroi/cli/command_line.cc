#include "octroi/cli/command_line.h"

#include <algorithm>
#include <deque>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "octroi/config/schema.h"

namespace octroi::cli {
namespace {

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    if (blank != 0) out.emplace_back(text.substr(0, blank));
    text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  }
  return out;
}

class Options final : public OptionSet {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void flag(const std::string& names, bool& target, const std::string& help) override {
    app_.add_flag(names, target, help);
  }
  void count(const std::string& names, int& target, const std::string& help) override {
    app_.add_flag(names, target, help);
  }
  void option(const std::string& names, std::string& target, const std::string& help) override {
    app_.add_option(names, target, help)->take_last();
  }
  void option(const std::string& names, std::int64_t& target, const std::string& help) override {
    app_.add_option(names, target, help)->take_last();
  }
  void choice(const std::string& names, std::string& target,
              const std::vector<std::string>& allowed, const std::string& help) override {
    app_.add_option(names, target, help)
        ->check(CLI::IsMember(allowed).description(""))
        ->type_name(joined(allowed));
  }
  void repeated(const std::string& names, std::vector<std::string>& target,
                const std::string& help) override {
    // One value each, so that the word after it stays a positional argument.
    app_.add_option(names, target, help)->allow_extra_args(false);
  }
  void positional(const std::string& name, std::string& target, const std::string& help,
                  bool required) override {
    app_.add_option(name, target, help)->required(required);
  }
  void positionals(const std::string& name, std::vector<std::string>& target,
                   const std::string& help, bool required) override {
    app_.add_option(name, target, help)->required(required);
  }
  void excludes(const std::string& name, const std::string& other) override {
    app_.get_option(name)->excludes(app_.get_option(other));
  }

 private:
  static std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& w : words) out += (out.empty() ? "" : "|") + w;
    return out;
  }
  CLI::App& app_;
};

/// The words of the library's own help that would speak of itself.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "COMMAND");
    label("SUBCOMMANDS", "COMMANDS");
    label("OPTIONS", "options");
    column_width(34);
  }
};

std::string examples_text(const std::vector<Example>& examples) {
  if (examples.empty()) return {};
  std::string out = "Examples:\n";
  for (const Example& e : examples) out += fmt::format("  {}\n      {}\n", e.command, e.meaning);
  return out;
}

}  // namespace

struct CommandLine::Impl {
  struct Known {
    CommandSpec spec;
    CLI::App* app = nullptr;
  };

  CLI::App app{"A paywall, a vault and a wallet for machines that pay each other over Lightning.",
               "octroi"};
  GlobalOptions global;
  std::deque<Known> commands;
  std::map<std::string, std::string> groups;

  Impl() {
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_help_flag("-h,--help", "Shows this, or with a command its options and examples.");
    app.add_option("--config", global.config, "The configuration file.")
        ->take_last()
        ->type_name("FILE");
    app.add_flag("--json", global.json, "Prints JSON, one object on stdout.");
    app.add_option("--log-level", global.log_level, "Overrides log.level.")
        ->take_last()
        ->check(CLI::IsMember(
                    std::vector<std::string>{"trace", "debug", "info", "warn", "error", "off"})
                    .description(""))
        ->type_name("trace|debug|info|warn|error|off");
    app.require_subcommand(0, 1);
    app.footer(
        "Examples:\n"
        "  octroi demo\n      an unpaid request, its price, the payment and the answer, on this "
        "machine\n"
        "  octroi check --config octroi.yaml\n      every problem of a configuration, with line "
        "and fix\n"
        "  octroi fetch https://api.example.com/v1/forecast\n      pays what is asked, within the "
        "limits, and prints the answer\n");
  }

  CLI::App* child(CLI::App& parent, const std::string& name) const {
    for (CLI::App* sub : parent.get_subcommands([](CLI::App*) { return true; })) {
      if (sub->get_name() == name) return sub;
    }
    return nullptr;
  }

  CLI::App* make_path(const std::string& name) {
    CLI::App* at = &app;
    std::string path;
    for (const std::string& word : split_words(name)) {
      path += (path.empty() ? "" : " ") + word;
      CLI::App* next = child(*at, word);
      if (next == nullptr) {
        const auto group = groups.find(path);
        next = at->add_subcommand(word, group == groups.end() ? "" : group->second);
        next->group("Commands");
        next->fallthrough();  // so that global options may follow the command
        next->require_subcommand(0, 1);
      }
      at = next;
    }
    return at;
  }

  Known* find(const CLI::App* wanted) {
    for (Known& k : commands) {
      if (k.app == wanted) return &k;
    }
    return nullptr;
  }

  CLI::App* deepest() {
    CLI::App* at = &app;
    for (;;) {
      const std::vector<CLI::App*> parsed = at->get_subcommands();
      if (parsed.empty()) return at;
      at = parsed.front();
    }
  }

  /// The group or command that the words lead to before parsing, and the first word that leads
  /// nowhere.
  std::pair<CLI::App*, std::string> walk(const std::vector<std::string>& args) {
    CLI::App* at = &app;
    for (std::size_t i = 0; i < args.size(); ++i) {
      const std::string& word = args[i];
      if (word.starts_with('-')) {
        // The two global options that take a value in the next word.
        if (word == "--config" || word == "--log-level") ++i;
        continue;
      }
      CLI::App* next = child(*at, word);
      if (next == nullptr) return {at, word};
      at = next;
    }
    return {at, ""};
  }

  static std::vector<std::string> child_names(CLI::App& parent) {
    std::vector<std::string> out;
    for (const CLI::App* sub : parent.get_subcommands([](CLI::App*) { return true; }))
      out.push_back(sub->get_name());
    return out;
  }

  static std::string path_of(const CLI::App* at) {
    std::string out = at->get_name();
    for (const CLI::App* up = at->get_parent(); up != nullptr; up = up->get_parent())
      out = up->get_name() + " " + out;
    return out;
  }

  static std::string nearest_of(std::string_view word, const std::vector<std::string>& known) {
    return std::string(config::nearest(word, {known.begin(), known.end()}));
  }
};

CommandLine::CommandLine() : impl_(std::make_unique<Impl>()) {}
CommandLine::~CommandLine() = default;

void CommandLine::describe_group(std::string name, std::string summary) {
  for (CLI::App* sub : impl_->app.get_subcommands([](CLI::App*) { return true; })) {
    if (sub->get_name() == name && sub->get_description().empty()) sub->description(summary);
  }
  impl_->groups[std::move(name)] = std::move(summary);
}

void CommandLine::add(CommandSpec spec) {
  CLI::App* sub = impl_->make_path(spec.name);
  sub->description(spec.summary);
  sub->footer(examples_text(spec.examples));
  Options options(*sub);
  if (spec.options) spec.options(options);
  impl_->commands.push_back({std::move(spec), sub});
}

std::vector<std::string> CommandLine::names() const {
  std::vector<std::string> out;
  for (const auto& known : impl_->commands) out.push_back(known.spec.name);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> CommandLine::words_after(std::string_view name) const {
  CLI::App* at = &impl_->app;
  for (const std::string& word : split_words(name)) {
    at = impl_->child(*at, word);
    if (at == nullptr) return {};
  }
  std::vector<std::string> out = Impl::child_names(*at);
  const auto add_options = [&](const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& longer : option->get_lnames()) {
        const std::string word = "--" + longer;
        if (std::find(out.begin(), out.end(), word) == out.end()) out.push_back(word);
      }
    }
  };
  add_options(*at);
  if (at != &impl_->app) add_options(impl_->app);
  return out;
}

int CommandLine::run(std::vector<std::string> args, Host& host) {
  impl_->global = {};
  const auto usage = [&](const std::string& message, const std::string& where) {
    host.err << "octroi: " << message << "\n    fix: see `" << where << " --help`\n";
    return to_int(ExitCode::usage);
  };

  // Nothing after "--" is ours; for a command that does not take it, it is positional.
  std::vector<std::string> rest;
  const auto dashes = std::find(args.begin(), args.end(), "--");
  const bool has_rest = dashes != args.end();
  if (has_rest) {
    rest.assign(dashes + 1, args.end());
    args.erase(dashes, args.end());
  }

  const auto [place, unknown] = impl_->walk(args);
  const Impl::Known* target = impl_->find(place);
  if (target == nullptr && !unknown.empty()) {
    const std::string close = Impl::nearest_of(unknown, Impl::child_names(*place));
    host.err << fmt::format("octroi: \"{}\" is not a command of {}\n", unknown,
                            Impl::path_of(place));
    host.err << (close.empty() ? fmt::format("    fix: see `{} --help`\n", Impl::path_of(place))
                               : fmt::format("    fix: did you mean `{} {}`?\n",
                                             Impl::path_of(place), close));
    return to_int(ExitCode::usage);
  }
  if (has_rest && target != nullptr && !target->spec.takes_rest) {
    args.emplace_back("--");
    args.insert(args.end(), rest.begin(), rest.end());
    rest.clear();
  }

  try {
    std::reverse(args.begin(), args.end());  // as the library wants them
    impl_->app.parse(args);
  } catch (const CLI::CallForHelp&) {
    host.out << impl_->app.help();
    return to_int(ExitCode::done);
  } catch (const CLI::ParseError& e) {
    return usage(e.what(), Impl::path_of(place));
  }

  const CLI::App* chosen = impl_->deepest();
  const Impl::Known* command = impl_->find(chosen);
  if (command == nullptr) {
    host.err << impl_->app.help();
    return to_int(ExitCode::usage);
  }
  Invocation call{host, impl_->global, false, std::move(rest)};
  call.json = call.global.json || (command->spec.json_when_piped && !host.out_is_terminal);
  return to_int(command->spec.run(call));
}

}  // namespace octroi::cli
