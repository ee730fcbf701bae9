#include "octroi/net/inbox.h"

#include <cerrno>
#include <new>

#include <sys/eventfd.h>
#include <unistd.h>

namespace octroi::net {

Inbox::Inbox() : wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  // Without a descriptor no loop can run; the caller has no better answer than to end.
  if (wake_fd_ < 0) throw std::bad_alloc();
}

void Inbox::put(UniqueFunction<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  items_.push_back(std::move(work));
  if (items_.size() > 1) return;  // somebody has woken the loop already
  const std::uint64_t one = 1;
  while (::write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

std::vector<UniqueFunction<void()>> Inbox::take() {
  std::uint64_t count = 0;
  std::ignore = ::read(wake_fd_, &count, sizeof count);
  std::vector<UniqueFunction<void()>> taken;
  const std::scoped_lock lock(mutex_);
  taken.swap(items_);
  return taken;
}

void Inbox::close() {
  std::vector<UniqueFunction<void()>> dropped;  // destroyed outside the lock: it may post
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  dropped.swap(items_);
}

}  // namespace octroi::net
