#include "octroi/vault/call_metrics.h"

namespace octroi::vault {

namespace {

std::string_view to_string(CallMetrics::Money what) {
  switch (what) {
    case CallMetrics::Money::reserved:
      return "reserved";
    case CallMetrics::Money::settled:
      return "settled";
    case CallMetrics::Money::released:
      return "released";
  }
  return "";
}

}  // namespace

CallMetrics::Cells& CallMetrics::of(std::string_view vendor) {
  if (const auto it = vendors_.find(vendor); it != vendors_.end()) return it->second;
  return vendors_[std::string(vendor)];
}

void CallMetrics::call(std::string_view vendor, audit::Verdict verdict) {
  Counter*& cell = of(vendor).calls[static_cast<std::size_t>(verdict)];
  if (cell == nullptr) {
    cell = &registry_.counter(
        "octroi_vault_calls_total", "Calls of agents by vendor and verdict.",
        {{"vendor", std::string(vendor)}, {"verdict", std::string(audit::to_string(verdict))}});
  }
  cell->add();
}

void CallMetrics::money(std::string_view vendor, Money what, MicroUsd amount) {
  Counter*& cell = of(vendor).money[static_cast<std::size_t>(what)];
  if (cell == nullptr) {
    cell = &registry_.counter(
        "octroi_vault_micro_usd_total",
        "Millionths of a dollar that calls reserved, settled and released, by vendor.",
        {{"vendor", std::string(vendor)}, {"what", std::string(to_string(what))}});
  }
  cell->add(amount.count() /* raw: a counter */);
}

}  // namespace octroi::vault
