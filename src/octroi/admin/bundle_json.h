// octroi/admin/bundle_json.h: counted L402 tokens as the admin API and the command line show them.
// Amounts are millisatoshi, times RFC 3339.
#pragma once

#include <string>
#include <vector>

#include "octroi/ledger/bundles.h"

namespace octroi::admin {

/// {"tokens": […], "next_before": id of the last one, or null when it was the last page}
[[nodiscard]] std::string bundles_json(const std::vector<ledger::Bundle>& bundles, int limit);
[[nodiscard]] std::string bundle_json(const ledger::Bundle& bundle);
/// {"totals": […]}, by service and unit
[[nodiscard]] std::string bundle_totals_json(const std::vector<ledger::BundleTotals>& totals);

}  // namespace octroi::admin
