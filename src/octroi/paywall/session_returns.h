// octroi/paywall/session_returns.h: what answers that were cut off with their worker had set aside
// of their sessions and counted tokens and not used. Nobody is there any more to give it back, so
// the application does so, once the workers have ended.
//
// Thread  add(): any. give_all(): one loop, after the last add().
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/ledger/bundles.h"
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
  void add(const TokenId& token, std::int64_t units);
  /// What the store does not take is told in the log, and stays spent.
  Task<void> give_all(ledger::SessionStore& sessions, UnixMillis now);
  Task<void> give_all(ledger::BundleStore& bundles, UnixMillis now);

 private:
  std::mutex mutex_;
  std::vector<std::pair<PaymentHash, Msat>> owed_;
  std::vector<std::pair<TokenId, std::int64_t>> owed_units_;
};

}  // namespace octroi::paywall
