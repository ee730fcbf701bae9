// octroi/config/vault_section.h: the vault door's part of the configuration. Internal to config.
#pragma once

#include "octroi/config/check.h"
#include "octroi/vault/settings.h"

namespace octroi::config {

/// For schema.cc.
[[nodiscard]] Field vault_section();
/// A policy as the text that octroi/policy reads.
[[nodiscard]] std::string policy_json(const Value& policy);
/// Rules between its keys.
void check_vault(const Value& root, Context& context);
/// REQUIRES a tree without errors.
[[nodiscard]] vault::VaultSettings vault_settings(const Value& root);

}  // namespace octroi::config
