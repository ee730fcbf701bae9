#include "octroi/policy/narrow.h"

#include <algorithm>
#include <utility>

namespace octroi::policy {

namespace {

int strictness(Verdict v) {
  switch (v) {
    case Verdict::allow:
      return 0;
    case Verdict::approve:
      return 1;
    case Verdict::lookup:
      return 2;  // whether a human is needed is known only after it
    case Verdict::deny:
      return 3;
  }
  return 3;
}

bool same_window(const ledger::Hold& a, const ledger::Hold& b) {
  return a.scope == b.scope && a.unit == b.unit && a.starts == b.starts;
}

void add(std::vector<Counted>& to, Counted one) {
  for (Counted& c : to) {
    if (!same_window(c.hold, one.hold)) continue;
    c.limit = std::min(c.limit, one.limit);
    c.hold.limit = std::min(c.hold.limit, one.hold.limit);
    c.hold.amount = std::max(c.hold.amount, one.hold.amount);
    return;
  }
  to.push_back(std::move(one));
}

}  // namespace

Decision narrow(Decision inner, Decision outer) {
  if (strictness(outer.verdict) > strictness(inner.verdict)) {
    inner.verdict = outer.verdict;
    inner.reason = outer.reason;
    inner.message = std::move(outer.message);
  }
  inner.amount = std::max(inner.amount, outer.amount);
  inner.dedupe = std::max(inner.dedupe, outer.dedupe);
  inner.needs_amount = inner.needs_amount || outer.needs_amount;
  inner.needs_customer = inner.needs_customer || outer.needs_customer;
  for (Counted& c : outer.counted) add(inner.counted, std::move(c));
  // Holds in dollars are of one amount, that of the reservation.
  for (Counted& c : inner.counted) {
    if (c.hold.unit == ledger::SpendUnit::micro_usd)
      c.hold.amount = inner.amount.count(); /* raw: counted */
  }
  if (!inner.shadow && outer.shadow) {
    inner.shadow = outer.shadow;
    inner.shadow_message = std::move(outer.shadow_message);
  }
  return inner;
}

}  // namespace octroi::policy
