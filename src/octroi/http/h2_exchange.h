// octroi/http/h2_exchange.h: one request of an HTTP/2 connection and its answer. Internal to http.
//
// Life     from a whole header block until the stream is closed and the handler has ended, whatever
//          comes first; then the connection uses it again for another request.
// Body     the window that a body used is given back when the handler asks for the next piece.
// Answer   write() lends its bytes to the session until they are in frames, and waits that long.
// Thread   its connection's loop.
#pragma once

#include "octroi/http/h2_body.h"
#include "octroi/http/h2_common.h"
#include "octroi/http/server_connection.h"
#include "octroi/net/timer.h"
#include "octroi/task/ready.h"

namespace octroi::http::h2 {

class H2Connection;

/// Where one coroutine waits until it is let through or a time has passed.
class Gate : net::Timer {
 public:
  Gate() noexcept : Timer([](Timer& t) { static_cast<Gate&>(t).expire(); }) {}

  void open() noexcept {
    if (queue_.empty()) return;
    Timer::stop();
    const RunScope scope;
    detail::make_ready(queue_);
  }
  /// co_await: false when the time passed first.
  auto pass(net::Loop& loop, Millis limit) {
    struct Awaiter : detail::WaitQueue::Waiter {
      Gate& gate;
      net::Loop& loop;
      Millis limit;
      Awaiter(Gate& g, net::Loop& l, Millis t) noexcept : gate(g), loop(l), limit(t) {}
      ~Awaiter() { gate.Timer::stop(); }
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) {
        handle = h;
        gate.expired_ = false;
        gate.queue_.push(*this);
        if (limit > Millis(0)) loop.timers().start(gate, limit);
      }
      bool await_resume() const noexcept { return !gate.expired_; }
    };
    return Awaiter(*this, loop, limit);
  }

 private:
  void expire() noexcept {
    expired_ = true;
    const RunScope scope;
    detail::make_ready(queue_);
  }
  detail::WaitQueue queue_;
  bool expired_ = false;
};

class H2Exchange final : public Exchange, public BodySource {
 public:
  explicit H2Exchange(H2Connection& connection) : connection_(connection) {}

  // ---- for the connection
  /// Takes up a request whose head stands in request().
  void begin(std::int32_t stream, std::optional<std::uint64_t> length, bool expects_continue);
  /// An answer before any handler.
  void refuse(int status, std::string_view why);
  /// After the handler: what must not stay open is closed.
  Task<void> complete(bool threw);
  void handler_ended() noexcept;

  void body_came(ByteView bytes);
  void body_ended() noexcept;
  void trailers_came(FieldBlock& block);
  /// The stream is closed, or the connection.
  void closed(std::uint32_t error) noexcept;
  /// The last frame of the answer went out.
  void answer_sent() noexcept;
  ssize_t read_for_frame(std::size_t room, std::uint32_t& flags);
  void take_for_frame(ByteView frame_head, std::size_t size);

  [[nodiscard]] std::int32_t stream() const noexcept { return stream_; }
  [[nodiscard]] bool reset_asked() const noexcept { return reset_asked_; }
  [[nodiscard]] bool done() const noexcept { return closed_ && handler_done_; }

  // The connection's own notes
  std::size_t slot = 0;  // among its exchanges
  bool serving = false;  // a handler was started

  // ---- Exchange
  [[nodiscard]] RequestHead& request() override { return request_; }
  [[nodiscard]] BodySource& body() override { return *this; }
  [[nodiscard]] const Peer& peer() const override;
  [[nodiscard]] net::Loop& loop() override;
  Task<Result<>> interim(ResponseHead head) override;
  Task<Result<>> respond(ResponseHead head, std::string body) override;
  Task<Result<>> start(ResponseHead head, std::optional<std::uint64_t> length) override;
  Task<Result<>> write(ByteView chunk) override;
  Task<Result<>> finish(const Headers& trailers) override;
  void abort() noexcept override;
  void abort_as(std::uint32_t code) noexcept override;
  Task<Result<std::unique_ptr<net::Stream>>> upgrade(ResponseHead head) override;
  void on_gone(void (*call)(void*), void* context) override;
  [[nodiscard]] bool started() const noexcept override { return started_; }
  [[nodiscard]] std::uint64_t sent() const noexcept override { return sent_; }

