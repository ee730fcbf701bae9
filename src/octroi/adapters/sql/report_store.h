// octroi/adapters/sql/report_store.h: ledger::UsageReports and ledger::Allowances over the lanes of
// a SqlStore. All writes of one report, and of one token, go to one lane.
//
// Thread   as SqlStore.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/allowances.h"
#include "octroi/ledger/usage_reports.h"

namespace octroi::sql {

class Lanes;

class SqlReports final : public ledger::UsageReports {
 public:
  /// `lanes` must outlive it.
  SqlReports(Lanes& lanes, std::shared_ptr<const std::string> boot)
      : lanes_(lanes), boot_(std::move(boot)) {}

  Task<Result<>> open_report(ledger::UsageReport report, UnixMillis until) override;
  Task<Result<>> keep_reports_open(UnixMillis until) override;
  Task<Result<bool>> finish_report(std::string id, ledger::ReportedAnswer answer,
                                   UnixMillis now) override;
  Task<Result<std::vector<ledger::UsageReport>>> claim_reports(
      UnixMillis now, UnixMillis until, int limit, ledger::ReportedAnswer unseen) override;
  Task<Result<>> retry_report(std::string id, UnixMillis when) override;
  Task<Result<bool>> end_report(std::string id) override;
  Task<Result<bool>> end_session_report(std::string id, PaymentHash session, Msat estimate,
                                        Msat cost, UnixMillis now) override;
  Task<Result<bool>> has_reports(std::string subject) override;
  Task<Result<ledger::ReportCounts>> report_counts() override;

 private:
  Lanes& lanes_;
  std::shared_ptr<const std::string> boot_;
};

class SqlAllowances final : public ledger::Allowances {
 public:
  /// `lanes` must outlive it.
  explicit SqlAllowances(Lanes& lanes) : lanes_(lanes) {}

  Task<Result<bool>> book_allowance(TokenId token, std::string service, std::string model,
                                    Msat funds, UnixMillis now) override;
  Task<Result<std::optional<ledger::Allowance>>> find_allowance(TokenId token) override;
  Task<Result<std::optional<ledger::Allowance>>> hold_allowance(TokenId token, Msat amount,
                                                                UnixMillis now) override;
  Task<Result<ledger::SettledAllowance>> settle_allowance(std::string report, TokenId token,
                                                          Msat held, Msat cost,
                                                          UnixMillis now) override;
  Task<Result<std::int64_t>> prune_allowances(UnixMillis unused_before, UnixMillis settled_before,
                                              int limit) override;

 private:
  Lanes& lanes_;
};

}  // namespace octroi::sql
