// octroi/net/readiness.h: tells when a descriptor can be read or written: the seam between this
// module and the reactor under it (loop_epoll.cc). Internal to net.
//
// Rule    try the system call first, call want() when it would block; a spurious call is harmless.
// Life    owns the descriptor and closes it. The callback may destroy the watch.
// Thread  its loop's.
#pragma once

#include "octroi/net/loop.h"
#include "octroi/net/stream.h"

namespace octroi::net {

class FdWatch {
 public:
  using Callback = void (*)(void* owner, Direction direction);
  /// The descriptor is non-blocking; `call` runs from the loop with `owner`.
  FdWatch(Loop& loop, int fd, void* owner, Callback call);
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  ~FdWatch() { close(); }

  /// One call when the direction is ready. Asking again before that costs nothing; the question
  /// cannot be taken back, so the owner ignores calls it no longer cares for.
  void want(Direction direction);
  /// Closes the descriptor; no call comes afterwards.
  void close() noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }

  struct State;  // loop_epoll.cc

 private:
  Loop& loop_;
  State* state_;
  int fd_;
};

}  // namespace octroi::net
