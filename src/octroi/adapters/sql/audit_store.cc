#include "octroi/adapters/sql/audit_store.h"

#include <utility>

#include "octroi/adapters/sql/store.h"
#include "octroi/audit/filter.h"

namespace octroi::sql {

using namespace octroi::audit;  // NOLINT(google-build-using-namespace): the port's words

SqlJournal::SqlJournal(Lanes& lanes, Clock& clock, std::string writer)
    : lanes_(lanes),
      clock_(clock),
      writer_(std::move(writer)),
      tip_(std::make_shared<ChainTip>(ChainTip{writer_, 0, {}, nullptr, 0})) {}

Task<Result<RowId>> SqlJournal::append(Event event) {
  OCTROI_CO_TRY(Event fit, prepared(std::move(event)));
  co_return co_await lanes_.writer(kKey).call<RowId>(
      kKey, [tip = tip_, now = clock_.now(), e = std::move(fit)](Connection& db) {
        return append_row(db, *tip, now, e);
      });
}

Task<Result<Page>> SqlJournal::query(Filter filter) {
  OCTROI_CO_CHECK(check_limit(filter.limit));
  OCTROI_CO_CHECK(co_await lanes_.show_calls());
  co_return co_await lanes_.reader().call<Page>(
      0, [f = std::move(filter)](Connection& db) { return query_rows(db, f); });
}

Task<Result<std::vector<StoredRow>>> SqlJournal::rows(std::string writer, std::int64_t from,
                                                      int limit) {
  OCTROI_CO_CHECK(check_limit(limit));
  OCTROI_CO_CHECK(co_await lanes_.show_calls());
  co_return co_await lanes_.reader().call<std::vector<StoredRow>>(
      0, [w = std::move(writer), from, limit](Connection& db) {
        return audit_rows(db, w, from, limit);
      });
}

Task<Result<std::vector<Head>>> SqlJournal::heads() {
  OCTROI_CO_CHECK(co_await lanes_.show_calls());
  co_return co_await lanes_.reader().call<std::vector<Head>>(
      0, [](Connection& db) { return audit_heads(db); });
}

Task<Result<>> SqlJournal::keep_checkpoint(Checkpoint checkpoint) {
  return lanes_.writer(kKey).call<>(
      kKey, [c = std::move(checkpoint)](Connection& db) { return sql::keep_checkpoint(db, c); });
}

Task<Result<std::vector<Checkpoint>>> SqlJournal::checkpoints(std::string writer,
                                                              std::int64_t after, int limit) {
  OCTROI_CO_CHECK(check_limit(limit));
  co_return co_await lanes_.reader().call<std::vector<Checkpoint>>(
      0, [w = std::move(writer), after, limit](Connection& db) {
        return audit_checkpoints(db, w, after, limit);
      });
}

}  // namespace octroi::sql
