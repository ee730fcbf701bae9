#include "octroi/app/secret_sources.h"

#include <utility>

#include "octroi/adapters/hashivault/kv_provider.h"
#include "octroi/secrets/programs.h"

namespace octroi::app {

namespace {

/// Those that need nobody who keeps secrets behind HTTP.
secrets::Resolver sources_here(const std::map<std::string, std::string>& environment) {
  secrets::Resolver out = secrets::local_resolver();
  out.add(std::make_unique<secrets::ExecProvider>(environment));
  out.add(std::make_unique<secrets::OnePasswordProvider>(environment));
  return out;
}

}  // namespace

std::shared_ptr<hashivault::Access> vault_server(
    const std::map<std::string, std::string>& environment) {
  // The halves of an AppRole are read anew for each login: one may have been renewed meanwhile.
  auto here = std::make_shared<secrets::Resolver>(sources_here(environment));
  return std::make_shared<hashivault::Access>(environment, [here](std::string_view reference) {
    return here->fetch(reference).map([](auto fetched) { return std::move(fetched.value); });
  });
}

secrets::Resolver all_secret_sources(const std::map<std::string, std::string>& environment,
                                     std::shared_ptr<hashivault::Access> server) {
  secrets::Resolver out = sources_here(environment);
  out.add(std::make_unique<hashivault::KvProvider>(std::move(server)));
  return out;
}

}  // namespace octroi::app
