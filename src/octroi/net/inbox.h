// octroi/net/inbox.h: work that other threads hand to a loop: a locked list and an eventfd that
// wakes it. Shared, so that a thread that answers late finds a closed box instead of a dead loop.
// Internal to net.  Thread: put and close from any, take from the loop's.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "octroi/base/function.h"

namespace octroi::net {

class Loop;

class Inbox {
 public:
  Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Dropped when the box is closed.
  void put(UniqueFunction<void()> work);
  [[nodiscard]] std::vector<UniqueFunction<void()>> take();
  void close();
  /// Owned by whoever watches it, which closes the box before the descriptor.
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_; }

 private:
  std::mutex mutex_;
  std::vector<UniqueFunction<void()>> items_;
  int wake_fd_;
  bool closed_ = false;
};

[[nodiscard]] const std::shared_ptr<Inbox>& inbox_of(Loop& loop);

}  // namespace octroi::net
