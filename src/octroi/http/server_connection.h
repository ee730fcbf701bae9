// octroi/http/server_connection.h: what the server and the connections it serves share, whatever
// the protocol version. Internal to http.
#pragma once

#include <string>

#include "octroi/http/server.h"

namespace octroi::http {

/// The Date field, formatted at most four times a second.
class DateCache {
 public:
  [[nodiscard]] std::string_view at(Millis now);

 private:
  std::string text_;
  Millis made_{-1000};
};

struct ServerContext {
  net::Loop& loop;
  ServerLimits limits;
  Handler handler;
  bool draining = false;
  DateCache date;
};

/// A connection in the server's list, which it enters and leaves by itself.
class ServerConnection {
 public:
  ServerConnection() = default;
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;
  virtual ~ServerConnection() { unlink(); }
  /// Takes no further request; closes when none is in flight.
  virtual void begin_drain() noexcept = 0;
  /// As if the client had gone: handlers are told by what they read or write next.
  virtual void cut() noexcept = 0;

  void link(ServerConnection*& head) noexcept {
    link_ = &head;
    next_ = head;
    if (head != nullptr) head->link_ = &next_;
    head = this;
  }
  [[nodiscard]] ServerConnection* next() const noexcept { return next_; }

 private:
  void unlink() noexcept {
    if (link_ == nullptr) return;
    *link_ = next_;
    if (next_ != nullptr) next_->link_ = link_;
    link_ = nullptr;
  }
  ServerConnection** link_ = nullptr;
  ServerConnection* next_ = nullptr;
};

/// An error of the network as an error of the exchange.
[[nodiscard]] Error exchange_error(const Error& cause);

}  // namespace octroi::http
