#include "octroi/admin/bundle_json.h"

#include <utility>

#include "octroi/json/writer.h"

namespace octroi::admin {

namespace {

void write_bundle(json::Writer& w, const ledger::Bundle& b) {
  w.begin_object()
      .field("id", b.id.hex())
      .field("payment_hash", b.hash.hex())
      .field("service", b.service)
      .field("unit", b.unit)
      .field("units", b.granted)
      .field("used", b.used)
      .field("left", b.left())
      .field("sold_msat", b.sold.count() /* raw: wire */)
      .field("opened_at", to_rfc3339(b.opened))
      .field("last_used_at", to_rfc3339(b.last_used))
      .end_object();
}

}  // namespace

std::string bundles_json(const std::vector<ledger::Bundle>& bundles, int limit) {
  json::Writer w;
  w.begin_object().key("tokens").begin_array();
  for (const ledger::Bundle& b : bundles) write_bundle(w, b);
  w.end_array().key("next_before");
  if (std::cmp_equal(bundles.size(), limit))
    w.string(bundles.back().id.hex());
  else
    w.null();
  w.end_object();
  return std::move(w).take();
}

std::string bundle_json(const ledger::Bundle& bundle) {
  json::Writer w;
  write_bundle(w, bundle);
  return std::move(w).take();
}

std::string bundle_totals_json(const std::vector<ledger::BundleTotals>& totals) {
  json::Writer w;
  w.begin_object().key("totals").begin_array();
  for (const ledger::BundleTotals& t : totals) {
    w.begin_object()
        .field("service", t.service)
        .field("unit", t.unit)
        .field("tokens", t.bundles)
        .field("units", t.granted)
        .field("used", t.used)
        .field("sold_msat", t.sold.count() /* raw: wire */)
        .end_object();
  }
  w.end_array().end_object();
  return std::move(w).take();
}

}  // namespace octroi::admin
