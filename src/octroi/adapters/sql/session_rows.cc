#include "octroi/adapters/sql/session_rows.h"

#include <utility>

#include "octroi/adapters/sql/rows.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

Result<Refund> read_refund(const Query& q, int column) {
  Refund refund;
  const auto stage = refund_stage_from_string(q.text(column));
  if (!stage) return fail(Errc::corrupt, "a refund_stage in the store is unknown");
  refund.stage = *stage;
  OCTROI_TRY(refund.amount, read_msat(q, column + 1));
  OCTROI_TRY(refund.rounding, read_msat(q, column + 2));
  OCTROI_TRY(refund.fee, read_msat(q, column + 3));
  refund.attempts = static_cast<int>(q.integer(column + 4));
  refund.updated = {q.integer(column + 5)};
  refund.detail = q.text(column + 6);
  return refund;
}

}  // namespace

Result<Session> read_session(const Query& q) {
  Session s;
  OCTROI_TRY(s.id, read_hash(q, 0));
  s.service = q.text(1);
  s.return_invoice = q.text(2);
  OCTROI_TRY(s.return_hash, read_hash(q, 3));
  OCTROI_TRY(s.deposit, read_msat(q, 4));
  OCTROI_TRY(s.spent, read_msat(q, 5));
  s.opened = {q.integer(6)};
  s.last_used = {q.integer(7)};
  s.idle_timeout = Millis(q.integer(8));
  const auto state = session_state_from_string(q.text(9));
  const auto reason = close_reason_from_string(q.text(10));
  if (!state || !reason) return fail(Errc::corrupt, "the state of a session is unknown");
  s.state = *state;
  s.reason = *reason;
  if (!q.is_null(11)) s.closed = UnixMillis{q.integer(11)};
  OCTROI_TRY(s.refund, read_refund(q, 12));
  return s;
}

Result<std::optional<Session>> next_session(Query& q) {
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<Session>{};
  OCTROI_TRY(Session s, read_session(q));
  return std::optional<Session>{std::move(s)};
}

Result<std::vector<Session>> all_sessions(Query& q) {
  std::vector<Session> out;
  for (;;) {
    OCTROI_TRY(auto session, next_session(q));
    if (!session) return out;
    out.push_back(*std::move(session));
  }
}

}  // namespace octroi::sql
