#include "octroi/admin/revenue_json.h"

#include <utility>

#include "octroi/json/writer.h"

namespace octroi::admin {

std::string revenue_json(const std::vector<ledger::Revenue>& rows) {
  json::Writer w;
  std::int64_t sales = 0;
  Msat amount;
  w.begin_object().key("revenue").begin_array();
  for (const ledger::Revenue& r : rows) {
    w.begin_object()
        .field("day", to_rfc3339(r.day).substr(0, 10))
        .field("service", r.service)
        .field("auth_type", std::string(ledger::to_string(r.scheme)))
        .field("sales", r.sales)
        .field("amount_msat", r.amount.count() /* raw: wire */)
        .end_object();
    sales += r.sales;
    // More than all bitcoin was never settled.
    amount = amount.plus(r.amount).value_or(amount);
  }
  w.end_array().field("sales", sales).field("amount_msat", amount.count() /* raw: wire */);
  w.end_object();
  return std::move(w).take();
}

tl::expected<ledger::RevenueFilter, std::string> revenue_filter_of(
    const std::map<std::string, std::string>& query) {
  ledger::RevenueFilter filter;
  for (const auto& [key, value] : query) {
    if (key == "service") {
      filter.service = value;
    } else if (key == "from" || key == "to") {
      const auto when = from_rfc3339(value.size() == 10 ? value + "T00:00:00Z" : value);
      if (!when) return tl::unexpected<std::string>(key + ": use a day such as 2026-11-01");
      (key == "from" ? filter.from : filter.to) = *when;
    } else {
      return tl::unexpected<std::string>("unknown parameter '" + key + "'");
    }
  }
  return filter;
}

}  // namespace octroi::admin
