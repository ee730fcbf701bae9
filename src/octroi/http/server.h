// octroi/http/server.h: accepts connections and gives each request to one handler, whatever the
// protocol version under it.
//
// Life     the server reads a head, makes an Exchange, awaits handler(exchange), then goes on with
//          the connection. A handler that returns without answering gets 500; one that answered
//          partly gets its connection cut, so that a torn body is never taken for a whole one.
// Thread   one Server per loop; SO_REUSEPORT spreads connections over workers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/secret.h"
#include "octroi/http/message.h"
#include "octroi/net/address.h"
#include "octroi/net/loop.h"
#include "octroi/net/stream.h"
#include "octroi/net/tls.h"

namespace octroi::http {

struct ServerLimits {
  std::size_t max_head =
      128 * 1024;  // request line and fields: room for a 64 KiB credential in base64
  std::size_t max_fields = 100;
  std::size_t max_target = 8 * 1024;
  std::uint32_t max_streams = 128;      // HTTP/2: requests at once on a connection
  std::size_t max_connections = 20000;  // a server; beyond it accepting pauses
  Millis head_timeout{15'000};          // first byte of a head to its last
  Millis idle_timeout{120'000};         // keep-alive between requests
  Millis body_timeout{30'000};  // between two reads of a body, and between two writes of an answer
  std::size_t min_bytes_per_second = 0;  // of a request body, over 10 s; 0 = off
  bool tunnels = false;                  // HTTP/1.x: CONNECT goes to the handler, too
};

struct Peer {
  net::Endpoint address;
  bool tls = false;
};

/// One request and its answer.
class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] virtual RequestHead& request() = 0;
  [[nodiscard]] virtual BodySource&
  body() = 0;  // sends 100 (Continue) at the first read when it is expected
  [[nodiscard]] virtual const Peer& peer() const = 0;
  [[nodiscard]] virtual net::Loop& loop() = 0;

  /// 103 and other interim answers.
  virtual Task<Result<>> interim(ResponseHead head) = 0;
  /// A whole answer. Content-Length and framing are set here; for HEAD the body is counted, not
  /// sent.
  virtual Task<Result<>> respond(ResponseHead head, std::string body) = 0;
  /// A streamed answer: head, then write() until finish(). Without a length the framing is chunked.
  virtual Task<Result<>> start(ResponseHead head, std::optional<std::uint64_t> length) = 0;
  /// Suspends while the client does not read: back-pressure.
  virtual Task<Result<>> write(ByteView chunk) = 0;
  virtual Task<Result<>> finish(const Headers& trailers) = 0;
  /// Cuts the connection (HTTP/2: resets the stream): the answer cannot be completed.
  virtual void abort() noexcept = 0;
  /// The same, telling an HTTP/2 client why: a code of RFC 9113 section 7, never NO_ERROR.
  virtual void abort_as(std::uint32_t code) noexcept {
    std::ignore = code;
    abort();
  }
  /// Answers 101 and hands the connection over; the exchange is finished after it. HTTP/1.1 only.
  virtual Task<Result<std::unique_ptr<net::Stream>>> upgrade(ResponseHead head) = 0;
  /// The same for CONNECT, with 200.
  virtual Task<Result<std::unique_ptr<net::Stream>>> tunnel(ResponseHead head) {
    std::ignore = head;
    co_return fail(Errc::bad_message, "no tunnels here");
  }

  /// From now on `call(context)` runs once, from the loop, when the client has left although its
  /// request is complete and its answer is not; null stops it. HTTP/1.1: noticed only while the
  /// client sends nothing further. HTTP/2: whenever its stream or connection ends before the
  /// answer.
  virtual void on_gone(void (*call)(void*), void* context) {
    std::ignore = call;
    std::ignore = context;
  }

  [[nodiscard]] virtual bool started() const noexcept = 0;  // a final head has been sent
  /// Bytes of body sent to the client so far.
  [[nodiscard]] virtual std::uint64_t sent() const noexcept = 0;
};

using Handler = std::function<Task<void>(Exchange&)>;

struct ServerConfig {
  net::Endpoint listen;
  bool reuse_port = true;
  std::shared_ptr<const net::TlsServerContext> tls;  // null: cleartext
  ServerLimits limits;
};

class Server {
 public:
  virtual ~Server() = default;
  [[nodiscard]] virtual net::Endpoint local() const = 0;
  /// New handshakes use it; open connections keep theirs (certificate reload).
  virtual void set_tls(std::shared_ptr<const net::TlsServerContext> tls) = 0;
  /// Stops accepting, closes idle connections, lets requests in flight end (their answers say
  /// Connection: close), cuts what is left after `grace`: those exchanges end as if their clients
  /// had gone, or are dropped a second later.
  virtual Task<void> drain(Millis grace) = 0;
  [[nodiscard]] virtual std::size_t connections() const noexcept = 0;
  /// Serves what is inside a tunnel that a handler has opened, until that connection ends: with the
  /// same limits, drained with the others, and by a handler of its own. The first byte tells
  /// whether it is TLS, which `tls` then answers; without one it is cleartext in any case. HTTP/2
  /// where ALPN or the first line says so.
  virtual Task<void> serve_inside(std::unique_ptr<net::Stream> stream,
                                  std::shared_ptr<const net::TlsServerContext> tls,
                                  Handler handler) = 0;
};

/// Binds and listens (backlog 1024 at least) and starts accepting.
[[nodiscard]] Result<std::unique_ptr<Server>> listen(net::Loop& loop, ServerConfig config,
                                                     Handler handler);

}  // namespace octroi::http
