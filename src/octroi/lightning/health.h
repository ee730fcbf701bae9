// octroi/lightning/health.h: whether the node answers, as told by those who talk to it.
//
// Thread: any.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "octroi/base/metrics.h"
#include "octroi/base/result.h"
#include "octroi/lightning/node.h"

namespace octroi::lightning {

class NodeHealth {
 public:
  /// Publishes octroi_node_up.
  explicit NodeHealth(MetricRegistry& metrics);
  /// The node answered.
  void good();
  /// It did not; logged once a change, not once a try.
  void bad(const Error& error);
  /// For /readyz: Errc::unavailable with the last reason, also before the first answer.
  [[nodiscard]] Result<> up() const;

 private:
  Gauge& gauge_;
  mutable std::mutex mutex_;
  bool up_ = false;
  std::string reason_ = "not reached yet";
};

/// Waits between tries that double up to a limit, so that a dead node is not hammered.
class Backoff {
 public:
  Backoff(Millis first, Millis limit) : first_(first), limit_(limit), next_(first) {}
  [[nodiscard]] Millis next() {
    const Millis wait = next_;
    next_ = next_ * 2 < limit_ ? next_ * 2 : limit_;
    return wait;
  }
  void reset() { next_ = first_; }

 private:
  Millis first_, limit_, next_;
};

}  // namespace octroi::lightning
