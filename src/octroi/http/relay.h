// octroi/http/relay.h: forwards one exchange to an upstream: head, body, trailers and upgrades,
// with back-pressure both ways and hop-by-hop fields removed (RFC 9110 section 7.6.1).
//
// The caller edits the request head before (credentials out, identity in) and hooks the answer.
// Thread: the exchange's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "octroi/http/body_filter.h"
#include "octroi/http/client.h"
#include "octroi/http/server.h"

namespace octroi::http {

/// Where a relay gets its connections when there is more than one place to go.
class Connector {
 public:
  virtual ~Connector() = default;
  virtual Task<Result<std::unique_ptr<ClientExchange>>> connect() = 0;
  /// The connection given last ended before any answer: a new one, never from a pool. `reused`
  /// tells that it had come from the pool, where servers close without blame.
  virtual Task<Result<std::unique_ptr<ClientExchange>>> reconnect(bool reused) = 0;
  /// Whether reconnect() could go to a place that was not tried.
  [[nodiscard]] virtual bool has_another() const noexcept = 0;
};

struct RelayOptions {
  Origin upstream;                  // not looked at when there is a connector
  Connector* connector = nullptr;   // outlives the relay
  std::optional<std::string> host;  // Host sent upstream; empty: the upstream's own authority
  std::string forwarded_for;        // appended to X-Forwarded-For; empty: none
  std::string forwarded_proto;
  std::string forwarded_host;
  std::uint64_t max_body = UINT64_MAX;  // request body; beyond it 413
  /// Set when the body was already read (for its digest): sent instead of the exchange's body.
  std::optional<std::string> buffered_body;
  ClientTimeouts timeouts;
  /// Opened before, so that a door knows the upstream can be reached before it takes anything for
  /// the request; null: the relay opens one itself.
  std::unique_ptr<ClientExchange> connection;
  /// A repeatable request is sent again, once, when the pool's connection turned out to be dead, or
  /// any connection died before its answer and there is another place to ask. Off for paid
  /// requests: they go out again only when not one byte of them had been written.
  bool repeat_idempotent = true;
  /// A gRPC call: a stream of messages, of which `max_body` bounds each and not their sum; when the
  /// deadline passes after the answer began, trailers say so.
  bool grpc = false;
  Millis deadline{0};  // for all of it; 0: none. Beyond it Errc::timeout
  /// Asked when the connection is there and nothing was written on it: opening one takes time, in
  /// which leave may be taken back. An error refuses, and is the result's.
  std::function<Result<>()> may_send;
  /// Edits the final head before it goes to the client (receipts, caches, CORS).
  std::function<void(ResponseHead&)> on_head;
  /// Sees each piece of the body as it is passed on (to keep a stored answer). Must not block.
  std::function<void(ByteView)> on_body;
  /// Between the upstream's body and the client's, with on_body seeing the former; outlives the
  /// relay. Not asked about an answer without a body (HEAD, 304) nor about an upgrade.
  BodyFilter* filter = nullptr;
  /// Sees the trailers of an answer that came whole.
  std::function<void(const Headers&)> on_end;
};

enum class RelayState : std::uint8_t {
  refused,     // nothing reached the upstream; the client was not answered yet
  failed,      // the upstream may have acted; the client was not answered yet
  torn,        // the answer had begun and could not be completed: the client was cut, and told
               // the upstream's reason where both ends speak HTTP/2 and the reason is meant for it
  complete,    // answered in full
  client_gone  // the client left before the end; the upstream had answered
};

struct RelayResult {
  RelayState state = RelayState::refused;
  int status = 0;  // of the upstream, when it answered
  std::optional<Error> error;
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  bool upstream_fault = false;  // the upstream broke off, was late or spoke no HTTP
  bool client_left = false;     // whatever the state: nobody is there to be answered
  /// The client's message broke off for a reason of its own (malformed, too large, too slow):
  /// `error` speaks of that, and the upstream has no part in it.
  bool client_fault = false;
  /// The code with which an HTTP/2 upstream reset the exchange (RFC 9113 section 7).
  std::optional<std::uint32_t> reset_code = {};
};

/// Edits the exchange's request head in place (hop-by-hop fields, X-Forwarded-*, Expect).
/// Never answers by itself when the state is refused or failed: the door owns its error pages.
Task<RelayResult> relay(Exchange& exchange, Client& client, RelayOptions options);

/// Connection, Keep-Alive, Proxy-*, TE (but trailers), Transfer-Encoding, Upgrade and whatever
/// Connection names.
void strip_hop_by_hop(Headers& headers);

}  // namespace octroi::http
