#include "octroi/adapters/sql/approval_store.h"

#include <utility>

#include "octroi/adapters/sql/approval_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {
/// All changes of the list stand in one lane.
constexpr std::uint64_t kKey = 0xa9970a15;
}  // namespace

Task<Result<AskOutcome>> SqlApprovals::ask_approval(Approval wanted, int most_pending) {
  return lanes_.writer(kKey).call<AskOutcome>(
      kKey, [w = std::move(wanted), most_pending](Connection& db) {
        return sql::ask_approval(db, w, most_pending);
      });
}

Task<Result<DecideOutcome>> SqlApprovals::decide_approval(std::string id, bool approved,
                                                          std::string by, UnixMillis now,
                                                          UnixMillis use_until) {
  return lanes_.writer(kKey).call<DecideOutcome>(
      kKey, [i = std::move(id), approved, b = std::move(by), now, use_until](Connection& db) {
        return sql::decide_approval(db, i, approved, b, now, use_until);
      });
}

Task<Result<TakeOutcome>> SqlApprovals::take_approval(std::string id, Digest request,
                                                      std::string used_by, UnixMillis now) {
  return lanes_.writer(kKey).call<TakeOutcome>(
      kKey, [i = std::move(id), request, u = std::move(used_by), now](Connection& db) {
        return sql::take_approval(db, i, request, u, now);
      });
}

Task<Result<>> SqlApprovals::give_back_approval(std::string id, std::string used_by,
                                                UnixMillis taken) {
  return lanes_.writer(kKey).call<void>(
      kKey, [i = std::move(id), u = std::move(used_by), taken](Connection& db) {
        return sql::give_back_approval(db, i, u, taken);
      });
}

Task<Result<std::optional<Approval>>> SqlApprovals::find_approval(std::string id) {
  return lanes_.reader().call<std::optional<Approval>>(
      0, [i = std::move(id)](Connection& db) { return sql::find_approval(db, i); });
}

Task<Result<std::vector<Approval>>> SqlApprovals::list_approvals(std::optional<ApprovalState> state,
                                                                 int limit) {
  return lanes_.reader().call<std::vector<Approval>>(
      0, [state, limit](Connection& db) { return sql::list_approvals(db, state, limit); });
}

Task<Result<std::vector<Approval>>> SqlApprovals::expire_approvals(UnixMillis now, int limit) {
  return lanes_.writer(kKey).call<std::vector<Approval>>(
      kKey, [now, limit](Connection& db) { return sql::expire_approvals(db, now, limit); });
}

Task<Result<std::int64_t>> SqlApprovals::approvals_version() {
  return lanes_.reader().call<std::int64_t>(
      0, [](Connection& db) { return sql::approvals_version(db); });
}

}  // namespace octroi::sql
