#include "octroi/ledger/bundles.h"

namespace octroi::ledger {

std::string_view to_string(BundleOutcome o) {
  switch (o) {
    case BundleOutcome::applied:
      return "applied";
    case BundleOutcome::not_found:
      return "not_found";
    case BundleOutcome::exhausted:
      return "exhausted";
  }
  return "";
}

Result<> check_units(std::int64_t units) {
  if (units > 0 && units <= kMostUnits) return {};
  return fail(Errc::bad_amount, "a number of units must be positive and not beyond counting");
}

}  // namespace octroi::ledger
