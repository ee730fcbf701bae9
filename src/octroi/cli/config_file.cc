#include "octroi/cli/config_file.h"

#include <filesystem>

#include "octroi/config/problem.h"

namespace octroi::cli {
namespace {

std::string variable(const Invocation& call, const char* name) {
  const auto it = call.host.env.find(name);
  return it == call.host.env.end() ? std::string() : it->second;
}

}  // namespace

std::optional<std::string> find_config(const Invocation& call) {
  if (!call.global.config.empty()) return call.global.config;
  if (std::string named = variable(call, "OCTROI_CONFIG"); !named.empty()) return named;
  std::vector<std::string> places{"octroi.yaml"};
  if (const std::string xdg = variable(call, "XDG_CONFIG_HOME"); !xdg.empty()) {
    places.push_back(xdg + "/octroi/octroi.yaml");
  } else if (const std::string home = variable(call, "HOME"); !home.empty()) {
    places.push_back(home + "/.config/octroi/octroi.yaml");
  }
  places.emplace_back("/etc/octroi/octroi.yaml");
  for (const std::string& place : places) {
    std::error_code ec;
    if (std::filesystem::exists(place, ec)) return place;
  }
  return std::nullopt;
}

std::string no_config_message() {
  return "octroi: there is no configuration at ./octroi.yaml, $XDG_CONFIG_HOME/octroi/octroi.yaml "
         "or /etc/octroi/octroi.yaml\n"
         "    fix: copy examples/octroi.yaml, or name a file with --config\n";
}

config::LoadResult try_load_config(const Invocation& call, const std::string& file, bool secrets,
                                   std::vector<config::StoredService> stored) {
  config::LoadOptions options;
  options.env = call.host.env;
  options.clock = call.host.clock;
  options.stored = std::move(stored);
  if (secrets) options.resolve = call.host.resolve;
  if (!call.global.log_level.empty()) options.env["OCTROI_LOG__LEVEL"] = call.global.log_level;
  auto loaded = config::load_file(file, options);
  if (secrets && loaded && loaded->config.vault && call.host.key_service) {
    vault::VaultSettings& vault = *loaded->config.vault;
    if (!vault.key_transit.empty()) vault.seal_service = call.host.key_service(vault.key_transit);
  }
  return loaded;
}

std::optional<config::Loaded> load_config(const Invocation& call, bool secrets) {
  const auto file = find_config(call);
  if (!file) {
    call.err() << no_config_message();
    return std::nullopt;
  }
  config::LoadResult loaded = try_load_config(call, *file, secrets);
  if (!loaded) {
    call.err() << config::to_text(loaded.error());
    return std::nullopt;
  }
  for (const config::Problem& p : loaded->warnings) call.err() << config::to_text(p) << "\n";
  return std::move(*loaded);
}

}  // namespace octroi::cli
