// octroi/adapters/sql/report_operations.h: the statements of reports to price sources, and of what
// the reference price server keeps. Each function is one operation of ledger::UsageReports or
// ledger::Allowances, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/allowances.h"
#include "octroi/ledger/usage_reports.h"

namespace octroi::sql {

/// `boot` is this process's own mark.
[[nodiscard]] Result<> open_report(Connection& db, const ledger::UsageReport& report,
                                   UnixMillis until, std::string_view boot);
[[nodiscard]] Result<> keep_reports_open(Connection& db, UnixMillis until, std::string_view boot);
[[nodiscard]] Result<bool> finish_report(Connection& db, std::string_view id,
                                         const ledger::ReportedAnswer& answer, UnixMillis now);
[[nodiscard]] Result<std::vector<ledger::UsageReport>> claim_reports(
    Connection& db, UnixMillis now, UnixMillis until, int limit,
    const ledger::ReportedAnswer& unseen);
[[nodiscard]] Result<> retry_report(Connection& db, std::string_view id, UnixMillis when);
[[nodiscard]] Result<bool> end_report(Connection& db, std::string_view id);
[[nodiscard]] Result<bool> end_session_report(Connection& db, std::string_view id,
                                              const PaymentHash& session, Msat estimate, Msat cost,
                                              UnixMillis now);
[[nodiscard]] Result<bool> has_reports(Connection& db, std::string_view subject);
[[nodiscard]] Result<ledger::ReportCounts> report_counts(Connection& db);

[[nodiscard]] Result<bool> book_allowance(Connection& db, const TokenId& token,
                                          std::string_view service, std::string_view model,
                                          Msat funds, UnixMillis now);
[[nodiscard]] Result<std::optional<ledger::Allowance>> find_allowance(Connection& db,
                                                                      const TokenId& token);
[[nodiscard]] Result<std::optional<ledger::Allowance>> hold_allowance(Connection& db,
                                                                      const TokenId& token,
                                                                      Msat amount, UnixMillis now);
[[nodiscard]] Result<ledger::SettledAllowance> settle_allowance(Connection& db,
                                                                std::string_view report,
                                                                const TokenId& token, Msat held,
                                                                Msat cost, UnixMillis now);
[[nodiscard]] Result<std::int64_t> prune_allowances(Connection& db, UnixMillis unused_before,
                                                    UnixMillis settled_before, int limit);

}  // namespace octroi::sql
