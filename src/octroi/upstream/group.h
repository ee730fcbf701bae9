// octroi/upstream/group.h: the addresses of one service with what is known about them, and the
// directory that keeps this knowledge over reloads.
//
// Thread  a Group is immutable and shared (its states are atomics); the directory belongs to the
//         control thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octroi/base/metrics.h"
#include "octroi/upstream/address_state.h"
#include "octroi/upstream/settings.h"

namespace octroi::upstream {

struct Group {
  std::string service;
  Policy policy;
  std::vector<std::int64_t> weights;
  std::vector<std::shared_ptr<AddressState>> addresses;  // 1 to kMaxAddresses

  /// Whether a connection to every address failed within the last second.
  [[nodiscard]] bool known_down(UnixMillis now) const;
};

class Directory {
 public:
  explicit Directory(MetricRegistry& metrics) : metrics_(metrics) {}

  /// An address that the service had before keeps its state, for as long as any group holds it.
  [[nodiscard]] std::shared_ptr<const Group> group(const std::string& service,
                                                   const std::string& scheme,
                                                   const std::vector<Address>& addresses,
                                                   const Policy& policy);
  /// Ends ejections whose time is over, and takes addresses that nobody uses any more out of the
  /// metrics.
  void tick(UnixMillis now);

 private:
  MetricRegistry& metrics_;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<AddressState>> states_;
};

}  // namespace octroi::upstream
