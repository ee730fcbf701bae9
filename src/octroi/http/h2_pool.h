// octroi/http/h2_pool.h: the HTTP/2 connections to one origin. Internal to http.
//
// An exchange goes to a connection that has room; without one it waits for a connection that is
// being made, for the end of another exchange, or for a further connection, whichever is first.
// Thread: one loop's.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "octroi/http/h2_client.h"
#include "octroi/task/group.h"

namespace octroi::http::h2 {

class ClientPool final : public ClientOwner {
 public:
  /// Connects; over TLS ALPN was offered.
  using Connect = std::function<Task<Result<std::unique_ptr<net::Stream>>>(Millis timeout)>;

  ClientPool(net::Loop& loop, ClientSettings settings, Connect connect)
      : loop_(loop), settings_(std::move(settings)), connect_(std::move(connect)) {}
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;
  ~ClientPool() override;

  /// `fresh`: on a connection that did not stand before this call. Fails with connect_failed or
  /// tls_failed, also when TLS agreed on another protocol.
  Task<Result<std::unique_ptr<ClientExchange>>> open(ClientTimeouts timeouts, bool fresh);
  /// Takes over a connection on which TLS agreed on HTTP/2.
  [[nodiscard]] std::unique_ptr<ClientExchange> adopt(std::unique_ptr<net::Stream> stream,
                                                      ClientTimeouts timeouts);
  /// Closes connections as soon as they are unused; new ones may be made.
  void retire();
  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }

  void has_room(ClientConnection& connection) override;
  void ended(ClientConnection& connection) override;

 private:
  struct Waiter;
  [[nodiscard]] ClientConnection* best() const;
  ClientConnection& add(std::unique_ptr<net::Stream> stream);
  void serve(ClientConnection& connection, bool fresh);
  void connect_more(Millis timeout);
  static Task<void> connect_one(ClientPool* self, Millis timeout);
  void connect_failed(const Error& why);

  net::Loop& loop_;
  ClientSettings settings_;
  Connect connect_;
  std::vector<std::unique_ptr<ClientConnection>> connections_;
  std::list<Waiter*> waiters_;
  std::size_t connecting_ = 0;
  std::size_t room_ = kConcurrentStreams;  // of a connection, as learned
  TaskGroup tasks_;                        // destroyed first
};

}  // namespace octroi::http::h2
