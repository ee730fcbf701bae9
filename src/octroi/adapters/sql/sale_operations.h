// octroi/adapters/sql/sale_operations.h: rows of the audit for what the paywall sold. A settlement
// marks its transaction as untold, in its own commit; telling it writes the row and takes the mark
// away, in one. So each sale has one row, whatever crashes, and no request waits for it.
//
// One operation, run inside the caller's transaction on the lane of the journal.
#pragma once

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/adapters/sql/connection.h"

namespace octroi::sql {

/// Tells at most `limit` sales; how many there were.
[[nodiscard]] Result<int> tell_sales(Connection& db, ChainTip& tip, UnixMillis now, int limit);

}  // namespace octroi::sql
