#include "octroi/paywall/session_bell.h"

#include "octroi/net/deadline.h"

namespace octroi::paywall {

SessionBell::Shard& SessionBell::shard_of(const PaymentHash& session) {
  return shards_[std::hash<PaymentHash>{}(session) % shards_.size()];
}

void SessionBell::ring_here(const PaymentHash& session) {
  Shard& shard = shard_of(session);
  // An ear leaves under this lock before its loop can end.
  const std::lock_guard lock(shard.mutex);
  const auto [begin, end] = shard.ears.equal_range(session);
  for (auto ear = begin; ear != end; ++ear) {
    ear->second->loop.post([weak = std::weak_ptr<Call>(ear->second)] {
      if (const auto call = weak.lock()) {
        call->rung = true;
        call->event->set();
      }
    });
  }
}

SessionBell::Ear::Ear(SessionBell& bell, const PaymentHash& session, net::Loop& loop)
    : bell_(bell), session_(session), call_(std::make_shared<Call>(loop)) {
  Shard& shard = bell_.shard_of(session_);
  const std::lock_guard lock(shard.mutex);
  shard.ears.emplace(session_, call_);
}

SessionBell::Ear::~Ear() {
  Shard& shard = bell_.shard_of(session_);
  const std::lock_guard lock(shard.mutex);
  const auto [begin, end] = shard.ears.equal_range(session_);
  for (auto ear = begin; ear != end; ++ear) {
    if (ear->second != call_) continue;
    shard.ears.erase(ear);
    return;
  }
}

Task<bool> SessionBell::Ear::until(Event* event) {
  co_await event->wait();
  co_return true;
}

Task<void> SessionBell::Ear::wait(Millis limit) {
  if (!call_->rung) {
    call_->event = std::make_unique<Event>();
    std::ignore = co_await net::within(call_->loop, limit, until(call_->event.get()));
  }
  call_->rung = false;
}

void SessionBell::Ear::wake() noexcept {
  call_->rung = true;
  call_->event->set();
}

}  // namespace octroi::paywall
