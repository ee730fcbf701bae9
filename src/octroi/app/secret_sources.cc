#include "octroi/app/secret_sources.h"

#include <memory>

#include "octroi/adapters/hashivault/kv_provider.h"
#include "octroi/secrets/programs.h"

namespace octroi::app {

secrets::Resolver all_secret_sources(const std::map<std::string, std::string>& environment) {
  secrets::Resolver out = secrets::local_resolver();
  out.add(std::make_unique<secrets::ExecProvider>(environment));
  out.add(std::make_unique<secrets::OnePasswordProvider>(environment));
  out.add(std::make_unique<hashivault::KvProvider>(environment));
  return out;
}

}  // namespace octroi::app
