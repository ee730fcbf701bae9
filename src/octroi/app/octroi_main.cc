// The program `octroi`: the world outside, given to the commands.

#include <iostream>
#include <string_view>

#include <unistd.h>

#include "octroi/adapters/hashivault/transit.h"
#include "octroi/app/commands.h"
#include "octroi/app/policy_advice.h"
#include "octroi/app/secret_sources.h"
#include "octroi/app/version.h"
#include "octroi/cli/command_line.h"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to us

namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  auto variables = environment();
  const auto server = octroi::app::vault_server(variables);
  auto resolver = octroi::app::all_secret_sources(variables, server);
  octroi::cli::Host host{.out = std::cout,
                         .err = std::cerr,
                         .out_is_terminal = ::isatty(STDOUT_FILENO) == 1,
                         .env = std::move(variables),
                         .resolve =
                             [&resolver](std::string_view reference) {
                               return resolver.fetch(reference).map(
                                   [](auto fetched) { return std::move(fetched.value); });
                             },
                         .clock = &octroi::system_clock(),
                         .version = std::string(octroi::app::kVersion),
                         .key_service =
                             [&server](const std::string& name) {
                               return std::make_shared<const octroi::hashivault::TransitKey>(server,
                                                                                             name);
                             },
                         .look_closer = &octroi::app::check_operations};
  octroi::cli::CommandLine line;
  octroi::cli::add_own_commands(line);
  octroi::app::add_commands(line);
  return line.run({argv + 1, argv + argc}, host);
}
