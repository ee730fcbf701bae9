// octroi/http/h1_output.h: the writing side of a connection. What is small (a head) is held back
// until the body's first bytes go with it in one system call, at the latest until the running
// callback has returned to the loop. Internal to http. Thread: the stream's loop.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "octroi/http/h1_buffer.h"
#include "octroi/net/stream.h"
#include "octroi/task/task.h"

namespace octroi::http::h1 {

class Output {
 public:
  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { detach(); }

  void attach(net::Stream& stream) noexcept { stream_ = &stream; }
  /// Before the stream is destroyed or handed over.
  void detach() noexcept;

  /// Append here, then call hold() or send().
  [[nodiscard]] OutBuffer& held() noexcept { return held_; }
  /// What is held goes out with the next send(), or by itself soon.
  void hold();
  /// Sends what is held and then the parts, all of it. `timeout` bounds each wait for the peer.
  /// A task only where the peer must be waited for.
  Task<Result<>> send(ByteView a, ByteView b, ByteView c, Millis timeout);
  /// Whether the stream has ever taken a byte since attach or the last forget_sent().
  [[nodiscard]] bool any_sent() const noexcept { return any_sent_; }
  void forget_sent() noexcept { any_sent_ = false; }

 private:
  struct Parts;
  void flush_now();
  /// True: all of it has gone.
  Result<bool> send_some(Parts& parts);
  Task<Result<>> send_rest(Parts parts, Millis timeout);
  void stop_background() noexcept;

  /// The parts of one message, of which the stream takes some at a time.
  struct Parts {
    std::array<ByteView, 4> view;
    std::size_t first = 0;

    void advance(std::size_t n) {
      while (first < view.size() && n >= view[first].size()) n -= view[first++].size();
      if (first < view.size()) view[first] = view[first].subspan(n);
    }
    [[nodiscard]] bool done() {
      while (first < view.size() && view[first].empty()) ++first;
      return first == view.size();
    }
    [[nodiscard]] std::span<const ByteView> rest() const { return std::span(view).subspan(first); }
  };

  net::Stream* stream_ = nullptr;
  OutBuffer held_;
  bool any_sent_ = false;
  bool blocked_ = false;  // a flush waits for the peer
  std::optional<net::Errc> failed_;

  struct Later : net::Deferred {
    explicit Later(Output& o) noexcept
        : Deferred([](Deferred& d) { static_cast<Later&>(d).out.flush_now(); }), out(o) {}
    Output& out;
  };
  struct Blocked : net::Stream::Waiter {
    explicit Blocked(Output& o) noexcept
        : Waiter([](Waiter& w) {
            auto& self = static_cast<Blocked&>(w);
            self.out.blocked_ = false;
            self.out.flush_now();
          }),
          out(o) {}
    Output& out;
  };
  Later later_{*this};
  Blocked waiter_{*this};
};

}  // namespace octroi::http::h1
