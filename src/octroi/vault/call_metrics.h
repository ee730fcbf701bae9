// octroi/vault/call_metrics.h: what calls of agents are counted in, each counter looked up once for
// a vendor and not for every call.
//
// Thread  that of its broker.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "octroi/audit/event.h"
#include "octroi/base/metrics.h"
#include "octroi/money/money.h"

namespace octroi::vault {

class CallMetrics {
 public:
  /// `registry` outlives it.
  explicit CallMetrics(MetricRegistry& registry) : registry_(registry) {}

  /// `vendor`: empty when a call named none.
  void call(std::string_view vendor, audit::Verdict verdict);

  enum class Money : std::uint8_t { reserved, settled, released };
  /// Of calls of this process, as they were made: what was settled counts what was reserved for it
  /// no more.
  void money(std::string_view vendor, Money what, MicroUsd amount);

 private:
  static constexpr std::size_t kVerdicts =
      static_cast<std::size_t>(audit::Verdict::revoked_inflight) + 1;
  static constexpr std::size_t kMoney = static_cast<std::size_t>(Money::released) + 1;
  struct Cells {
    std::array<Counter*, kVerdicts> calls{};
    std::array<Counter*, kMoney> money{};
  };
  Cells& of(std::string_view vendor);

  MetricRegistry& registry_;
  std::map<std::string, Cells, std::less<>> vendors_;
};

}  // namespace octroi::vault
