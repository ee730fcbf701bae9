#include "octroi/http/server.h"

#include <array>

#include "octroi/base/log.h"
#include "octroi/http/h1_server.h"
#include "octroi/http/h2_server.h"
#include "octroi/http/prefixed_stream.h"
#include "octroi/http/server_connection.h"
#include "octroi/net/deadline.h"
#include "octroi/task/sync.h"

namespace octroi::http {

std::string_view DateCache::at(Millis now) {
  if (now - made_ >= Millis(250)) {
    made_ = now;
    text_ = to_http_date(system_clock().now());
  }
  return text_;
}

Error exchange_error(const Error& cause) {
  if (cause.is(net::Errc::timeout)) return Error(Errc::timeout, "the peer did not go on in time");
  return Error(Errc::closed, "the connection ended early");
}

namespace {

/// For handlers whose clients were cut off to end what they do.
constexpr Millis kEnding{1'000};

class ServerImpl final : public Server {
 public:
  ServerImpl(net::Loop& loop, ServerConfig config, Handler handler,
             std::unique_ptr<net::Listener> listener)
      : context_{loop, config.limits, std::move(handler), false, {}},
        tls_(std::move(config.tls)),
        listener_(std::move(listener)) {
    tasks_.start(accept_all());
  }
  ~ServerImpl() override { tasks_.cancel(); }

  [[nodiscard]] net::Endpoint local() const override { return listener_->local(); }
  void set_tls(std::shared_ptr<const net::TlsServerContext> tls) override { tls_ = std::move(tls); }
  Task<void> drain(Millis grace) override;
  [[nodiscard]] std::size_t connections() const noexcept override { return open_; }
  Task<void> serve_inside(std::unique_ptr<net::Stream> stream,
                          std::shared_ptr<const net::TlsServerContext> tls,
                          Handler handler) override;

 private:
  /// Counts a connection from its acceptance to its end, however that comes.
  struct Counted {
    explicit Counted(ServerImpl& s) : server(s) { ++server.open_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() {
      if (--server.open_ == 0 && server.empty_ != nullptr)
        std::exchange(server.empty_, nullptr)->set();
    }
    ServerImpl& server;
  };

  /// What a tunnel's inside is served with; it learns of draining as long as it is there.
  struct Inside {
    Inside(ServerImpl& s, Handler handler)
        : server(s),
          context{s.context_.loop, s.context_.limits, std::move(handler), s.context_.draining, {}} {
      context.limits.tunnels = false;
      server.insides_.push_back(&context);
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { std::erase(server.insides_, &context); }
    ServerImpl& server;
    ServerContext context;
  };

  Task<void> accept_all();
  Task<void> serve(std::unique_ptr<net::Stream> stream);
  Task<void> talk(ServerContext* context, std::unique_ptr<net::Stream> stream);
  Task<bool> until_empty();

  ServerContext context_;
  std::shared_ptr<const net::TlsServerContext> tls_;
  std::unique_ptr<net::Listener> listener_;
  std::size_t open_ = 0;
  ServerConnection* connections_ = nullptr;
  std::vector<ServerContext*> insides_;
  Event* empty_ = nullptr;
  TaskGroup tasks_;
};

Task<void> ServerImpl::accept_all() {
  while (!context_.draining) {
    // At the limit the kernel's backlog holds the rest.
    while (open_ >= context_.limits.max_connections) co_await context_.loop.sleep(Millis(10));
    auto stream = co_await listener_->accept();
    if (stream) {
      tasks_.start(serve(std::move(*stream)));
    } else if (stream.error().is(net::Errc::closed)) {
      co_return;
    } else {
      OCTROI_LOG(error, "http", "accept failed", {{"error", stream.error().message()}});
      co_await context_.loop.sleep(Millis(100));
    }
  }
}

Task<void> ServerImpl::serve(std::unique_ptr<net::Stream> stream) {
  const Counted counted(*this);
  try {
    if (tls_) {
      auto secured =
          co_await net::tls_accept(std::move(stream), tls_, context_.limits.head_timeout);
      if (!secured) co_return;
      stream = std::move(*secured);
    }
    co_await talk(&context_, std::move(stream));
  } catch (const std::exception& e) {
    OCTROI_LOG(error, "http", "connection dropped", {{"error", e.what()}});
  }
}

Task<void> ServerImpl::talk(ServerContext* context, std::unique_ptr<net::Stream> stream) {
  Bytes first;
  if (stream->alpn() != "h2") {
    h1::H1Connection connection(*context, std::move(stream));
    connection.link(connections_);
    co_await connection.run();
    if (!connection.found_h2()) co_return;
    first = connection.take_unread();
    stream = connection.take_stream();
  }
  h2::H2Connection connection(*context, std::move(stream));
  connection.link(connections_);
  co_await connection.run(std::move(first));
}

Task<void> ServerImpl::serve_inside(std::unique_ptr<net::Stream> stream,
                                    std::shared_ptr<const net::TlsServerContext> tls,
                                    Handler handler) {
  constexpr std::uint8_t kTlsHandshake = 0x16;  // RFC 8446 section 5.1
  Inside inside(*this, std::move(handler));
  const Millis timeout = context_.limits.head_timeout;
  if (tls) {
    std::array<std::uint8_t, 1> first{};
    auto got = co_await net::read_some(*stream, first, timeout);
    if (!got || *got == 0) co_return;
    stream = with_prefix(std::move(stream), first);
    if (first[0] == kTlsHandshake) {
      auto secured = co_await net::tls_accept(std::move(stream), std::move(tls), timeout);
      if (!secured) {
        OCTROI_LOG(debug, "http", "no TLS inside a tunnel", {{"error", secured.error().message()}});
        co_return;
      }
      stream = std::move(*secured);
    }
  }
  co_await talk(&inside.context, std::move(stream));
}

Task<bool> ServerImpl::until_empty() {
  Event empty;
  struct Clear {
    ServerImpl& server;
    ~Clear() { server.empty_ = nullptr; }
  } const clear{*this};
  if (open_ > 0) {
    empty_ = &empty;
    co_await empty.wait();
  }
  co_return true;
}

Task<void> ServerImpl::drain(Millis grace) {
  context_.draining = true;
  for (ServerContext* inside : insides_) inside->draining = true;
  listener_->close();
  for (ServerConnection* c = connections_; c != nullptr; c = c->next()) c->begin_drain();
  if (grace > Millis(0)) co_await net::within(context_.loop, grace, until_empty());
  // What is under way ends as if its client had gone, so that it can still settle what it owes;
  // what does not end so is dropped where it stands.
  for (ServerConnection* c = connections_; c != nullptr;) {
    ServerConnection* const next = c->next();
    c->cut();
    c = next;
  }
  if (open_ > 0) co_await net::within(context_.loop, kEnding, until_empty());
  tasks_.cancel();
}

}  // namespace

Result<std::unique_ptr<Server>> listen(net::Loop& loop, ServerConfig config, Handler handler) {
  OCTROI_TRY(auto listener, net::listen_tcp(loop, config.listen, config.reuse_port));
  return std::make_unique<ServerImpl>(loop, std::move(config), std::move(handler),
                                      std::move(listener));
}

}  // namespace octroi::http
