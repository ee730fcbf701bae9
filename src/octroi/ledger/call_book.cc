#include "octroi/ledger/call_book.h"

#include <algorithm>

#include "octroi/audit/journal.h"

namespace octroi::ledger {

std::optional<MicroUsd> money_used(const std::vector<SpendUsage>& usage) {
  const auto money = std::ranges::find(usage, SpendUnit::micro_usd, &SpendUsage::unit);
  // Beyond that a row could not be read everywhere; it says nothing then.
  if (money == usage.end() || money->total() > audit::kLargestNumber) return std::nullopt;
  const auto total = MicroUsd::from_raw(money->total());
  return total ? std::optional(*total) : std::nullopt;
}

void tell_usage(const std::vector<SpendUsage>& usage, audit::Event& event) {
  if (const auto used = money_used(usage)) event.cap_usage_after = used;
}

Task<Result<ReserveOutcome>> SeparateCallBook::begin(Reservation reservation, audit::Event intent,
                                                     AnnounceWith with) {
  const std::string id = reservation.id;
  const UnixMillis now = reservation.now;
  OCTROI_CO_TRY(ReserveOutcome outcome, co_await spends_.reserve(std::move(reservation)));
  if (outcome.state != ReserveState::applied) co_return outcome;
  tell_usage(outcome.usage, intent);
  if (with) with(outcome, intent);
  auto written = co_await journal_.append(std::move(intent));
  if (written) co_return outcome;
  std::ignore = co_await spends_.release(id, now);
  co_return fail(std::move(written).error());
}

Task<Result<ChangeOutcome>> SeparateCallBook::end(SpendChange change, audit::Event outcome) {
  Result<ChangeOutcome> changed;
  switch (change.to) {
    case SpendChange::To::nothing:
      break;
    case SpendChange::To::settled:
      changed = co_await spends_.settle(change.id, change.actual, change.object, change.now);
      break;
    case SpendChange::To::released:
      changed = co_await spends_.release(change.id, change.now);
      break;
    case SpendChange::To::unknown:
      changed = co_await spends_.mark_unknown(change.id, change.object, change.now);
      break;
  }
  if (change.told_if_applied && !(changed && changed->state == ChangeState::applied))
    co_return changed;
  if (changed) tell_usage(changed->usage, outcome);
  OCTROI_CO_CHECK(co_await journal_.append(std::move(outcome)));
  co_return changed;
}

Task<Result<ChangeOutcome>> SeparateCallBook::undo(std::string id, UnixMillis reserved_at,
                                                   UnixMillis now) {
  OCTROI_CO_TRY(const auto found, co_await spends_.find_spend(id));
  if (!found) co_return ChangeOutcome{};
  if (found->state != SpendState::held || found->changed != reserved_at)
    co_return ChangeOutcome{ChangeState::refused, *found, {}};
  co_return co_await spends_.release(std::move(id), now);
}

}  // namespace octroi::ledger
