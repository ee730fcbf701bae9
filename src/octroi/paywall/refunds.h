// octroi/paywall/refunds.h: gives back what closed sessions are owed, and closes those that nobody
// uses any more.
//
// A refund is written down by whoever closes the session (due), claimed by one process (sending),
// paid once with a cap on its fee, and its end recorded. What became of an attempt that nobody saw
// end, because the process died or the node fell silent, is asked of the node by the hash of the
// return invoice; nothing is ever sent on a guess. While the node cannot be reached nothing is
// claimed: the refund stays due.
//
// Fee     at most the service's `max_fee`, and never more than the session brought in (1 sat at
//         least), or a return invoice behind a dear route would be a way to be paid.
// Thread  made, started and destroyed on the control loop; send() from any loop, close() and
//         retry_refund() on the control loop. No I/O of its own: node and store are ports.
// Source  Lightning session, "Refund", "Server-initiated Close"; architecture 3.7.
#pragma once

#include <memory>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/ledger/sessions.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/ports.h"
#include "octroi/paywall/session_keeper.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

struct RefundOptions {
  Millis reap_every{1'000};  // looks for idle sessions
  Millis ask_every{5'000};   // looks for refunds without an end
  /// A refund that another process claimed so long ago is asked after. Longer than a payment takes.
  Millis stale{180'000};
  Seconds pay_timeout{60};
  std::size_t at_once = 8;  // payments on their way
};

class Refunds final : public RefundDesk, public SessionKeeper {
 public:
  /// Everything outlives it.
  Refunds(net::Loop& control, lightning::Node& node, ledger::SessionStore& sessions, Clock& clock,
          MetricRegistry& metrics, RefundOptions options = {});
  ~Refunds() override;
  Refunds(const Refunds&) = delete;
  Refunds& operator=(const Refunds&) = delete;

  /// The limits of each service; a session of a service that is gone has the default ones.
  void publish(const PaywallSettings& settings);
  /// First asks what became of the refunds of an earlier run.
  void start();
  /// Lets payments on their way end, at most that long. What does not is asked after at the next
  /// start.
  Task<void> drain(Millis grace);

  Task<ledger::RefundStage> send(PaymentHash session) override;
  Task<Result<ledger::SessionResult>> close(PaymentHash id) override;
  Task<Result<ledger::SessionResult>> retry_refund(PaymentHash id) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace octroi::paywall
