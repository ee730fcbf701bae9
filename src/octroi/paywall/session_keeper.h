// octroi/paywall/session_keeper.h: what an operator may do to a prepaid session: end it, and have a
// refund sent again that failed. The admin API and the command line are built on it.
//
// Thread   called on the control loop, resumes there.
// Errors   the store's (ledger::Errc::unavailable) and the node's: nothing was changed.
#pragma once

#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/ledger/sessions.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

class SessionKeeper {
 public:
  virtual ~SessionKeeper() = default;

  /// Ends the session as its client could, and sends the refund. Waits for the refund as long as a
  /// client would; the session tells what came of it (`sending`: it is still on its way).
  /// applied: ended by this call. replayed: it had ended before, nothing was changed. not_found.
  virtual Task<Result<ledger::SessionResult>> close(PaymentHash id) = 0;

  /// Sends a failed refund again, once the node said that the attempt before it came to nothing. A
  /// payment that the node knows as succeeded after all is written down as such and never repeated.
  /// applied: it was sent again (the session tells what came of it). replayed: there is nothing to
  /// retry: the session is open, the refund was paid, skipped or is on its way. not_found.
  virtual Task<Result<ledger::SessionResult>> retry_refund(PaymentHash id) = 0;
};

}  // namespace octroi::paywall
