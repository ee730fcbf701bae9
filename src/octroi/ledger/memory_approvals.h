// octroi/ledger/memory_approvals.h: Approvals in memory: part of MemoryStore.
//
// Thread   any thread; one mutex.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "octroi/ledger/approvals.h"

namespace octroi::ledger {

class MemoryApprovals final : public Approvals {
 public:
  void set_unavailable(bool yes);

  Task<Result<AskOutcome>> ask_approval(Approval wanted, int most_pending) override;
  Task<Result<DecideOutcome>> decide_approval(std::string id, bool approved, std::string by,
                                              UnixMillis now, UnixMillis use_until) override;
  Task<Result<TakeOutcome>> take_approval(std::string id, Digest request, std::string used_by,
                                          UnixMillis now) override;
  Task<Result<>> give_back_approval(std::string id, std::string used_by, UnixMillis taken) override;
  Task<Result<std::optional<Approval>>> find_approval(std::string id) override;
  Task<Result<std::vector<Approval>>> list_approvals(std::optional<ApprovalState> state,
                                                     int limit) override;
  Task<Result<std::vector<Approval>>> expire_approvals(UnixMillis now, int limit) override;
  Task<Result<std::int64_t>> approvals_version() override;
  /// Those that were over at `horizon`; returns how many went.
  std::int64_t prune(UnixMillis horizon);

 private:
  struct Kept {
    Approval ticket;
    UnixMillis used_at;
  };
  [[nodiscard]] Result<> begin() const;
  [[nodiscard]] Kept* by_id(const std::string& id);
  std::mutex mutex_;
  bool unavailable_ = false;
  std::int64_t version_ = 0;
  std::vector<Kept> tickets_;
};

}  // namespace octroi::ledger
