// octroi/adapters/sql/session_operations.h: the statements of prepaid sessions. Each function is
// one operation of ledger::SessionStore, run inside the caller's transaction, and undoes itself
// when it fails.
//
// Whatever decides stands in the statement that writes: a balance is compared by the UPDATE that
// takes from it, so that the answer is the same over any number of processes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/sessions.h"

namespace octroi::sql {

/// `boot` is this process's own mark, as for consume().
[[nodiscard]] Result<ledger::OpenOutcome> open_session(Connection& db,
                                                       const ledger::OpenSession& request,
                                                       std::string_view boot);
[[nodiscard]] Result<std::optional<ledger::Session>> find_session(Connection& db,
                                                                  const PaymentHash& id);
[[nodiscard]] Result<ledger::SessionResult> debit_session(Connection& db, const PaymentHash& id,
                                                          std::string_view service, Msat amount,
                                                          UnixMillis now);
[[nodiscard]] Result<ledger::SessionResult> give_back(Connection& db, const PaymentHash& id,
                                                      Msat amount, UnixMillis now);
[[nodiscard]] Result<ledger::TopUpOutcome> top_up_session(Connection& db,
                                                          const ledger::TopUp& request,
                                                          std::string_view boot);
[[nodiscard]] Result<ledger::CloseOutcome> close_session(Connection& db,
                                                         const ledger::CloseSession& request,
                                                         std::string_view boot);

[[nodiscard]] Result<std::optional<ledger::Session>> claim_refund(Connection& db,
                                                                  const PaymentHash& id,
                                                                  UnixMillis now,
                                                                  std::string_view boot);
[[nodiscard]] Result<ledger::SessionOutcome> record_refund(Connection& db, const PaymentHash& id,
                                                           ledger::RefundStage stage, Msat fee,
                                                           std::string_view detail, UnixMillis now);
[[nodiscard]] Result<ledger::SessionOutcome> retry_refund(Connection& db, const PaymentHash& id,
                                                          UnixMillis now);
/// On an engine that several processes share, another boot may well be alive: there only `stale`
/// tells.
[[nodiscard]] Result<std::vector<ledger::Session>> unfinished_refunds(Connection& db,
                                                                      UnixMillis now, Millis stale,
                                                                      std::string_view boot);

[[nodiscard]] Result<std::vector<ledger::Session>> idle_sessions(Connection& db, UnixMillis now,
                                                                 int limit);
[[nodiscard]] Result<std::vector<ledger::Session>> list_sessions(
    Connection& db, const ledger::SessionFilter& filter);
[[nodiscard]] Result<ledger::SessionTotals> session_totals(Connection& db);
/// Adds the session that was just closed, or whose refund just succeeded, to the running sums;
/// inside the caller's savepoint.
[[nodiscard]] Result<> count_close(Connection& db, const PaymentHash& id);
[[nodiscard]] Result<> count_refund(Connection& db, const PaymentHash& id);

}  // namespace octroi::sql
