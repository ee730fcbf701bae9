// octroi/http/wire_test.h: plays one side of a connection byte by byte against the real server or
// client, over real sockets. Tests only.
#pragma once

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "octroi/http/server.h"
#include "octroi/net/deadline.h"
#include "octroi/net/run_until.h"
#include "octroi/net/stream.h"

namespace octroi::http {

inline constexpr Millis kTestPatience{20'000};

/// A raw connection.
class Wire {
 public:
  Wire() = default;
  explicit Wire(std::unique_ptr<net::Stream> stream) : stream_(std::move(stream)) {}

  static Task<Wire> to(net::Loop* loop, net::Endpoint where) {
    auto stream = co_await net::connect(*loop, where, kTestPatience);
    EXPECT_TRUE(stream) << stream.error().message();
    co_return Wire(std::move(*stream));
  }
  /// False when the peer no longer takes bytes.
  Task<bool> send(std::string text) {
    co_return (co_await net::write_all(*stream_, as_bytes(text), kTestPatience)).has_value();
  }
  /// Everything up to the end or a reset (then marked).
  Task<std::string> rest(Millis patience = kTestPatience) {
    std::string all = std::exchange(ahead_, {});
    std::vector<std::uint8_t> buffer(64 * 1024);
    for (;;) {
      auto got = co_await net::read_some(*stream_, buffer, patience);
      if (!got) co_return all + "<" + std::string(got.error().code()) + ">";
      if (*got == 0) co_return all;
      all.append(as_text(ByteView(buffer).first(*got)));
    }
  }
  /// Up to and with `mark`; what follows is kept for the next call.
  Task<std::string> until(std::string mark, Millis patience = kTestPatience) {
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      if (const std::size_t at = ahead_.find(mark); at != std::string::npos) {
        std::string found = ahead_.substr(0, at + mark.size());
        ahead_.erase(0, at + mark.size());
        co_return found;
      }
      auto got = co_await net::read_some(*stream_, buffer, patience);
      if (!got) co_return ahead_ + "<" + std::string(got.error().code()) + ">";
      if (*got == 0) co_return ahead_ + "<end>";
      ahead_.append(as_text(ByteView(buffer).first(*got)));
    }
  }
  Task<std::string> head() { co_return co_await until("\r\n\r\n"); }
  Task<std::string> bytes(std::size_t n) {
    std::array<std::uint8_t, 4096> buffer;
    while (ahead_.size() < n) {
      auto got = co_await net::read_some(*stream_, buffer, kTestPatience);
      if (!got || *got == 0) break;
      ahead_.append(as_text(ByteView(buffer).first(*got)));
    }
    std::string found = ahead_.substr(0, n);
    ahead_.erase(0, n);
    co_return found;
  }
  /// Bytes read beyond the last mark.
  [[nodiscard]] std::size_t ahead() const { return ahead_.size(); }
  void end() { stream_->shutdown_write(); }
  void close() { stream_.reset(); }
  [[nodiscard]] net::Stream& stream() { return *stream_; }

 private:
  std::unique_ptr<net::Stream> stream_;
  std::string ahead_;
};

inline net::Endpoint any_port() { return *net::Endpoint::parse("127.0.0.1:0"); }

/// A server in the test's own loop.
inline std::unique_ptr<Server> serve(net::Loop& loop, Handler handler, ServerLimits limits = {},
                                     std::shared_ptr<const net::TlsServerContext> tls = nullptr) {
  ServerConfig config;
  config.listen = any_port();
  config.limits = limits;
  config.tls = std::move(tls);
  auto server = listen(loop, config, std::move(handler));
  EXPECT_TRUE(server) << server.error().message();
  return std::move(*server);
}

/// Drops the Date field, which changes.
inline std::string undated(std::string text) {
  for (std::size_t at = text.find("Date: "); at != std::string::npos; at = text.find("Date: ")) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text;
}

}  // namespace octroi::http
