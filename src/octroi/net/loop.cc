#include "octroi/net/loop.h"

namespace octroi::net {

void DeferQueue::run() {
  if (empty()) return;
  DeferQueue now;  // so that a node which defers itself again cannot keep the loop from its sockets
  now.end_.next_ = end_.next_;
  now.end_.prev_ = end_.prev_;
  now.end_.next_->prev_ = now.end_.prev_->next_ = &now.end_;
  end_.prev_ = end_.next_ = &end_;
  while (!now.empty()) {
    Deferred& node = *now.end_.next_;
    node.cancel();
    node.run_(node);
  }
}

namespace {

struct Sleep : Timer {
  Sleep(Loop& l, Millis d)
      : Timer([](Timer& t) { static_cast<Sleep&>(t).handle.resume(); }), loop(l), delay(d) {}
  static bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) {
    handle = h;
    loop.timers().start(*this, delay);
  }
  static void await_resume() noexcept {}
  Loop& loop;
  Millis delay;
  std::coroutine_handle<> handle;
};

struct Yield : Deferred {
  explicit Yield(Loop& l)
      : Deferred([](Deferred& d) { static_cast<Yield&>(d).handle.resume(); }), loop(l) {}
  static bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) {
    handle = h;
    loop.defer(*this);
  }
  static void await_resume() noexcept {}
  Loop& loop;
  std::coroutine_handle<> handle;
};

}  // namespace

Task<void> Loop::sleep(Millis delay) { co_await Sleep(*this, delay); }
Task<void> Loop::yield() { co_await Yield(*this); }

}  // namespace octroi::net
