// octroi/wallet/settings.h: what the wallet is told: the validated form of the `wallet` section.
#pragma once

#include <optional>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/money/money.h"

namespace octroi::wallet {

struct Limits {
  Msat per_payment = Msat::from_raw_unchecked(1'000'000);   // 1000 sat
  std::optional<Msat> per_minute = Msat::from_raw_unchecked(10'000'000);
  std::optional<Msat> per_day = Msat::from_raw_unchecked(50'000'000);
  /// Routing fee: at most the larger of the two.
  Msat max_fee = Msat::from_raw_unchecked(10'000);          // 10 sat
};

struct WalletSettings {
  std::string store;  // directory, 0700
  Limits limits;
};

}  // namespace octroi::wallet
