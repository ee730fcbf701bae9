// octroi/adapters/sql/session_rows.h: the columns of a session, and a session read back from them.
// For the session operations.
#pragma once

#include <optional>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/sessions.h"

/// A macro, because statements are literals that are kept by their text.
#define OCTROI_SESSION_COLUMNS                                                         \
  "id, service, return_invoice, return_hash, deposit_msat, spent_msat, opened_at,"     \
  " last_used_at, idle_ms, state, close_reason, closed_at, refund_stage, refund_msat," \
  " rounding_msat, refund_fee_msat, refund_attempts, refund_at, refund_detail"

namespace octroi::sql {

/// The row that the query stands on.
[[nodiscard]] Result<ledger::Session> read_session(const Query& q);
/// Steps to the next row and reads it; nullopt at the end.
[[nodiscard]] Result<std::optional<ledger::Session>> next_session(Query& q);
[[nodiscard]] Result<std::vector<ledger::Session>> all_sessions(Query& q);

}  // namespace octroi::sql
