// octroi/adapters/redis/hop.h: an answer that one loop owes another, where either may end first.
//
//   Hop<Reply> hop(fallback);                                    // on the asking loop
//   other.post([give = hop.giver()]() mutable { give(reply); });
//   co_return co_await hop.get();
//
// A giver that is dropped gives the fallback. Thread: the Hop belongs to the loop that made it, the
// giver to any.
#pragma once

#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::redis {

template <class T>
class Hop {
  struct State {
    std::mutex mutex;
    net::Loop* loop = nullptr;  // null once nobody waits
    std::optional<T> value;     // the loop's thread only, as is the waiter
    std::coroutine_handle<> waiter;
  };

 public:
  Hop(net::Loop& loop, T fallback)
      : state_(std::make_shared<State>()), fallback_(std::move(fallback)) {
    state_->loop = &loop;
  }
  Hop(const Hop&) = delete;
  Hop& operator=(const Hop&) = delete;
  ~Hop() {
    const std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
    state_->waiter = {};
  }

  class Giver {
   public:
    Giver(std::shared_ptr<State> s, T fallback)
        : state_(std::move(s)), fallback_(std::move(fallback)) {}
    Giver(Giver&&) noexcept = default;
    Giver& operator=(Giver&&) = delete;
    ~Giver() {
      if (state_) (*this)(std::move(fallback_));
    }
    void operator()(T value) {
      const auto state = std::exchange(state_, nullptr);
      if (!state) return;
      const std::lock_guard lock(state->mutex);
      if (state->loop == nullptr) return;
      state->loop->post([state, v = std::move(value)]() mutable {
        if (state->loop == nullptr) return;
        state->value.emplace(std::move(v));
        if (auto h = std::exchange(state->waiter, {})) h.resume();
      });
    }

   private:
    std::shared_ptr<State> state_;
    T fallback_;
  };
  [[nodiscard]] Giver giver() { return Giver(state_, fallback_); }

  Task<T> get() {
    struct Wait {
      State& s;
      bool await_ready() const noexcept { return s.value.has_value(); }
      void await_suspend(std::coroutine_handle<> h) noexcept { s.waiter = h; }
      void await_resume() const noexcept {}
    };
    const auto state = state_;
    co_await Wait{*state};
    co_return std::move(*state->value);
  }

 private:
  std::shared_ptr<State> state_;
  T fallback_;
};

}  // namespace octroi::redis
