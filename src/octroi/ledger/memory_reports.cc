#include "octroi/ledger/memory_reports.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "octroi/ledger/memory_store.h"

namespace octroi::ledger {

Task<Result<>> MemoryReports::open_report(UsageReport report, UnixMillis until) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::string id = report.id;
  if (rows_.contains(id)) co_return fail(Errc::corrupt, "a report has an id of its own");
  rows_.emplace(std::move(id), Row{std::move(report), true, true, until});
  co_return Result<>{};
}

Task<Result<>> MemoryReports::keep_reports_open(UnixMillis until) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  for (auto& [id, row] : rows_) {
    if (row.open && row.ours) row.due = until;
  }
  co_return Result<>{};
}

Task<Result<bool>> MemoryReports::finish_report(std::string id, ReportedAnswer answer,
                                                UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const auto it = rows_.find(id);
  if (it == rows_.end() || !it->second.open) co_return false;
  it->second.open = false;
  it->second.due = now;
  it->second.report.answer = std::move(answer);
  co_return true;
}

Task<Result<std::vector<UsageReport>>> MemoryReports::claim_reports(UnixMillis now,
                                                                    UnixMillis until, int limit,
                                                                    ReportedAnswer unseen) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::vector<Row*> due;
  for (auto& [id, row] : rows_) {
    if (row.due <= now) due.push_back(&row);
  }
  std::ranges::sort(due, {}, [](const Row* row) { return row->due.value; });
  if (std::cmp_less(limit, due.size())) due.resize(static_cast<std::size_t>(limit));
  std::vector<UsageReport> out;
  for (Row* row : due) {
    if (row->open) row->report.answer.status = unseen.status;
    row->open = false;
    row->due = until;
    ++row->report.attempts;
    out.push_back(row->report);
  }
  std::ranges::sort(out, {}, [](const UsageReport& r) { return r.created.value; });
  co_return out;
}

Task<Result<>> MemoryReports::retry_report(std::string id, UnixMillis when) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  if (const auto it = rows_.find(id); it != rows_.end() && !it->second.open) it->second.due = when;
  co_return Result<>{};
}

Task<Result<bool>> MemoryReports::end_report(std::string id) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  co_return rows_.erase(id) == 1;
}

Task<Result<bool>> MemoryReports::end_session_report(std::string id, PaymentHash session,
                                                     Msat estimate, Msat cost, UnixMillis now) {
  std::string service;
  {
    const std::scoped_lock lock(store_.mutex_);
    OCTROI_CO_CHECK(store_.begin());
    const auto it = rows_.find(id);
    if (it == rows_.end()) co_return false;
    service = it->second.report.service;
    rows_.erase(it);
  }
  SessionStore& sessions = *store_.sessions();
  if (cost < estimate) {
    OCTROI_CO_TRY(const Msat surplus, estimate.minus(cost));
    OCTROI_CO_TRY(const auto given, co_await sessions.give_back(session, surplus, now));
    std::ignore = given;
  } else if (estimate < cost) {
    OCTROI_CO_TRY(Msat missing, cost.minus(estimate));
    for (int tries = 0; tries < 8 && !missing.is_zero(); ++tries) {
      OCTROI_CO_TRY(const auto taken,
                    co_await sessions.debit_session(session, service, missing, now));
      if (taken.outcome != SessionOutcome::insufficient) break;
      missing = taken.session->balance();
    }
  }
  co_return true;
}

Task<Result<bool>> MemoryReports::has_reports(std::string subject) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  co_return std::ranges::any_of(
      rows_, [&](const auto& row) { return row.second.report.subject == subject; });
}

Task<Result<ReportCounts>> MemoryReports::report_counts() {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  ReportCounts out;
  for (const auto& [id, row] : rows_) {
    if (row.open) {
      ++out.open;
      continue;
    }
    ++out.due;
    if (!out.oldest || row.report.created < *out.oldest) out.oldest = row.report.created;
  }
  co_return out;
}

// --- allowances

Task<Result<bool>> MemoryAllowances::book_allowance(TokenId token, std::string service,
                                                    std::string model, Msat funds, UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  OCTROI_CO_CHECK(check_allowance(funds));
  co_return rows_
      .emplace(
          token,
          Allowance{token, std::move(service), std::move(model), funds, {}, {}, now, std::nullopt})
      .second;
}

Task<Result<std::optional<Allowance>>> MemoryAllowances::find_allowance(TokenId token) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const auto it = rows_.find(token);
  co_return it == rows_.end() ? std::nullopt : std::optional<Allowance>(it->second);
}

Task<Result<std::optional<Allowance>>> MemoryAllowances::hold_allowance(TokenId token, Msat amount,
                                                                        UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  const auto it = rows_.find(token);
  if (it == rows_.end() || it->second.left() < amount) co_return std::optional<Allowance>{};
  OCTROI_CO_TRY(it->second.held, it->second.held.plus(amount));
  if (!it->second.first_used) it->second.first_used = now;
  co_return std::optional<Allowance>(it->second);
}

Task<Result<SettledAllowance>> MemoryAllowances::settle_allowance(std::string report, TokenId token,
                                                                  Msat held, Msat cost,
                                                                  UnixMillis now) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  SettledAllowance out;
  const bool first = settled_.emplace(std::move(report), now).second;
  const auto it = rows_.find(token);
  if (it == rows_.end()) co_return out;
  if (first) {
    out.applied = true;
    OCTROI_CO_TRY(out.debited, settle(it->second, held, cost));
  }
  out.allowance = it->second;
  co_return out;
}

Task<Result<std::int64_t>> MemoryAllowances::prune_allowances(UnixMillis unused_before,
                                                              UnixMillis settled_before,
                                                              int limit) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  std::int64_t gone = 0;
  std::int64_t room = limit;
  std::erase_if(rows_, [&](const auto& row) {
    if (row.second.first_used || row.second.created >= unused_before || room == 0) return false;
    --room;
    ++gone;
    return true;
  });
  room = limit;
  std::erase_if(settled_, [&](const auto& row) {
    if (row.second >= settled_before || room == 0) return false;
    --room;
    ++gone;
    return true;
  });
  co_return gone;
}

}  // namespace octroi::ledger
