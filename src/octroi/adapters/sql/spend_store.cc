#include "octroi/adapters/sql/spend_store.h"

#include <memory>
#include <utility>

#include "octroi/adapters/sql/audit_store.h"
#include "octroi/adapters/sql/spend_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {
/// Calls under way, with room for those whose answer takes long.
constexpr std::size_t kRemembered = 65536;
}  // namespace

SqlSpends::SqlSpends(Lanes& lanes) : lanes_(lanes), places_(kRemembered) {}

std::uint64_t SqlSpends::place_of(const Reservation& r) {
  constexpr std::uint64_t kHigh = ~std::uint64_t{0} << 32U;
  return (key_of(std::string_view(r.policy)) & kHigh) | (key_of(std::string_view(r.key_id)) >> 32U);
}

void SqlSpends::remember(const std::string& id, std::uint64_t place) {
  if (!lanes_.shared()) return;  // one writer alone meets nobody in another order
  const std::scoped_lock lock(mutex_);
  places_.put(id, place);
}

std::uint64_t SqlSpends::remembered(const std::string& id) {
  if (!lanes_.shared()) return 0;
  const std::scoped_lock lock(mutex_);
  const std::uint64_t* place = places_.find(id);
  return place == nullptr ? 0 : *place;
}

template <class T, class Work>
Task<Result<T>> SqlSpends::write(std::uint64_t place, Work work) {
  return lanes_.writer(SqlJournal::kKey).call<T>(place, std::move(work));
}

template <class T, class Work>
Task<Result<T>> SqlSpends::read(Work work) {
  OCTROI_CO_CHECK(co_await lanes_.show_calls());
  co_return co_await lanes_.reader().call<T>(0, std::move(work));
}

Task<Result<ReserveOutcome>> SqlSpends::write_reserved(const Reservation& r, Reserve work) {
  const std::uint64_t place = place_of(r);
  remember(r.id, place);
  return write<ReserveOutcome>(place, std::move(work));
}

Task<Result<ChangeOutcome>> SqlSpends::write_change(const std::string& id, Change work) {
  return write<ChangeOutcome>(remembered(id), std::move(work));
}

Task<Result<ReserveOutcome>> SqlSpends::reserve(Reservation reservation) {
  auto r = std::make_shared<const Reservation>(std::move(reservation));
  return write_reserved(*r, [r](Connection& db) { return sql::reserve_spend(db, *r); });
}

Task<Result<ChangeOutcome>> SqlSpends::settle(std::string id, MicroUsd actual, std::string object,
                                              UnixMillis now) {
  const std::string place = id;
  return write_change(place,
                      [i = std::move(id), actual, o = std::move(object), now](Connection& db) {
                        return sql::settle_spend(db, i, actual, o, now);
                      });
}

Task<Result<ChangeOutcome>> SqlSpends::release(std::string id, UnixMillis now) {
  const std::string place = id;
  return write_change(
      place, [i = std::move(id), now](Connection& db) { return sql::release_spend(db, i, now); });
}

Task<Result<ChangeOutcome>> SqlSpends::mark_unknown(std::string id, std::string object,
                                                    UnixMillis now) {
  const std::string place = id;
  return write_change(place, [i = std::move(id), o = std::move(object), now](Connection& db) {
    return sql::mark_spend_unknown(db, i, o, now);
  });
}

Task<Result<std::optional<SpendRecord>>> SqlSpends::find_spend(std::string id) {
  return lanes_.calls().call<std::optional<SpendRecord>>(
      0, [i = std::move(id)](Connection& db) { return sql::find_spend(db, i); });
}

Task<Result<std::optional<SpendRecord>>> SqlSpends::find_spend_of(std::string vendor,
                                                                  std::string object) {
  return lanes_.calls().call<std::optional<SpendRecord>>(
      0, [v = std::move(vendor), o = std::move(object)](Connection& db) {
        return sql::find_spend_of(db, v, o);
      });
}

Task<Result<std::vector<SpendRecord>>> SqlSpends::list_spends(SpendFilter filter) {
  return read<std::vector<SpendRecord>>(
      [f = std::move(filter)](Connection& db) { return sql::list_spends(db, f); });
}

Task<Result<std::vector<SpendUsage>>> SqlSpends::usage(std::string prefix, UnixMillis at) {
  return read<std::vector<SpendUsage>>(
      [p = std::move(prefix), at](Connection& db) { return sql::spend_usage(db, p, at); });
}

Task<Result<SweepReport>> SqlSpends::sweep(UnixMillis now, int limit) {
  return write<SweepReport>(
      0, [now, limit](Connection& db) { return sql::sweep_spends(db, now, limit); });
}

Task<Result<std::int64_t>> SqlSpends::prune_spends(UnixMillis before, int limit) {
  return write<std::int64_t>(
      0, [before, limit](Connection& db) { return sql::prune_spends(db, before, limit); });
}

}  // namespace octroi::sql
