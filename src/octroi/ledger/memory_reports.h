// octroi/ledger/memory_reports.h: the usage reports and allowances of MemoryStore. One mutex with
// it.
//
// Thread   any thread; the store's mutex.
#pragma once

#include <map>
#include <set>
#include <string>

#include "octroi/ledger/allowances.h"
#include "octroi/ledger/usage_reports.h"

namespace octroi::ledger {

class MemoryStore;

class MemoryReports final : public UsageReports {
 public:
  explicit MemoryReports(MemoryStore& store) : store_(store) {}

  Task<Result<>> open_report(UsageReport report, UnixMillis until) override;
  Task<Result<>> keep_reports_open(UnixMillis until) override;
  Task<Result<bool>> finish_report(std::string id, ReportedAnswer answer, UnixMillis now) override;
  Task<Result<std::vector<UsageReport>>> claim_reports(UnixMillis now, UnixMillis until, int limit,
                                                       ReportedAnswer unseen) override;
  Task<Result<>> retry_report(std::string id, UnixMillis when) override;
  Task<Result<bool>> end_report(std::string id) override;
  Task<Result<bool>> end_session_report(std::string id, PaymentHash session, Msat estimate,
                                        Msat cost, UnixMillis now) override;
  Task<Result<bool>> has_reports(std::string subject) override;
  Task<Result<ReportCounts>> report_counts() override;

 private:
  friend class MemoryStore;
  struct Row {
    UsageReport report;
    bool open = true;
    bool ours = true;  // opened in this life of the store
    UnixMillis due;
  };
  MemoryStore& store_;
  std::map<std::string, Row> rows_;
};

class MemoryAllowances final : public Allowances {
 public:
  explicit MemoryAllowances(MemoryStore& store) : store_(store) {}

  Task<Result<bool>> book_allowance(TokenId token, std::string service, std::string model,
                                    Msat funds, UnixMillis now) override;
  Task<Result<std::optional<Allowance>>> find_allowance(TokenId token) override;
  Task<Result<std::optional<Allowance>>> hold_allowance(TokenId token, Msat amount,
                                                        UnixMillis now) override;
  Task<Result<SettledAllowance>> settle_allowance(std::string report, TokenId token, Msat held,
                                                  Msat cost, UnixMillis now) override;
  Task<Result<std::int64_t>> prune_allowances(UnixMillis unused_before, UnixMillis settled_before,
                                              int limit) override;

 private:
  MemoryStore& store_;
  std::map<TokenId, Allowance> rows_;
  std::map<std::string, UnixMillis> settled_;
};

}  // namespace octroi::ledger
