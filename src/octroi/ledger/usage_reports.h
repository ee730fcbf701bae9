// octroi/ledger/usage_reports.h: reports to price sources about how requests ended, kept until they
// were taken: the part of the store that makes a debit elsewhere certain.
//
//   open   written before the request goes to the upstream. Whoever serves it keeps it open
//          (keep_reports_open); one that nobody keeps open any more, because its process died, is
//          reported as unseen
//   due    the request ended, or nobody saw it end: to be told, again and again until it was taken
//
// Claim    whoever sends reports claims them for a while in one statement, so that of many replicas
//          one sends each. A claim that runs out is anybody's: a report may be told twice, under
//          the same id.
// Session  what a session's request cost is booked in the transaction that ends its report, so it
//          is booked once.
// Errors   ledger::Errc::unavailable.  Thread  as Store.  Source  issue 5, "Dynamic prices".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

enum class ReportKind : std::uint8_t { token, session };
/// "token", "session".
[[nodiscard]] std::string_view to_string(ReportKind kind);
[[nodiscard]] std::optional<ReportKind> report_kind_from_string(std::string_view text);

/// The status of a session's request of which nothing came: it costs nothing, and nobody is asked.
inline constexpr int kNoAnswer = 0;

/// How the request ended.
struct ReportedAnswer {
  int status = 0;
  std::string content_type;
  std::string content_encoding;
  bool complete = false;
  std::string tail;
  bool operator==(const ReportedAnswer&) const = default;
};

struct UsageReport {
  std::string id;      // chosen by the caller, never used before
  std::string source;  // the price source that gets it
  ReportKind kind = ReportKind::token;
  std::string subject;  // the token or session, in hex
  std::string service;
  std::string path;
  std::int64_t reserved = 0;
  Msat estimate;             // session: what was debited before
  std::string request_text;  // session
  UnixMillis created;
  ReportedAnswer answer;
  std::int64_t attempts = 0;  // claims so far, this one included
};

struct ReportCounts {
  std::int64_t open = 0;
  std::int64_t due = 0;
  std::optional<UnixMillis> oldest;  // of those that are due: when their request began
  bool operator==(const ReportCounts&) const = default;
};

class UsageReports {
 public:
  virtual ~UsageReports() = default;
  /// `until`: when it counts as unseen, unless it is kept open.
  virtual Task<Result<>> open_report(UsageReport report, UnixMillis until) = 0;
  /// Those that this process opened.
  virtual Task<Result<>> keep_reports_open(UnixMillis until) = 0;
  /// False: it was taken for unseen meanwhile, and is reported so.
  virtual Task<Result<bool>> finish_report(std::string id, ReportedAnswer answer,
                                           UnixMillis now) = 0;
  /// Claims at most `limit` that are due, or open and unseen (`unseen` is then their answer),
  /// oldest first.
  virtual Task<Result<std::vector<UsageReport>>> claim_reports(UnixMillis now, UnixMillis until,
                                                               int limit,
                                                               ReportedAnswer unseen) = 0;
  /// It was not taken: again at `when`.
  virtual Task<Result<>> retry_report(std::string id, UnixMillis when) = 0;
  /// It was taken, or is too old. False: somebody else was first.
  virtual Task<Result<bool>> end_report(std::string id) = 0;
  /// The same for a session's, with what the request cost instead of the estimate: what was debited
  /// too much is given back, what is missing is taken, as far as the session has it. What cannot be
  /// booked (the session has ended) is lost to one side.
  virtual Task<Result<bool>> end_session_report(std::string id, PaymentHash session, Msat estimate,
                                                Msat cost, UnixMillis now) = 0;
  /// Whether any report about this token or session is not taken yet.
  virtual Task<Result<bool>> has_reports(std::string subject) = 0;
  virtual Task<Result<ReportCounts>> report_counts() = 0;
};

}  // namespace octroi::ledger
