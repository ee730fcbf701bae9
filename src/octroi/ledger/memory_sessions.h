// octroi/ledger/memory_sessions.h: the prepaid sessions of MemoryStore. One mutex and one map of
// claims with it, because a deposit's hash is claimed once over charges, opens and top-ups.
//
// Thread   any thread; the store's mutex.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "octroi/ledger/sessions.h"

namespace octroi::ledger {

class MemoryStore;

class MemorySessions final : public SessionStore {
 public:
  explicit MemorySessions(MemoryStore& store) : store_(store) {}

  Task<Result<OpenOutcome>> open_session(OpenSession request) override;
  Task<Result<std::optional<Session>>> find_session(PaymentHash id) override;
  Task<Result<SessionResult>> debit_session(PaymentHash id, std::string service, Msat amount,
                                            UnixMillis now) override;
  Task<Result<SessionResult>> give_back(PaymentHash id, Msat amount, UnixMillis now) override;
  Task<Result<TopUpOutcome>> top_up_session(TopUp request) override;
  Task<Result<CloseOutcome>> close_session(CloseSession request) override;
  Task<Result<std::optional<Session>>> claim_refund(PaymentHash id, UnixMillis now) override;
  Task<Result<SessionOutcome>> record_refund(PaymentHash id, RefundStage stage, Msat fee,
                                             std::string detail, UnixMillis now) override;
  Task<Result<SessionOutcome>> retry_refund(PaymentHash id, UnixMillis now) override;
  Task<Result<std::vector<Session>>> unfinished_refunds(UnixMillis now, Millis stale) override;
  Task<Result<std::vector<Session>>> idle_sessions(UnixMillis now, int limit) override;
  Task<Result<std::vector<Session>>> list_sessions(SessionFilter filter) override;
  Task<Result<SessionTotals>> session_totals() override;

 private:
  friend class MemoryStore;

  struct Kept {
    Session session;
    bool sending_here = false;
  };

  // Called by the store, which holds its mutex.
  void restart_locked();
  [[nodiscard]] bool contains_locked(const PaymentHash& id) const;
  /// Forgets what ended at or before `horizon`, but not its sums; tells which.
  std::vector<PaymentHash> prune_locked(UnixMillis horizon);

  Kept* find_locked(const PaymentHash& id);
  [[nodiscard]] std::optional<Session> copy_locked(const PaymentHash& id);
  Session* find_of_service_locked(const PaymentHash& id, const std::string& service);

  MemoryStore& store_;
  std::map<std::int64_t, Kept> by_age_;
  std::int64_t next_age_ = 0;
  SessionTotals forgotten_;
  std::map<PaymentHash, std::int64_t> ids_;
  std::set<PaymentHash> return_hashes_;
};

}  // namespace octroi::ledger
