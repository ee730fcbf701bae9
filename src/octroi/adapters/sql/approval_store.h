// octroi/adapters/sql/approval_store.h: ledger::Approvals over the lanes of a SqlStore.
//
// Thread   as SqlStore.
#pragma once

#include <string>
#include <vector>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/approvals.h"

namespace octroi::sql {

class Lanes;

class SqlApprovals final : public ledger::Approvals {
 public:
  /// `lanes` must outlive it.
  explicit SqlApprovals(Lanes& lanes) : lanes_(lanes) {}

  Task<Result<ledger::AskOutcome>> ask_approval(ledger::Approval wanted, int most_pending) override;
  Task<Result<ledger::DecideOutcome>> decide_approval(std::string id, bool approved, std::string by,
                                                      UnixMillis now,
                                                      UnixMillis use_until) override;
  Task<Result<ledger::TakeOutcome>> take_approval(std::string id, ledger::Digest request,
                                                  std::string used_by, UnixMillis now) override;
  Task<Result<>> give_back_approval(std::string id, std::string used_by, UnixMillis taken) override;
  Task<Result<std::optional<ledger::Approval>>> find_approval(std::string id) override;
  Task<Result<std::vector<ledger::Approval>>> list_approvals(
      std::optional<ledger::ApprovalState> state, int limit) override;
  Task<Result<std::vector<ledger::Approval>>> expire_approvals(UnixMillis now, int limit) override;
  Task<Result<std::int64_t>> approvals_version() override;

 private:
  Lanes& lanes_;
};

}  // namespace octroi::sql
