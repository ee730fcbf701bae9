// octroi/admin/session_json.h: prepaid sessions as the admin API and the command line show them.
// Amounts are millisatoshi, times RFC 3339.
#pragma once

#include <string>
#include <vector>

#include "octroi/ledger/sessions.h"

namespace octroi::admin {

/// {"sessions": […], "next_before": id of the last one, or null when it was the last page}
[[nodiscard]] std::string sessions_json(const std::vector<ledger::Session>& sessions, int limit);
/// One session, with its return invoice.
[[nodiscard]] std::string session_json(const ledger::Session& session);
/// {"outcome": …, "session": …}
[[nodiscard]] std::string session_outcome_json(ledger::SessionOutcome outcome,
                                               const ledger::Session& session);
[[nodiscard]] std::string session_totals_json(const ledger::SessionTotals& totals);

}  // namespace octroi::admin
