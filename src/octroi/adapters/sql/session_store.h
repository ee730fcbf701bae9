// octroi/adapters/sql/session_store.h: ledger::SessionStore over the lanes of a SqlStore.
//
// All writes of one session go to one lane, in their order, and those that stand in one batch share
// its commit.
//
// Thread   as SqlStore.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/sessions.h"

namespace octroi::sql {

class Lanes;

class SqlSessions : public ledger::SessionStore {
 public:
  /// `lanes` must outlive it.
  SqlSessions(Lanes& lanes, std::shared_ptr<const std::string> boot)
      : lanes_(lanes), boot_(std::move(boot)) {}

  Task<Result<ledger::OpenOutcome>> open_session(ledger::OpenSession request) override;
  Task<Result<std::optional<ledger::Session>>> find_session(PaymentHash id) override;
  Task<Result<ledger::SessionResult>> debit_session(PaymentHash id, std::string service,
                                                    Msat amount, UnixMillis now) override;
  Task<Result<ledger::SessionResult>> give_back(PaymentHash id, Msat amount,
                                                UnixMillis now) override;
  Task<Result<ledger::TopUpOutcome>> top_up_session(ledger::TopUp request) override;
  Task<Result<ledger::CloseOutcome>> close_session(ledger::CloseSession request) override;
  Task<Result<std::optional<ledger::Session>>> claim_refund(PaymentHash id,
                                                            UnixMillis now) override;
  Task<Result<ledger::SessionOutcome>> record_refund(PaymentHash id, ledger::RefundStage stage,
                                                     Msat fee, std::string detail,
                                                     UnixMillis now) override;
  Task<Result<ledger::SessionOutcome>> retry_refund(PaymentHash id, UnixMillis now) override;
  Task<Result<std::vector<ledger::Session>>> unfinished_refunds(UnixMillis now,
                                                                Millis stale) override;
  Task<Result<std::vector<ledger::Session>>> idle_sessions(UnixMillis now, int limit) override;
  Task<Result<std::vector<ledger::Session>>> list_sessions(ledger::SessionFilter filter) override;
  Task<Result<ledger::SessionTotals>> session_totals() override;

 private:
  template <class T, class Work>
  Task<Result<T>> write(const PaymentHash& session, Work work);
  template <class T, class Work>
  Task<Result<T>> read(Work work);

  Lanes& lanes_;
  std::shared_ptr<const std::string> boot_;
};

}  // namespace octroi::sql
