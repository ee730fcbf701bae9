#include "octroi/adapters/sql/session_store.h"

#include "octroi/adapters/sql/session_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

template <class T, class Work>
Task<Result<T>> SqlSessions::write(const PaymentHash& session, Work work) {
  const std::uint64_t key = key_of(session);
  return lanes_.writer(key).call<T>(key, std::move(work));
}

template <class T, class Work>
Task<Result<T>> SqlSessions::read(Work work) {
  return lanes_.reader().call<T>(0, std::move(work));
}

Task<Result<OpenOutcome>> SqlSessions::open_session(OpenSession request) {
  const PaymentHash id = request.proof.hash;
  return write<OpenOutcome>(id, [r = std::move(request), boot = boot_](Connection& db) {
    return sql::open_session(db, r, *boot);
  });
}

Task<Result<std::optional<Session>>> SqlSessions::find_session(PaymentHash id) {
  return read<std::optional<Session>>([id](Connection& db) { return sql::find_session(db, id); });
}

Task<Result<SessionResult>> SqlSessions::debit_session(PaymentHash id, std::string service,
                                                       Msat amount, UnixMillis now) {
  return write<SessionResult>(id, [id, s = std::move(service), amount, now](Connection& db) {
    return sql::debit_session(db, id, s, amount, now);
  });
}

Task<Result<SessionResult>> SqlSessions::give_back(PaymentHash id, Msat amount, UnixMillis now) {
  return write<SessionResult>(
      id, [id, amount, now](Connection& db) { return sql::give_back(db, id, amount, now); });
}

Task<Result<TopUpOutcome>> SqlSessions::top_up_session(TopUp request) {
  const PaymentHash id = request.session;
  return write<TopUpOutcome>(id, [r = std::move(request), boot = boot_](Connection& db) {
    return sql::top_up_session(db, r, *boot);
  });
}

Task<Result<CloseOutcome>> SqlSessions::close_session(CloseSession request) {
  const PaymentHash id = request.session;
  return write<CloseOutcome>(id, [r = std::move(request), boot = boot_](Connection& db) {
    return sql::close_session(db, r, *boot);
  });
}

Task<Result<std::optional<Session>>> SqlSessions::claim_refund(PaymentHash id, UnixMillis now) {
  return write<std::optional<Session>>(id, [id, now, boot = boot_](Connection& db) {
    return sql::claim_refund(db, id, now, *boot);
  });
}

Task<Result<SessionOutcome>> SqlSessions::record_refund(PaymentHash id, RefundStage stage, Msat fee,
                                                        std::string detail, UnixMillis now) {
  return write<SessionOutcome>(id, [id, stage, fee, d = std::move(detail), now](Connection& db) {
    return sql::record_refund(db, id, stage, fee, d, now);
  });
}

Task<Result<SessionOutcome>> SqlSessions::retry_refund(PaymentHash id, UnixMillis now) {
  return write<SessionOutcome>(
      id, [id, now](Connection& db) { return sql::retry_refund(db, id, now); });
}

Task<Result<std::vector<Session>>> SqlSessions::unfinished_refunds(UnixMillis now, Millis stale) {
  return read<std::vector<Session>>([now, stale, boot = boot_](Connection& db) {
    return sql::unfinished_refunds(db, now, stale, *boot);
  });
}

Task<Result<std::vector<Session>>> SqlSessions::idle_sessions(UnixMillis now, int limit) {
  return read<std::vector<Session>>(
      [now, limit](Connection& db) { return sql::idle_sessions(db, now, limit); });
}

Task<Result<std::vector<Session>>> SqlSessions::list_sessions(SessionFilter filter) {
  return read<std::vector<Session>>(
      [f = std::move(filter)](Connection& db) { return sql::list_sessions(db, f); });
}

Task<Result<SessionTotals>> SqlSessions::session_totals() {
  return read<SessionTotals>([](Connection& db) { return sql::session_totals(db); });
}

}  // namespace octroi::sql
