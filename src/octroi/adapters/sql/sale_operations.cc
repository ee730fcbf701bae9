#include "octroi/adapters/sql/sale_operations.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "octroi/audit/row.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

namespace {

struct Sale {
  std::int64_t id = 0;
  audit::Event event;
};

audit::Event event_of(const Query& q) {
  audit::Event e;
  e.kind = std::string(audit::kSale);
  e.id = fmt::format("sale_{}", q.integer(0));
  e.operation = q.text(1);  // l402, mpp_charge, mpp_session
  e.server = q.text(2);     // the service
  e.amount = q.integer(3);
  e.currency = "msat";
  e.verdict = audit::Verdict::allowed;
  e.details.emplace_back("request", q.text(4));
  e.details.emplace_back("settled_at", to_rfc3339(UnixMillis{q.integer(5)}));
  return e;
}

/// Locked, so that no other process tells them too.
Result<std::vector<Sale>> untold(Connection& db, int limit) {
  OCTROI_TRY(Query q, db.query("UPDATE transactions SET told = 1 WHERE told = 0 AND id IN"
                               " (SELECT id FROM transactions WHERE told = 0 ORDER BY id LIMIT ?"
                               " /*pg FOR UPDATE SKIP LOCKED*/)"
                               " RETURNING id, auth_type, service, amount_msat, request_id,"
                               " settled_at",
                               static_cast<std::int64_t>(limit)));
  std::vector<Sale> out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    out.push_back({q.integer(0), event_of(q)});
  }
}

}  // namespace

Result<int> tell_sales(Connection& db, ChainTip& tip, UnixMillis now, int limit) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(auto sales, untold(db, limit));
  std::sort(sales.begin(), sales.end(), [](const Sale& a, const Sale& b) { return a.id < b.id; });
  for (Sale& sale : sales) {
    OCTROI_TRY(const audit::Event fit, audit::prepared(std::move(sale.event)));
    auto row = append_row(db, tip, now, fit);
    if (!row) {
      tip.connection = nullptr;  // rows of this operation are undone with it
      return fail(std::move(row).error());
    }
  }
  auto kept = all.keep();
  if (!kept) {
    tip.connection = nullptr;
    return fail(std::move(kept).error());
  }
  return static_cast<int>(sales.size());
}

}  // namespace octroi::sql
