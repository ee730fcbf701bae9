// octroi/paywall/session_returns.h: what answers that were cut off with their worker had set aside
// of their sessions and not used. Nobody is there any more to give it back, so the application does
// so, once the workers have ended.
//
// Thread  add(): any. give_all(): one loop, after the last add().
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/ledger/sessions.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

class SessionReturns {
 public:
  SessionReturns() = default;
  SessionReturns(const SessionReturns&) = delete;
  SessionReturns& operator=(const SessionReturns&) = delete;

  void add(const PaymentHash& session, Msat amount);
  /// What the store does not take is told in the log, and stays spent.
  Task<void> give_all(ledger::SessionStore& sessions, UnixMillis now);

 private:
  std::mutex mutex_;
  std::vector<std::pair<PaymentHash, Msat>> owed_;
};

}  // namespace octroi::paywall
