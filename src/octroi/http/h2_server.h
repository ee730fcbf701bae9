// octroi/http/h2_server.h: one HTTP/2 connection of the server. Its session (libnghttp2) turns
// bytes into streams; each request runs the handler in a task of its own over an exchange of its
// own.
//
// Order    bytes are given to the session whole; handlers start, and go on, when it has returned,
//          so no code of a handler ever runs inside it. What they write is made into frames at once
//          as far as windows and the output's bound allow, and flushed when the turn of the loop
//          ends.
// Bounds   a body waits unread within its window (h2_common.h); handlers that still run after their
//          stream was reset count among the streams that are open.
// End      the exchanges see their streams closed; the connection lives until every handler is
// done. Source   RFC 9113.  Thread: its loop's.
#pragma once

#include <memory>
#include <vector>

#include "octroi/http/h2_exchange.h"
#include "octroi/http/h2_output.h"
#include "octroi/http/h2_watch.h"
#include "octroi/http/server_connection.h"
#include "octroi/net/timer.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::http::h2 {

class H2Connection final : public ServerConnection, public Output::Owner {
 public:
  H2Connection(ServerContext& context, std::unique_ptr<net::Stream> stream);
  ~H2Connection() override;

  /// Serves the connection until it has ended and every handler is done. `first`: bytes that were
  /// read before it was known what they are.
  Task<void> run(Bytes first);
  void begin_drain() noexcept override;
  void cut() noexcept override { end(); }

  // For its exchanges
  [[nodiscard]] ServerContext& context() noexcept { return context_; }
  [[nodiscard]] const Peer& peer() const noexcept { return peer_; }
  [[nodiscard]] nghttp2_session* session() noexcept { return session_.get(); }
  [[nodiscard]] Output& output() noexcept { return output_; }
  [[nodiscard]] FieldList& fields() noexcept { return fields_; }
  [[nodiscard]] std::string_view date() { return context_.date.at(context_.loop.now()); }

  // Output::Owner
  void output_failed() noexcept override;
  void output_flushed() noexcept override;

 private:
  friend struct SessionEvents;  // the session's callbacks

  static constexpr std::size_t kReadsATurn = 16;
  static constexpr std::size_t kQueuedFrames =
      1000;  // frames not yet made, beyond which reading pauses

  void open_session();
  void read_on();
  void stop_reading() noexcept;
  void take_bytes(ByteView bytes);
  void set_timers() noexcept;
  [[nodiscard]] H2Exchange& new_exchange();
  void start_handlers();
  static Task<void> serve(H2Connection* self, H2Exchange* exchange);
  void retire(H2Exchange& exchange) noexcept;

  void last_goaway() noexcept;
  void send_away(std::uint32_t error, std::string_view why) noexcept;
  void end() noexcept;
  void end_if_done() noexcept;
  Task<void> linger();

  // What the session tells
  void block_begins(FieldBlock::Section section);
  void frame_received(const nghttp2_frame& frame, H2Exchange* exchange);
  void request_came(std::int32_t stream, bool ended);
  void frame_sent(const nghttp2_frame& frame, H2Exchange* exchange);
  void stream_closed(H2Exchange& exchange, std::uint32_t error) noexcept;

  ServerContext& context_;
  std::unique_ptr<net::Stream> stream_;
  Peer peer_;
  Session session_;
  Output output_;
  FrameWatch watch_{kPreface.size()};
  FieldBlock block_;
  FieldList fields_;

  std::vector<std::unique_ptr<H2Exchange>> exchanges_;  // those in use first
  std::size_t in_use_ = 0;
  std::vector<H2Exchange*> fresh_;  // their handlers have not started; null: closed before

  std::uint64_t timed_head_ = 0;  // the head for which head_clock_ runs
  bool served_ = false;           // a request has come
  bool draining_ = false;
  bool last_goaway_sent_ = false;
  bool too_many_resets_ = false;
  bool reading_off_ = false;  // sent away: what still comes is not looked at
  bool paused_ = false;       // the peer takes too little of what it has us say
  bool gentle_ = false;       // the peer may still be sending: do not reset what we said
  bool ended_ = false;
  Event over_;

  struct Readable : net::Stream::Waiter {
    explicit Readable(H2Connection& c) noexcept
        : Waiter([](Waiter& w) {
            auto& self = static_cast<Readable&>(w);
            self.armed = false;
            self.connection.read_on();
          }),
          connection(c) {}
    H2Connection& connection;
    bool armed = false;
  };
  struct Again : net::Deferred {
    explicit Again(H2Connection& c) noexcept
        : Deferred([](Deferred& d) { static_cast<Again&>(d).connection.read_on(); }),
          connection(c) {}
    H2Connection& connection;
  };
  struct Clock : net::Timer {
    Clock(H2Connection& c, void (*call)(H2Connection&)) noexcept
        : Timer([](Timer& t) {
            auto& self = static_cast<Clock&>(t);
            const RunScope scope;
            self.call(self.connection);
          }),
          connection(c),
          call(call) {}
    H2Connection& connection;
    void (*call)(H2Connection&);
  };
  Readable readable_{*this};
  Again again_{*this};
  Clock head_clock_{*this, [](H2Connection& c) {
                      c.send_away(NGHTTP2_ENHANCE_YOUR_CALM, "a head did not arrive in time");
                    }};
  Clock idle_clock_{*this, [](H2Connection& c) { c.send_away(NGHTTP2_NO_ERROR, "idle"); }};
  Clock drain_clock_{*this, [](H2Connection& c) { c.last_goaway(); }};
  TaskGroup tasks_;  // destroyed first: the handlers use all of the above
};

}  // namespace octroi::http::h2
