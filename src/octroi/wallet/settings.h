// octroi/wallet/settings.h: what the wallet is told: the validated form of the `wallet` section.
#pragma once

#include <optional>
#include <string>

#include "octroi/ledger/spend_journal.h"

namespace octroi::wallet {

using Limits = ledger::SpendLimits;

struct WalletSettings {
  std::string store;  // directory, 0700
  Limits limits;
};

}  // namespace octroi::wallet
