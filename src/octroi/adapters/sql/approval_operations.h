// octroi/adapters/sql/approval_operations.h: the statements of ledger::Approvals. Each function is
// one operation, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/approvals.h"

namespace octroi::sql {

[[nodiscard]] Result<ledger::AskOutcome> ask_approval(Connection& db,
                                                      const ledger::Approval& wanted,
                                                      int most_pending);
[[nodiscard]] Result<ledger::DecideOutcome> decide_approval(Connection& db, std::string_view id,
                                                            bool approved, std::string_view by,
                                                            UnixMillis now, UnixMillis use_until);
[[nodiscard]] Result<ledger::TakeOutcome> take_approval(Connection& db, std::string_view id,
                                                        const ledger::Digest& request,
                                                        std::string_view used_by, UnixMillis now);
[[nodiscard]] Result<> give_back_approval(Connection& db, std::string_view id,
                                          std::string_view used_by, UnixMillis taken);
[[nodiscard]] Result<std::optional<ledger::Approval>> find_approval(Connection& db,
                                                                    std::string_view id);
[[nodiscard]] Result<std::vector<ledger::Approval>> list_approvals(
    Connection& db, std::optional<ledger::ApprovalState> state, int limit);
[[nodiscard]] Result<std::vector<ledger::Approval>> expire_approvals(Connection& db, UnixMillis now,
                                                                     int limit);
[[nodiscard]] Result<std::int64_t> approvals_version(Connection& db);

}  // namespace octroi::sql
