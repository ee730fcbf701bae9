#include "octroi/app/worker.h"

#include <utility>

#include "octroi/app/price_sources.h"
#include "octroi/app/upstreams.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {
/// Of a request body, over ten seconds: slower than any line, faster than who only holds us up.
constexpr std::size_t kLeastBodyRate = 32;
}  // namespace


struct Worker::State {
  State(net::Loop& loop, std::size_t turn, MetricRegistry& metrics)
      : upstreams(loop, turn), prices(loop, metrics) {}
  Upstreams upstreams;
  PriceSources prices;
  std::unique_ptr<paywall::Gate> gate;
  std::vector<std::unique_ptr<http::Server>> servers;
};

namespace {

Task<void> drain_all(std::vector<std::unique_ptr<http::Server>>* servers, Millis grace,
                     net::Loop* loop) {
  TaskGroup group;
  for (auto& server : *servers) group.start(server->drain(grace));
  co_await group.join();
  loop->stop();
}

}  // namespace

Worker::Worker(WorkerOptions options, paywall::Shared& shared,
               std::shared_ptr<const paywall::Snapshot> snapshot,
               std::shared_ptr<const l402::RevocationSet> revoked)
    : options_(std::move(options)),
      shared_(shared),
      snapshot_(std::move(snapshot)),
      revoked_(std::move(revoked)) {}

Worker::~Worker() { join(); }

Result<std::vector<net::Endpoint>> Worker::start() {
  std::promise<Result<std::vector<net::Endpoint>>> ready;
  auto outcome = ready.get_future();
  thread_ = std::thread([this, p = std::move(ready)]() mutable { run(std::move(p)); });
  auto bound = outcome.get();
  if (!bound) join();
  return bound;
}

void Worker::run(std::promise<Result<std::vector<net::Endpoint>>> ready) {
  net::Loop loop;
  State state(loop, static_cast<std::size_t>(options_.index), shared_.metrics);
  state.upstreams.publish(*snapshot_);
  state.prices.publish(snapshot_->settings);
  state.gate = std::make_unique<paywall::Gate>(shared_, state.upstreams, std::move(snapshot_),
                                               std::move(revoked_), &state.prices);
  std::vector<net::Endpoint> bound;
  for (const auto& endpoint : options_.listen) {
    http::ServerConfig config;
    config.listen = endpoint;
    config.tls = options_.tls;
    config.limits = options_.limits;
    config.limits.min_bytes_per_second = kLeastBodyRate;
    auto server = http::listen(
        loop, config, [gate = state.gate.get()](http::Exchange& e) { return gate->handle(e); });
    if (!server) {
      ready.set_value(fail(std::move(server).error().within("listen " + endpoint.str())));
      return;
    }
    bound.push_back((*server)->local());
    state.servers.push_back(std::move(*server));
  }
  {
    const std::lock_guard lock(mutex_);
    loop_ = &loop;
  }
  state_ = &state;
  ready.set_value(std::move(bound));
  loop.run();
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

void Worker::post(UniqueFunction<void()> work, UniqueFunction<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) {
      loop_->post([w = std::move(work), d = std::move(done)]() mutable {
        w();
        if (d) d();
      });
      return;
    }
  }
  if (done) done();  // there is no next request
}

void Worker::publish(std::shared_ptr<const paywall::Snapshot> snapshot,
                     UniqueFunction<void()> done) {
  post(
      [this, s = std::move(snapshot)]() mutable {
        state_->upstreams.publish(*s);
        state_->prices.publish(s->settings);
        state_->gate->publish(std::move(s));
      },
      std::move(done));
}

void Worker::publish(std::shared_ptr<const l402::RevocationSet> revoked,
                     UniqueFunction<void()> done) {
  post([this, r = std::move(revoked)]() mutable { state_->gate->publish(std::move(r)); },
       std::move(done));
}

void Worker::set_tls(std::shared_ptr<const net::TlsServerContext> tls) {
  post([this, t = std::move(tls)] {
    for (auto& server : state_->servers) server->set_tls(t);
  });
}

void Worker::drain(Millis grace) {
  post([this, grace] {
    net::Loop& loop = *net::Loop::current();
    loop.tasks().start(drain_all(&state_->servers, grace, &loop));
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace octroi::app
