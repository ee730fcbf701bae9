#include "octroi/ledger/allowances.h"

#include <algorithm>

#include "octroi/ledger/store.h"

namespace octroi::ledger {

Msat Allowance::left() const {
  return funds.minus(spent).value_or(Msat()).minus(held).value_or(Msat());
}

Result<> check_allowance(Msat funds) {
  if (!funds.is_zero()) return {};
  return fail(Errc::bad_amount, "a bundle of nothing cannot be booked");
}

Result<Msat> settle(Allowance& allowance, Msat held, Msat cost) {
  allowance.held = allowance.held.minus(held).value_or(Msat());
  OCTROI_TRY(const Msat kept, allowance.spent.plus(allowance.held));
  OCTROI_TRY(const Msat room, allowance.funds.minus(kept));
  const Msat debited = std::min(room, cost);
  OCTROI_TRY(allowance.spent, allowance.spent.plus(debited));
  return debited;
}

}  // namespace octroi::ledger
