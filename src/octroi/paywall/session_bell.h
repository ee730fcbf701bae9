// octroi/paywall/session_bell.h: wakes the streams that wait for money when their session gets
// some, whichever connection of whichever worker brought it. Other replicas are told, and tell
// (ring_here); what is lost on the way costs a moment, because who waits also looks into the store
// from time to time.
//
// Thread  ring(), ring_here(): any. An Ear belongs to its loop, and the bell outlives it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/net/loop.h"
#include "octroi/task/sync.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

class SessionBell {
  struct Call {
    explicit Call(net::Loop& l) : loop(l) {}
    net::Loop& loop;
    std::unique_ptr<Event> event = std::make_unique<Event>();  // the loop's thread only
    bool rung = false;                                         // likewise
  };

 public:
  SessionBell() = default;
  SessionBell(const SessionBell&) = delete;
  SessionBell& operator=(const SessionBell&) = delete;

  /// Who else is told; before any worker starts.
  void tell_others(std::function<void(const PaymentHash&)> tell) { tell_ = std::move(tell); }

  /// Money came to the session, or it ended.
  void ring(const PaymentHash& session) {
    ring_here(session);
    if (tell_) tell_(session);
  }
  /// Another replica said so.
  void ring_here(const PaymentHash& session);

  class Ear {
   public:
    Ear(SessionBell& bell, const PaymentHash& session, net::Loop& loop);
    ~Ear();
    Ear(const Ear&) = delete;
    Ear& operator=(const Ear&) = delete;

    /// Until the bell rings, rang since the last wait, or `limit` has passed.
    Task<void> wait(Millis limit);
    /// As if it had rung. The loop's thread only.
    void wake() noexcept;

   private:
    static Task<bool> until(Event* event);
    SessionBell& bell_;
    PaymentHash session_;
    std::shared_ptr<Call> call_;
  };

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_multimap<PaymentHash, std::shared_ptr<Call>> ears;
  };
  [[nodiscard]] Shard& shard_of(const PaymentHash& session);

  std::array<Shard, 16> shards_;
  std::function<void(const PaymentHash&)> tell_;
};

}  // namespace octroi::paywall
