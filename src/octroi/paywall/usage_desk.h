// octroi/paywall/usage_desk.h: tells price sources how requests ended, until they took it.
//
// A report is in the store before its request goes to the upstream (ledger/usage_reports.h), so
// none is lost with the process: what nobody saw end is reported as unseen. Of many replicas one
// sends each; a source may get one twice, with the same id.
//
// Retried  with growing pauses for as long as the source's `keep_reports` says; then it is dropped,
//          counted and logged. What a session's request cost is booked with the answer.
// Thread   made, started and destroyed on the control loop; ring() from any thread.
// Source   issue 5, "Dynamic prices"; docs/pricing.md.
#pragma once

#include <memory>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/ledger/usage_reports.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/ports.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

struct UsageDeskOptions {
  Millis look_every{1'000};   // for reports that other replicas left, or whose pause is over
  Millis lease{30'000};       // how long a report is one sender's; longer than a call takes
  Millis keep_every{20'000};  // keeps reports of requests under way open …
  Millis keep_for{120'000};   // … for that long
  Millis count_every{5'000};  // for the metrics
  Millis first_pause{1'000};  // after a failure; doubles each time
  Millis longest_pause{300'000};
  int at_once = 8;
};

class UsageDesk final : public UsageBell {
 public:
  /// Everything outlives it; `sources` belongs to the control loop.
  UsageDesk(net::Loop& control, ledger::UsageReports& reports, PriceSources& sources, Clock& clock,
            MetricRegistry& metrics, UsageDeskOptions options = {});
  ~UsageDesk() override;
  UsageDesk(const UsageDesk&) = delete;
  UsageDesk& operator=(const UsageDesk&) = delete;

  void publish(const PaywallSettings& settings);
  void start();
  /// Sends what is due, at most that long. What is left is sent after the next start.
  Task<void> drain(Millis grace);
  void ring() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace octroi::paywall
