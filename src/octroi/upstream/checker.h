// octroi/upstream/checker.h: asks each address regularly how it is and writes the verdict into its
// state, where every worker reads it.
//
// One checker a process: more workers make no more probes. The first answer decides at once;
// afterwards it takes as many in a row as the settings say. At most kProbesAtOnce run at a time.
//
// Thread  the control loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "octroi/base/random.h"
#include "octroi/http/client.h"
#include "octroi/net/loop.h"
#include "octroi/task/sync.h"
#include "octroi/upstream/group.h"

namespace octroi::upstream {

inline constexpr std::size_t kProbesAtOnce = 32;

/// A group to check and the client that speaks to it, which outlives the watch.
struct Watched {
  std::shared_ptr<const Group> group;
  http::Client* client = nullptr;
  http::Protocol protocol = http::Protocol::http1;
};

class HealthChecker {
 public:
  HealthChecker(net::Loop& loop, Random& random);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  /// From now on these, each by its policy's `health`; groups without are not asked. A probe of an
  /// address that stays under the same settings goes on undisturbed.
  void watch(const std::vector<Watched>& groups);
  [[nodiscard]] std::size_t size() const noexcept { return probes_.size(); }

 private:
  class Probe;
  net::Loop& loop_;
  Random& random_;
  Semaphore slots_{kProbesAtOnce};
  std::map<const AddressState*, std::unique_ptr<Probe>> probes_;
};

/// Whether the status is one of those.
[[nodiscard]] bool contains(const std::vector<StatusRange>& ranges, int status) noexcept;

}  // namespace octroi::upstream
