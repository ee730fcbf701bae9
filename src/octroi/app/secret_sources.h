// octroi/app/secret_sources.h: every source of secrets that this program has, with what its
// environment says of them.   Thread: start-up; what it makes, as secrets::Resolver.
#pragma once

#include <map>
#include <string>

#include "octroi/secrets/resolver.h"

namespace octroi::app {

[[nodiscard]] secrets::Resolver all_secret_sources(
    const std::map<std::string, std::string>& environment);

}  // namespace octroi::app
