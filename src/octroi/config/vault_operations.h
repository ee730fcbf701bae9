// octroi/config/vault_operations.h: whether what a vendor's `operations` say can be meant.
// Thread: pure.
#pragma once

#include <string>

#include "octroi/config/vault_section.h"

namespace octroi::config {

void check_operations(const std::string& path, const Value& vendor, Context& context);

}  // namespace octroi::config