  // ---- BodySource
  Task<Result<ByteView>> next() override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }
  [[nodiscard]] const Headers& trailers() const override { return trailers_; }

 private:
  static constexpr Millis kRateWindow{10'000};
  static constexpr Millis kLeftoverTime{2'000};

  [[nodiscard]] Result<> may_answer() const;
  Result<> begin_answer(const ResponseHead& head, std::optional<std::uint64_t> length);
  Result<> submit_head(const ResponseHead& head, std::optional<std::uint64_t> length, bool body);
  Result<> send_interim(const ResponseHead& head);
  Task<Result<>> send(ByteView bytes);
  void resume() noexcept;
  void reset(std::uint32_t error) noexcept;
  void give_window_back(std::size_t bytes) noexcept;
  void await_leftover() noexcept;
  void drop_leftover() noexcept;
  [[nodiscard]] bool leftover_fits() const noexcept;
  [[nodiscard]] bool stalled(std::uint64_t moved_before) const noexcept;
  [[nodiscard]] bool too_slow(Millis waited);

  /// What write() lends to the session must leave it with write()'s frame.
  struct Loan {
    explicit Loan(H2Exchange& e) noexcept : exchange(e) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() {
      if (exchange.lent_.empty()) return;
      exchange.lent_ = {};
      exchange.abort();  // the handler was cancelled within its answer
    }
    H2Exchange& exchange;
  };

  H2Connection& connection_;
  std::int32_t stream_ = 0;
  RequestHead request_;

  // The request's body
  BodyQueue body_;
  Headers trailers_;
  std::optional<std::uint64_t> length_;
  std::optional<Errc> body_fault_;
  bool body_ended_ = false;  // the peer has sent all of it
  bool expects_continue_ = false;
  Millis waited_{0};
  std::size_t arrived_ = 0;  // bytes within waited_
  std::uint64_t received_ = 0;
  Gate body_gate_;

  // The answer
  ByteView lent_;         // not yet in frames
  std::string own_body_;  // of a refusal
  Headers answer_trailers_;
  std::optional<std::uint64_t> announced_;
  std::uint64_t sent_ = 0;
  bool started_ = false;
  bool finished_ = false;
  bool withheld_ = false;       // the answer has a body that is not sent (HEAD, 304)
  bool ends_by_count_ = false;  // the last announced byte is the end: no trailers
  bool deferred_ = false;       // the session waits for more of the body
  bool answer_sent_ = false;    // to its end
  bool broken_ = false;         // cannot be completed any more
  bool reset_asked_ = false;    // by us, and not because of what the peer did
  Gate answer_gate_;

  bool closed_ = true;  // no stream, or none any more
  bool handler_done_ = true;

  /// Ends what nobody waits for: the rest of a request that was answered, a refusal not taken.
  struct Leftover : net::Timer {
    explicit Leftover(H2Exchange& e) noexcept
        : Timer([](Timer& t) { static_cast<Leftover&>(t).exchange.drop_leftover(); }),
          exchange(e) {}
    H2Exchange& exchange;
  };
  Leftover leftover_{*this};

  struct Gone : net::Deferred {
    Gone() noexcept
        : Deferred([](Deferred& d) {
            auto& self = static_cast<Gone&>(d);
            if (self.call != nullptr) std::exchange(self.call, nullptr)(self.context);
          }) {}
    void (*call)(void*) = nullptr;
    void* context = nullptr;
  };
  Gone gone_;
};

}  // namespace octroi::http::h2
