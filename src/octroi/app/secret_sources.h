// octroi/app/secret_sources.h: every source of secrets that this program has, with what its
// environment says of them.   Thread: start-up; what it makes, as secrets::Resolver.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "octroi/adapters/hashivault/access.h"
#include "octroi/secrets/resolver.h"

namespace octroi::app {

/// The server of VAULT_ADDR: one access for all that asks it.
[[nodiscard]] std::shared_ptr<hashivault::Access> vault_server(
    const std::map<std::string, std::string>& environment);

[[nodiscard]] secrets::Resolver all_secret_sources(
    const std::map<std::string, std::string>& environment,
    std::shared_ptr<hashivault::Access> server);

}  // namespace octroi::app
