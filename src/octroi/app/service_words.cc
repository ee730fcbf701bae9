#include <memory>

#include "octroi/app/commands.h"

namespace octroi::app {

using cli::ExitCode;
using cli::Invocation;
using cli::OptionSet;

namespace {

void keys(OptionSet& set, const std::shared_ptr<ServiceEdit>& e) {
  set.positionals("KEY=VALUE", e->set,
                  "Keys of a service as in the configuration: price='10 sat' match.path=^/v1/.",
                  false);
  set.option("--file", e->file, "A file with the keys of the service, YAML or JSON; - is stdin.");
  set.choice("--enabled", e->enabled, {"on", "off"}, "Off: kept, not served.");
}

void add_reading(cli::CommandLine& line) {
  line.add({.name = "service list",
            .summary = "Lists the services of the file and of the store, in the order of matching.",
            .examples = {{"octroi service list", "the file's come first"}},
            .options = {},
            .run =
                [](const Invocation& call) {
                  return static_cast<ExitCode>(service_list_command({call, call.json}));
                },
            .json_when_piped = true});
  auto name = std::make_shared<std::string>();
  line.add({.name = "service show",
            .summary = "Shows one service: where it stands, its version and its keys.",
            .examples = {{"octroi service show weather", "secrets stay references"}},
            .options = [name](OptionSet& set) { set.positional("NAME", *name, "The service."); },
            .run =
                [name](const Invocation& call) {
                  return static_cast<ExitCode>(service_show_command({call, call.json}, *name));
                },
            .json_when_piped = true});
}

}  // namespace

void add_service_commands(cli::CommandLine& line) {
  line.describe_group("service", "What the paywall sells: services in the file and in the store.");
  add_reading(line);
  auto a = std::make_shared<ServiceEdit>();
  line.add({.name = "service add",
            .summary = "Adds a service to the store; a running server serves it at once.",
            .examples = {{"octroi service add weather upstream=http://127.0.0.1:9000 "
                          "match.path=^/v1/ price='10 sat'",
                          "keys as in the configuration"},
                         {"octroi service add weather --file weather.yaml", "from a file"}},
            .options =
                [a](OptionSet& set) {
                  set.positional("NAME", a->name, "Of the new service.");
                  keys(set, a);
                },
            .run =
                [a](const Invocation& call) {
                  return static_cast<ExitCode>(service_add_command({call, call.json}, *a));
                },
            .json_when_piped = true});
  auto s = std::make_shared<ServiceEdit>();
  line.add({.name = "service set",
            .summary = "Changes keys of a service in the store.",
            .examples = {{"octroi service set weather price='12 sat'", "the others stay"},
                         {"octroi service set weather --enabled off", "404 from now on"},
                         {"octroi service set weather --unset session", "back to the default"}},
            .options =
                [s](OptionSet& set) {
                  set.positional("NAME", s->name, "The service.");
                  keys(set, s);
                  set.repeated("--unset", s->unset, "Removes a key.");
                  set.option("--if-version", s->if_version,
                             "Only when this is its version, as show tells it.");
                },
            .run =
                [s](const Invocation& call) {
                  return static_cast<ExitCode>(service_set_command({call, call.json}, *s));
                },
            .json_when_piped = true});
  auto r = std::make_shared<ServiceEdit>();
  line.add({.name = "service remove",
            .summary = "Removes a service from the store; what it sold stays in the books.",
            .examples = {{"octroi service remove weather", "404 from now on"}},
            .options =
                [r](OptionSet& set) {
                  set.positional("NAME", r->name, "The service.");
                  set.option("--if-version", r->if_version,
                             "Only when this is its version, as show tells it.");
                },
            .run =
                [r](const Invocation& call) {
                  return static_cast<ExitCode>(service_remove_command({call, call.json}, *r));
                },
            .json_when_piped = true});
}

}  // namespace octroi::app
