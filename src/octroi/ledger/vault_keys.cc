#include "octroi/ledger/vault_keys.h"

namespace octroi::ledger {

std::string_view to_string(VaultKeyState s) {
  switch (s) {
    case VaultKeyState::active:
      return "active";
    case VaultKeyState::paused:
      return "paused";
    case VaultKeyState::revoked:
      return "revoked";
  }
  return "";
}

std::optional<VaultKeyState> vault_key_state_from_string(std::string_view text) {
  for (const auto s : {VaultKeyState::active, VaultKeyState::paused, VaultKeyState::revoked}) {
    if (to_string(s) == text) return s;
  }
  return std::nullopt;
}

std::string_view to_string(CredentialState s) {
  switch (s) {
    case CredentialState::current:
      return "current";
    case CredentialState::pending:
      return "pending";
    case CredentialState::previous:
      return "previous";
  }
  return "";
}

std::optional<CredentialState> credential_state_from_string(std::string_view text) {
  for (const auto s :
       {CredentialState::current, CredentialState::pending, CredentialState::previous}) {
    if (to_string(s) == text) return s;
  }
  return std::nullopt;
}

bool VaultKeyFilter::matches(const VaultKey& key) const {
  const auto fits = [](const std::string& wanted, const std::string& is) {
    return wanted.empty() || wanted == is;
  };
  return fits(id, key.id) && fits(run, key.run) && fits(agent, key.agent) &&
         fits(policy, key.policy) && fits(vendor, key.vendor);
}

}  // namespace octroi::ledger
