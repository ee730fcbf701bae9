#include "octroi/adapters/sql/report_store.h"

#include "octroi/adapters/sql/report_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {

template <class T, class Work>
Task<Result<T>> write(Lanes& lanes, std::uint64_t key, Work work) {
  return lanes.writer(key).call<T>(key, std::move(work));
}

template <class T, class Work>
Task<Result<T>> write(Lanes& lanes, const TokenId& token, Work work) {
  return write<T>(lanes, key_of(as_text(token.bytes())), std::move(work));
}

}  // namespace

Task<Result<>> SqlReports::open_report(UsageReport report, UnixMillis until) {
  const std::uint64_t key = key_of(report.id);
  return write<void>(lanes_, key, [r = std::move(report), until, boot = boot_](Connection& db) {
    return sql::open_report(db, r, until, *boot);
  });
}

Task<Result<>> SqlReports::keep_reports_open(UnixMillis until) {
  return write<void>(lanes_, key_of(*boot_), [until, boot = boot_](Connection& db) {
    return sql::keep_reports_open(db, until, *boot);
  });
}

Task<Result<bool>> SqlReports::finish_report(std::string id, ReportedAnswer answer,
                                             UnixMillis now) {
  const std::uint64_t key = key_of(id);
  return write<bool>(lanes_, key, [i = std::move(id), a = std::move(answer), now](Connection& db) {
    return sql::finish_report(db, i, a, now);
  });
}

Task<Result<std::vector<UsageReport>>> SqlReports::claim_reports(UnixMillis now, UnixMillis until,
                                                                 int limit, ReportedAnswer unseen) {
  return write<std::vector<UsageReport>>(
      lanes_, key_of(*boot_), [now, until, limit, u = std::move(unseen)](Connection& db) {
        return sql::claim_reports(db, now, until, limit, u);
      });
}

Task<Result<>> SqlReports::retry_report(std::string id, UnixMillis when) {
  const std::uint64_t key = key_of(id);
  return write<void>(lanes_, key, [i = std::move(id), when](Connection& db) {
    return sql::retry_report(db, i, when);
  });
}

Task<Result<bool>> SqlReports::end_report(std::string id) {
  const std::uint64_t key = key_of(id);
  return write<bool>(lanes_, key,
                     [i = std::move(id)](Connection& db) { return sql::end_report(db, i); });
}

Task<Result<bool>> SqlReports::end_session_report(std::string id, PaymentHash session,
                                                  Msat estimate, Msat cost, UnixMillis now) {
  // With the session's other writes.
  return write<bool>(lanes_, key_of(session),
                     [i = std::move(id), session, estimate, cost, now](Connection& db) {
                       return sql::end_session_report(db, i, session, estimate, cost, now);
                     });
}

Task<Result<bool>> SqlReports::has_reports(std::string subject) {
  return lanes_.reader().call<bool>(
      0, [s = std::move(subject)](Connection& db) { return sql::has_reports(db, s); });
}

Task<Result<ReportCounts>> SqlReports::report_counts() {
  return lanes_.reader().call<ReportCounts>(0,
                                            [](Connection& db) { return sql::report_counts(db); });
}

Task<Result<bool>> SqlAllowances::book_allowance(TokenId token, std::string service,
                                                 std::string model, Msat funds, UnixMillis now) {
  return write<bool>(
      lanes_, token,
      [token, s = std::move(service), m = std::move(model), funds, now](Connection& db) {
        return sql::book_allowance(db, token, s, m, funds, now);
      });
}

Task<Result<std::optional<Allowance>>> SqlAllowances::find_allowance(TokenId token) {
  return lanes_.reader().call<std::optional<Allowance>>(
      0, [token](Connection& db) { return sql::find_allowance(db, token); });
}

Task<Result<std::optional<Allowance>>> SqlAllowances::hold_allowance(TokenId token, Msat amount,
                                                                     UnixMillis now) {
  return write<std::optional<Allowance>>(lanes_, token, [token, amount, now](Connection& db) {
    return sql::hold_allowance(db, token, amount, now);
  });
}

Task<Result<SettledAllowance>> SqlAllowances::settle_allowance(std::string report, TokenId token,
                                                               Msat held, Msat cost,
                                                               UnixMillis now) {
  return write<SettledAllowance>(lanes_, token,
                                 [r = std::move(report), token, held, cost, now](Connection& db) {
                                   return sql::settle_allowance(db, r, token, held, cost, now);
                                 });
}

Task<Result<std::int64_t>> SqlAllowances::prune_allowances(UnixMillis unused_before,
                                                           UnixMillis settled_before, int limit) {
  return write<std::int64_t>(lanes_, 0, [unused_before, settled_before, limit](Connection& db) {
    return sql::prune_allowances(db, unused_before, settled_before, limit);
  });
}

}  // namespace octroi::sql
