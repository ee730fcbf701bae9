// octroi/http/client.h: outgoing requests over pooled connections.
//
// Guarantee  an error before ClientExchange::sent() is true means that no byte of the request left
//            the machine on a connection that could still have delivered it: it may be retried.
// Thread     one Client per loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/http/message.h"
#include "octroi/net/address.h"
#include "octroi/net/loop.h"
#include "octroi/net/stream.h"
#include "octroi/net/tls.h"

namespace octroi::http {

struct ClientTimeouts {
  Millis connect{5'000};      // resolve, connect and TLS handshake together
  Millis first_byte{60'000};  // request sent to response head
  Millis idle{60'000};        // between two reads of the body
};

/// Which HTTP is spoken on a connection.
enum class Protocol : std::uint8_t {
  http1,
  h2,         // over cleartext with prior knowledge; over TLS a server without it is refused
  automatic,  // over TLS what ALPN gives, HTTP/2 first; over cleartext HTTP/1.1
};

struct Origin {
  std::string scheme;  // "http" or "https"
  std::string host;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::http1;
  auto operator<=>(const Origin&) const = default;
};
[[nodiscard]] Origin origin_of(const Url& url);  // HTTP/1.1

struct ClientConfig {
  ClientTimeouts timeouts;
  std::size_t max_idle_per_origin = 64;
  Millis keep_alive{55'000};  // under the 60 s at which most servers close
  std::size_t max_head = 64 * 1024;
  /// Null: the system's certificate store. Verification is never off.
  std::shared_ptr<const net::TlsClientContext> tls;
  /// Name asked for and verified in TLS; empty: the origin's host.
  std::string server_name;
  /// Decides about each resolved address before a connection is made (the SSRF guard); an error
  /// refuses. Every address of a name must pass, and the connection goes to one that did.
  std::function<Result<>(const std::string& host, const net::IpAddress& address)> guard;
  /// Fixed answers instead of the resolver, as curl's --resolve: "host:port" to addresses. Still
  /// guarded.
  std::function<std::optional<std::vector<net::IpAddress>>(const std::string& host,
                                                           std::uint16_t port)>
      resolve;
};

/// One request and its answer on a connection taken from the pool. Destroying it early closes that
/// connection; finishing the body gives it back.
class ClientExchange {
 public:
  virtual ~ClientExchange() = default;
  /// Framing is chosen here: content-length when `length` is known (0 = no body), else chunked.
  virtual Task<Result<>> send_head(const RequestHead& head,
                                   std::optional<std::uint64_t> length) = 0;
  virtual Task<Result<>> write(ByteView chunk) = 0;
  virtual Task<Result<>> finish(const Headers& trailers) = 0;
  /// The next head: interim ones (1xx but 101) come first, one call each.
  virtual Task<Result<ResponseHead>> head() = 0;
  [[nodiscard]] virtual BodySource& body() = 0;
  /// After a 101: the raw connection.
  virtual std::unique_ptr<net::Stream> upgraded() = 0;
  /// Whether any byte was written on a live connection.
  [[nodiscard]] virtual bool sent() const noexcept = 0;
  /// Whether the connection came from the pool: one that the peer closed meanwhile may be retried.
  [[nodiscard]] virtual bool reused() const noexcept = 0;
  /// How long the connection had rested in the pool before it was lent.
  [[nodiscard]] virtual Millis rested() const noexcept { return Millis(0); }
  /// False when the server is known to have left. Costs a call into the kernel; worth it before a
  /// request that cannot be repeated.
  [[nodiscard]] virtual bool alive() noexcept { return true; }
  /// Whether any byte of an answer has arrived.
  [[nodiscard]] virtual bool answered() const noexcept { return true; }
  /// HTTP/2: the code with which the server reset the exchange (RFC 9113 section 7).
  [[nodiscard]] virtual std::optional<std::uint32_t> reset_code() const noexcept {
    return std::nullopt;
  }
  /// Cuts the connection (HTTP/2: resets the stream): whoever waits on this exchange fails with
  /// Errc::closed, from the loop.
  virtual void abort() noexcept {}
};

/// A request held in memory, for talking to nodes and for the wallet.
struct Request {
  std::string method = "GET";
  Url url;
  Headers headers;  // Host, Content-Length and framing are set by the client
  std::string body;
  Protocol protocol = Protocol::http1;
};
struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};

class Client {
 public:
  virtual ~Client() = default;
  [[nodiscard]] virtual net::Loop& loop() = 0;
  virtual Task<Result<std::unique_ptr<ClientExchange>>> open(Origin origin) = 0;
  /// The same with other timeouts than the configured ones; `fresh` makes a new connection in any
  /// case.
  virtual Task<Result<std::unique_ptr<ClientExchange>>> open_with(Origin origin,
                                                                  ClientTimeouts timeouts,
                                                                  bool fresh) {
    std::ignore = timeouts;
    std::ignore = fresh;
    return open(std::move(origin));
  }
  /// For a request that can be sent once only. A server that closes after each answer has done so
  /// before a pooled connection is lent here, and none that is in use closes as early as this takes
  /// the last one; without such a connection a new one is made.
  virtual Task<Result<std::unique_ptr<ClientExchange>>> open_surely(Origin origin,
                                                                    ClientTimeouts timeouts) {
    return open_with(std::move(origin), timeouts, /*fresh=*/false);
  }
  /// Closes idle connections, of whatever protocol, to origins that are not among these (HTTP/1.1,
  /// ascending); those that are lent
  /// end with their exchange. An origin that is opened again is pooled again.
  virtual void keep_only(std::span<const Origin> origins) { std::ignore = origins; }
  /// Sends and reads at most `max_body` bytes. No redirects, no retries but for an unsent request
  /// on a connection that the pool held too long. `deadline` covers everything.
  virtual Task<Result<Response>> fetch(Request request, std::uint64_t max_body,
                                       Millis deadline) = 0;
  /// Sends, then gives each line of a streaming answer (newline-delimited JSON) to `on_line` until
  /// it returns false or the stream ends. `idle` bounds the silence between lines; 0 = none.
  virtual Task<Result<int>> stream_lines(Request request,
                                         std::function<Task<bool>(std::string)> on_line,
                                         Millis idle) = 0;
};

/// RFC 9110 section 9.2.2: sending it twice has the effect of sending it once.
[[nodiscard]] bool is_idempotent(std::string_view method) noexcept;

[[nodiscard]] std::unique_ptr<Client> make_client(net::Loop& loop, ClientConfig config);

}  // namespace octroi::http
