// octroi/http/h2_client.h: the client's end of one HTTP/2 connection: many exchanges at a time.
// Internal to http; client.h is what others use.
//
// Windows  what the peer may send on a stream is bound to what its reader has taken; the window of
//          the whole connection is given back at once, so that a slow reader delays nobody else.
// Death    a lost connection fails the exchanges that it carries, and each knows what had left the
//          machine; one that the peer says it did not process (REFUSED_STREAM, above GOAWAY's last
//          stream) counts as not sent.
// Silence  whoever gave up waiting makes the connection suspect: it takes no further exchange until
//          the peer has said something, and is given up when a PING stays unanswered. Otherwise
//          PINGs are rare: servers count them as abuse (gRPC's allow one in five minutes).
// Source   RFC 9113.  Thread: the stream's loop.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/http/h1_buffer.h"
#include "octroi/http/h2_common.h"
#include "octroi/net/stream.h"
#include "octroi/net/timer.h"

namespace octroi::http::h2 {

class ClientConnection;
class ClientStream;

/// Who keeps a connection.
class ClientOwner {
 public:
  virtual ~ClientOwner() = default;
  /// Another exchange may fit now. Not from within a call of the owner's.
  virtual void has_room(ClientConnection& connection) = 0;
  /// Nobody uses it and nobody can: the owner destroys it, now.
  virtual void ended(ClientConnection& connection) = 0;
};

struct ClientSettings {
  std::string scheme;
  std::string authority;
  std::size_t max_head = 64 * 1024;
  std::size_t max_streams = kConcurrentStreams;  // at once, whatever the peer allows
  Millis keep_alive{55'000};                     // without an exchange; 0 = closes at once
  Millis ping_patience{10'000};                  // an unanswered PING means nobody is there
  Millis ping_interval{310'000};                 // of silence under way until one is sent
};

class ClientConnection {
 public:
  ClientConnection(std::unique_ptr<net::Stream> stream, ClientSettings settings,
                   ClientOwner& owner);
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  /// Fails what it still carries.
  ~ClientConnection();

  /// Whether open() may be called now.
  [[nodiscard]] bool usable() const noexcept;
  [[nodiscard]] std::unique_ptr<ClientExchange> open(ClientTimeouts timeouts);
  [[nodiscard]] std::size_t exchanges() const noexcept { return members_.size(); }
  /// When it last carried an exchange.
  [[nodiscard]] Millis used() const noexcept {
    return members_.empty() ? idle_since_ : Millis::max();
  }
  /// How many exchanges the peer and we allow at once.
  [[nodiscard]] std::size_t limit() const noexcept;
  /// Takes nothing further and closes when unused.
  void retire();

 private:
  friend class ClientStream;
  struct Events;  // the session's callbacks

  // for ClientStream
  [[nodiscard]] nghttp2_session* session() const noexcept { return session_.get(); }
  [[nodiscard]] net::Loop& loop() const noexcept { return stream_->loop(); }
  [[nodiscard]] bool over() const noexcept { return over_; }
  void entered(std::int32_t id, ClientStream& member);
  void leave(ClientStream& member);
  void reset(std::int32_t id, std::uint32_t code);
  void consumed(std::int32_t id, std::size_t size);
  /// Frames are made now, and sent when the running callback has returned.
  void submit();
  /// The same, with the frames made later, too.
  void submit_later() { loop().defer(later_); }
  /// Somebody waited in vain.
  void suspect();

  [[nodiscard]] ClientStream* find(std::int32_t id) const noexcept;
  void receive();
  void take(ByteView bytes);
  void make_frames();
  void flush();
  void check_end();
  void lost(Errc why, std::string message);
  void ping();
  void watch();
  void rest();

  struct Socket : net::Stream::Waiter {
    Socket(ClientConnection& c, net::Direction d) noexcept;
    ClientConnection& connection;
    net::Direction direction;
    bool armed = false;
  };
  struct Later : net::Deferred {
    Later(ClientConnection& c, void (*run)(net::Deferred&)) noexcept
        : Deferred(run), connection(c) {}
    ClientConnection& connection;
  };
  struct Clock : net::Timer {
    Clock(ClientConnection& c, void (*fire)(net::Timer&)) noexcept : Timer(fire), connection(c) {}
    ClientConnection& connection;
  };
  void arm(Socket& socket);
  void end_wait(Socket& socket) noexcept;

  ClientSettings settings_;
  ClientOwner& owner_;
  std::unique_ptr<net::Stream> stream_;
  Session session_;
  h1::OutBuffer out_;
  FieldBlock block_;  // header blocks of a connection come one after the other
  FieldList fields_;
  std::vector<ClientStream*> members_;                            // lent exchanges
  std::vector<std::pair<std::int32_t, ClientStream*>> sessions_;  // those with a stream, ascending
  std::uint64_t made_ = 0;                                        // bytes of frames, ever
  std::uint64_t written_ = 0;                                     // of them taken by the socket
  std::uint64_t opened_ = 0;
  Millis heard_{0};       // when the peer last said anything
  Millis pinged_{0};      // when it was last asked to
  Millis idle_since_{0};  // while nothing is lent
  bool over_ = false;     // the stream is closed
  bool draining_ = false;
  bool suspect_ = false;
  bool awaiting_pong_ = false;
  bool deaf_ = false;      // the peer takes no more bytes
  bool violated_ = false;  // we ended it over an error of the peer's
  bool first_bytes_ = true;
  Socket readable_{*this, net::Direction::read};
  Socket writable_{*this, net::Direction::write};
  Later later_;
  Later more_;  // the rest of a long read
  Later end_;
  Clock watch_;  // for silence
  Clock idle_;
};

}  // namespace octroi::http::h2
