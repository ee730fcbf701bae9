#include "octroi/app/vault_worker.h"

#include <utility>

#include "octroi/app/vault_clients.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {

constexpr std::size_t kLeastBodyRate = 32;  // of a request body, over ten seconds

Task<void> drain_all(std::vector<std::unique_ptr<http::Server>>* servers, Millis grace,
                     net::Loop* loop) {
  TaskGroup group;
  for (auto& server : *servers) group.start(server->drain(grace));
  co_await group.join();
  loop->stop();
}

}  // namespace

struct VaultWorker::State {
  State(net::Loop& loop, vault::Shared& shared, std::shared_ptr<const vault::Snapshot> snapshot,
        std::shared_ptr<const vault::KeyBook> book,
        std::shared_ptr<const net::TlsAuthority> authority)
      : clients(loop),
        broker(shared, clients, snapshot, book),
        front(loop, shared, broker, std::move(snapshot), std::move(book), std::move(authority)) {}
  VaultClients clients;
  vault::Broker broker;
  vault::Front front;
  std::vector<std::unique_ptr<http::Server>> servers;  // destroyed first: they use the broker
};

VaultWorker::VaultWorker(std::vector<net::Endpoint> listen, vault::Shared& shared,
                         std::shared_ptr<const vault::Snapshot> snapshot,
                         std::shared_ptr<const vault::KeyBook> book,
                         std::shared_ptr<const net::TlsAuthority> authority)
    : listen_(std::move(listen)),
      shared_(shared),
      snapshot_(std::move(snapshot)),
      book_(std::move(book)),
      authority_(std::move(authority)) {}

VaultWorker::~VaultWorker() { join(); }

Result<std::vector<net::Endpoint>> VaultWorker::start() {
  std::promise<Result<std::vector<net::Endpoint>>> ready;
  auto outcome = ready.get_future();
  thread_ = std::thread([this, p = std::move(ready)]() mutable { run(std::move(p)); });
  auto bound = outcome.get();
  if (!bound) join();
  return bound;
}

void VaultWorker::run(std::promise<Result<std::vector<net::Endpoint>>> ready) {
  net::Loop loop;
  State state(loop, shared_, std::move(snapshot_), std::move(book_), std::move(authority_));
  std::vector<net::Endpoint> bound;
  for (const auto& endpoint : listen_) {
    http::ServerConfig config;
    config.listen = endpoint;
    config.limits.min_bytes_per_second = kLeastBodyRate;
    config.limits.tunnels = true;
    auto server =
        http::listen(loop, config, [at = &state, i = state.servers.size()](http::Exchange& e) {
          return at->front.handle(e, *at->servers[i]);
        });
    if (!server) {
      ready.set_value(fail(std::move(server).error().within("vault.listen " + endpoint.str())));
      return;
    }
    bound.push_back((*server)->local());
    state.servers.push_back(std::move(*server));
  }
  loop_ = &loop;
  state_ = &state;
  ready.set_value(std::move(bound));
  loop.run();
}

void VaultWorker::publish(std::shared_ptr<const vault::Snapshot> snapshot) {
  loop_->post([this, s = std::move(snapshot)]() mutable {
    state_->front.publish(s);
    state_->broker.publish(std::move(s));
  });
}

void VaultWorker::publish(std::shared_ptr<const vault::KeyBook> book, UniqueFunction<void()> done) {
  loop_->post([this, b = std::move(book), d = std::move(done)]() mutable {
    state_->front.publish(b);
    state_->broker.publish(std::move(b));
    d();
  });
}

void VaultWorker::drain(Millis grace) {
  if (loop_ == nullptr) return;
  loop_->post([this, grace] { loop_->tasks().start(drain_all(&state_->servers, grace, loop_)); });
}

void VaultWorker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace octroi::app
