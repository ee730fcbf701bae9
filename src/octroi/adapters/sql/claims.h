// octroi/adapters/sql/claims.h: claiming a payment hash, as a part of every operation that takes a
// proof: a charge, a token, and the open, top-up and close of a session. Inside the caller's
// savepoint.
#pragma once

#include <string_view>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

/// The claim itself: one statement that writes a row only for a hash that we made and nobody has
/// claimed, under any scheme. True: it is ours.
[[nodiscard]] Result<bool> claim_hash(Connection& db, const ledger::ConsumeRequest& request,
                                      std::string_view boot);
/// What the proof gets after claim_hash() said no.
[[nodiscard]] Result<ledger::ConsumeOutcome> seen_before(Connection& db,
                                                         const ledger::ConsumeRequest& again,
                                                         std::string_view boot);

}  // namespace octroi::sql
