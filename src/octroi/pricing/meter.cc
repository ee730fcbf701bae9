#include "octroi/pricing/meter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace octroi::pricing {
namespace {

constexpr std::array<std::pair<Unit, std::string_view>, 5> kNames = {{{Unit::request, "request"},
                                                                      {Unit::chunk, "chunk"},
                                                                      {Unit::token, "token"},
                                                                      {Unit::byte, "byte"},
                                                                      {Unit::kib, "KiB"}}};
constexpr std::uint64_t kKib = 1024;

__extension__ using Wide = unsigned __int128;

}  // namespace

std::string_view to_string(Unit unit) {
  const auto* row = std::ranges::find(kNames, unit, [](const auto& name) { return name.first; });
  return row == kNames.end() ? std::string_view() : row->second;
}

std::optional<Unit> unit_from_string(std::string_view text) {
  for (const auto& [unit, name] : kNames) {
    if (name == text) return unit;
  }
  return std::nullopt;
}

std::uint64_t UnitPrice::units_of_bytes(std::uint64_t bytes) const {
  return unit == Unit::kib ? bytes / kKib + (bytes % kKib != 0 ? 1 : 0) : bytes;
}

Result<Msat> UnitPrice::cost(std::uint64_t units) const {
  if (per == 0) return fail(MoneyErrc::overflow, "a price for no units");
  const auto amount = static_cast<std::uint64_t>(price.count()); /* raw: mul-div in 128 bits */
  const Wide cost = (Wide{units} * amount + (per - 1)) / per;
  if (cost > Wide{static_cast<std::uint64_t>(Msat::kMax)}) return fail(MoneyErrc::overflow);
  return Msat::from_raw(static_cast<std::int64_t>(cost));
}

Result<Msat> Tab::missing(std::uint64_t units) const {
  OCTROI_TRY(const Msat cost, price_.cost(units));
  return cost > reserved_ ? cost.minus(reserved_) : Msat();
}

/// As much again as was used so far, within both bounds.
Msat Tab::with_ahead(Msat missing, Msat balance) const {
  if (missing.is_zero()) return missing;
  const Msat left = balance.minus(missing).value_or(Msat());
  const Msat bound = Msat::from_raw_unchecked(left.count() / kAheadOfBalance); /* raw: a part */
  const Msat prices = price_.price.times(kAheadPrices).value_or(bound);
  return missing.plus(std::min({cost_, bound, prices})).value_or(missing);
}

void Tab::add_reserved(Msat amount) { reserved_ = reserved_.plus(amount).value_or(reserved_); }
void Tab::remove_reserved(Msat amount) { reserved_ = reserved_.minus(amount).value_or(reserved_); }

Result<> Tab::delivered(std::uint64_t units) {
  OCTROI_TRY(cost_, price_.cost(units));
  units_ = units;
  return {};
}

Msat Tab::surplus() const { return reserved_.minus(cost_).value_or(Msat()); }
Msat Tab::shortfall() const { return cost_.minus(reserved_).value_or(Msat()); }

}  // namespace octroi::pricing
