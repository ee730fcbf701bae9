// octroi/app/worker.h: one worker: a thread, its loop, its listeners, its upstream connections and
// its gate. A connection never leaves the worker that accepted it.
//
// Thread  start, publish, drain and join are called by the control thread.
#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "octroi/http/client.h"
#include "octroi/http/server.h"
#include "octroi/paywall/gate.h"

namespace octroi::app {

struct WorkerOptions {
  int index = 0;
  std::vector<net::Endpoint> listen;
  std::shared_ptr<const net::TlsServerContext> tls;
  http::ServerLimits limits;
};

class Worker {
 public:
  Worker(WorkerOptions options, paywall::Shared& shared,
         std::shared_ptr<const paywall::Snapshot> snapshot,
         std::shared_ptr<const l402::RevocationSet> revoked);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Binds and starts serving; the addresses that were bound, or why not.
  [[nodiscard]] Result<std::vector<net::Endpoint>> start();

  /// `done` is called on the worker's thread once its next request will be served by it.
  void publish(std::shared_ptr<const paywall::Snapshot> snapshot, UniqueFunction<void()> done = {});
  /// `done` is called on the worker's thread once its next request will see the set.
  void publish(std::shared_ptr<const l402::RevocationSet> revoked, UniqueFunction<void()> done);
  void set_tls(std::shared_ptr<const net::TlsServerContext> tls);

  /// Lets requests in flight end, then stops the loop.
  void drain(Millis grace);
  void join();

 private:
  struct State;  // lives on the worker's thread
  void run(std::promise<Result<std::vector<net::Endpoint>>> ready);

  WorkerOptions options_;
  paywall::Shared& shared_;
  std::shared_ptr<const paywall::Snapshot> snapshot_;
  std::shared_ptr<const l402::RevocationSet> revoked_;
  /// `done` also when the worker has ended, and nothing comes of it.
  void post(UniqueFunction<void()> work, UniqueFunction<void()> done = {});

  std::mutex mutex_;
  net::Loop* loop_ = nullptr;  // under the mutex; null before start() and after the last request
  State* state_ = nullptr;
  std::thread thread_;
};

}  // namespace octroi::app
