#include "octroi/lightning/health.h"

#include "octroi/base/log.h"

namespace octroi::lightning {

NodeHealth::NodeHealth(MetricRegistry& metrics)
    : gauge_(metrics.gauge("octroi_node_up", "1 while the Lightning node answers")) {}

void NodeHealth::good() {
  const std::lock_guard lock(mutex_);
  if (!up_) OCTROI_LOG(info, "lightning", "the node answers");
  up_ = true;
  gauge_.set(1);
}

void NodeHealth::bad(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (up_ || reason_ != error.message()) {
    OCTROI_LOG(warn, "lightning", "the node does not answer; retrying",
               {{"code", error.code()}, {"reason", error.message()}});
  }
  up_ = false;
  reason_ = error.message();
  gauge_.set(0);
}

Result<> NodeHealth::up() const {
  const std::lock_guard lock(mutex_);
  if (up_) return {};
  return fail(Errc::unavailable, "lightning node: " + reason_);
}

}  // namespace octroi::lightning
