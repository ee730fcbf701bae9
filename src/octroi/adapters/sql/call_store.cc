#include "octroi/adapters/sql/call_store.h"

#include <memory>
#include <utility>

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/adapters/sql/audit_store.h"
#include "octroi/adapters/sql/spend_operations.h"
#include "octroi/adapters/sql/spend_store.h"
#include "octroi/adapters/sql/store.h"
#include "octroi/audit/row.h"
#include "octroi/base/log.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {

Result<ChangeOutcome> changed_by(Connection& db, const SpendChange& change) {
  switch (change.to) {
    case SpendChange::To::nothing:
      break;
    case SpendChange::To::settled:
      return settle_spend(db, change.id, change.actual, change.object, change.now);
    case SpendChange::To::released:
      return release_spend(db, change.id, change.now);
    case SpendChange::To::unknown:
      return mark_spend_unknown(db, change.id, change.object, change.now);
  }
  return ChangeOutcome{};
}

/// Ends an operation whose last step was a row: what is undone now must not be remembered as the
/// chain's end.
Result<> keep(Savepoint all, ChainTip& tip) {
  auto kept = all.keep();
  if (!kept) tip.connection = nullptr;
  return kept;
}

/// A row whose numbers are not known yet. The event lies apart, because it is large and moved
/// often.
struct PendingRow {
  std::shared_ptr<ChainTip> tip;
  UnixMillis now;
  std::unique_ptr<const audit::Event> event;
};
Result<PendingRow> pending_row(const SqlJournal& journal, audit::Event event) {
  OCTROI_CHECK(audit::prepare(event));
  return PendingRow{journal.tip(), journal.now(),
                    std::make_unique<const audit::Event>(std::move(event))};
}

Result<ChangeOutcome> change_and_tell(Connection& db, const SpendChange& change,
                                      const PendingRow& row) {
  OCTROI_TRY(Savepoint all, Savepoint::begin(db));
  OCTROI_TRY(ChangeOutcome changed, changed_by(db, change));
  if (changed.state == ChangeState::applied || !change.told_if_applied) {
    audit::Event event = *row.event;
    tell_usage(changed.usage, event);
    OCTROI_CHECK(append_row(db, *row.tip, row.now, event));
  }
  OCTROI_CHECK(keep(std::move(all), *row.tip));
  return changed;
}

}  // namespace

Task<Result<ReserveOutcome>> SqlCalls::begin(Reservation reservation, audit::Event intent,
                                             AnnounceWith with) {
  OCTROI_CO_TRY(PendingRow row, pending_row(journal_, std::move(intent)));
  auto r = std::make_shared<const Reservation>(std::move(reservation));
  co_return co_await spends_.write_reserved(
      *r, [r, a = std::move(row), w = std::move(with)](Connection& db) -> Result<ReserveOutcome> {
        OCTROI_TRY(Savepoint all, Savepoint::begin(db));
        OCTROI_TRY(ReserveOutcome outcome, reserve_spend(db, *r));
        if (outcome.state == ReserveState::applied) {
          audit::Event event = *a.event;
          tell_usage(outcome.usage, event);
          if (w) w(outcome, event);
          OCTROI_CHECK(append_row(db, *a.tip, a.now, event));
        }
        OCTROI_CHECK(keep(std::move(all), *a.tip));
        return outcome;
      });
}

Task<Result<ChangeOutcome>> SqlCalls::end(SpendChange change, audit::Event outcome) {
  OCTROI_CO_TRY(PendingRow row, pending_row(journal_, std::move(outcome)));
  const std::string id = change.id;
  co_return co_await spends_.write_change(
      id, [c = std::move(change), a = std::move(row)](Connection& db) {
        return change_and_tell(db, c, a);
      });
}

bool SqlCalls::end_later(SpendChange& change, audit::Event& outcome) {
  if (lanes_.shared()) return false;
  constexpr std::string_view kWhat = "what became of a call is not written; its intent is there";
  Lane& lane = lanes_.writer(SqlJournal::kKey);
  auto row = pending_row(journal_, std::move(outcome));
  if (row) {
    lane.post(0, kWhat, [c = std::move(change), a = *std::move(row)](Connection& db) -> Result<> {
      OCTROI_CHECK(change_and_tell(db, c, a));
      return {};
    });
    return true;
  }
  OCTROI_LOG(error, "store", kWhat, {{"call", change.id}, {"error", row.error().message()}});
  // No reason to keep money held.
  lane.post(0, "an outcome could not be counted; its hold stays",
            [c = std::move(change)](Connection& db) -> Result<> {
              OCTROI_CHECK(changed_by(db, c));
              return {};
            });
  return true;
}

Task<Result<ChangeOutcome>> SqlCalls::undo(std::string id, UnixMillis reserved_at, UnixMillis now) {
  const std::string place = id;
  return spends_.write_change(place, [i = std::move(id), reserved_at, now](Connection& db) {
    return undo_spend(db, i, reserved_at, now);
  });
}

}  // namespace octroi::sql
