#include "octroi/http/h2_pool.h"

#include <algorithm>

#include "octroi/http/h2_wait.h"

namespace octroi::http::h2 {

namespace {
/// Beyond it exchanges wait for each other: a server that allows few at a time means it.
constexpr std::size_t kMaxConnections = 32;
}  // namespace

/// Someone who has asked for an exchange. Lives in the asking coroutine.
struct ClientPool::Waiter {
  Waiter(ClientPool& p, ClientTimeouts t, bool f) : pool(p), timeouts(t), fresh(f) {
    pool.waiters_.push_back(this);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (listed) pool.waiters_.remove(this);
  }
  /// Out of the list, and on its way.
  void settle() {
    listed = false;
    pool.waiters_.remove(this);
    woken.wake();
  }

  ClientPool& pool;
  ClientTimeouts timeouts;
  bool fresh;
  bool listed = true;
  std::unique_ptr<ClientExchange> given;
  std::optional<Error> failed;
  Wait woken;
};

ClientPool::~ClientPool() = default;

Task<Result<std::unique_ptr<ClientExchange>>> ClientPool::open(ClientTimeouts timeouts,
                                                               bool fresh) {
  if (ClientConnection* connection = fresh ? nullptr : best()) co_return connection->open(timeouts);
  Waiter waiter(*this, timeouts, fresh);
  connect_more(timeouts.connect);
  if (waiter.listed && !co_await waiter.woken.until(loop_, timeouts.connect) && waiter.listed) {
    co_return fail(Errc::connect_failed, "no connection with room for the request in time");
  }
  if (waiter.failed) co_return tl::unexpected<Error>(std::move(*waiter.failed));
  co_return std::move(waiter.given);
}

/// The one that was used last: the others come to rest, and close.
ClientConnection* ClientPool::best() const {
  ClientConnection* found = nullptr;
  for (const auto& connection : connections_) {
    if (!connection->usable()) continue;
    if (found == nullptr || connection->used() > found->used()) found = connection.get();
  }
  return found;
}

std::unique_ptr<ClientExchange> ClientPool::adopt(std::unique_ptr<net::Stream> stream,
                                                  ClientTimeouts timeouts) {
  ClientConnection& connection = add(std::move(stream));
  auto exchange = connection.open(timeouts);
  serve(connection, /*fresh=*/true);
  return exchange;
}

ClientConnection& ClientPool::add(std::unique_ptr<net::Stream> stream) {
  connections_.push_back(std::make_unique<ClientConnection>(std::move(stream), settings_, *this));
  return *connections_.back();
}

void ClientPool::serve(ClientConnection& connection, bool fresh) {
  for (auto it = waiters_.begin(); it != waiters_.end() && connection.usable();) {
    Waiter& waiter = **it++;
    if (waiter.fresh && !fresh) continue;
    waiter.given = connection.open(waiter.timeouts);
    waiter.settle();
  }
}

void ClientPool::has_room(ClientConnection& connection) {
  room_ = std::max<std::size_t>(connection.limit(), 1);
  serve(connection, /*fresh=*/false);
}

void ClientPool::ended(ClientConnection& connection) {
  std::erase_if(connections_, [&](const auto& c) { return c.get() == &connection; });
  if (!waiters_.empty()) connect_more(waiters_.front()->timeouts.connect);
}

void ClientPool::retire() {
  for (const auto& connection : connections_) connection->retire();
}

/// As many connections on their way as those who wait will need.
void ClientPool::connect_more(Millis timeout) {
  while (connecting_ * room_ < waiters_.size() &&
         connecting_ + connections_.size() < kMaxConnections) {
    ++connecting_;
    tasks_.start(connect_one(this, timeout));
  }
}

Task<void> ClientPool::connect_one(ClientPool* self, Millis timeout) {
  auto stream = co_await self->connect_(timeout);
  --self->connecting_;
  if (!stream) {
    self->connect_failed(stream.error());
  } else if ((*stream)->is_tls() && (*stream)->alpn() != "h2") {
    self->connect_failed(Error(Errc::tls_failed, "the server does not offer HTTP/2 (ALPN h2)"));
  } else {
    self->serve(self->add(std::move(*stream)), /*fresh=*/true);
    if (!self->waiters_.empty()) self->connect_more(timeout);
  }
}

/// Who could still get room on a connection that stands goes on waiting for that.
void ClientPool::connect_failed(const Error& why) {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    Waiter& waiter = **it++;
    if (!waiter.fresh && !connections_.empty()) continue;
    waiter.failed = why;
    waiter.settle();
  }
}

}  // namespace octroi::http::h2
