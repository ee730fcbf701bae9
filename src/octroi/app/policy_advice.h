// octroi/app/policy_advice.h: what is wrong with policies that only the vendors' packs can tell.
// Thread: pure.
#pragma once

#include "octroi/config/load.h"

namespace octroi::app {

/// Of a configuration that is sound in itself: policies that name operations which their vendor
/// does not have.
[[nodiscard]] config::Problems check_operations(const config::Loaded& loaded);

}  // namespace octroi::app
