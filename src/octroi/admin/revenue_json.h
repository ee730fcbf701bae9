// octroi/admin/revenue_json.h: what was settled, as the admin API and the command line show it.
// Amounts are millisatoshi, days are UTC.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "octroi/ledger/store.h"

namespace octroi::admin {

/// {"revenue": [{"day", "service", "auth_type", "sales", "amount_msat"}…], "sales", "amount_msat"}
[[nodiscard]] std::string revenue_json(const std::vector<ledger::Revenue>& rows);
/// `service`, `from` and `to`; or which is wrong.
[[nodiscard]] tl::expected<ledger::RevenueFilter, std::string> revenue_filter_of(
    const std::map<std::string, std::string>& query);

}  // namespace octroi::admin
