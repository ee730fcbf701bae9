// octroi/app/vault_worker.h: one worker of the vault door: a thread, its loop, its listeners, its
// connections to vendors and its broker.
//
// Thread  start, publish, drain and join are called by the control thread.
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "octroi/http/server.h"
#include "octroi/vault/broker.h"
#include "octroi/vault/front.h"

namespace octroi::app {

class VaultWorker {
 public:
  VaultWorker(std::vector<net::Endpoint> listen, vault::Shared& shared,
              std::shared_ptr<const vault::Snapshot> snapshot,
              std::shared_ptr<const vault::KeyBook> book,
              std::shared_ptr<const net::TlsAuthority> authority);
  ~VaultWorker();
  VaultWorker(const VaultWorker&) = delete;
  VaultWorker& operator=(const VaultWorker&) = delete;

  /// Binds and starts serving; the addresses that were bound, or why not.
  [[nodiscard]] Result<std::vector<net::Endpoint>> start();

  void publish(std::shared_ptr<const vault::Snapshot> snapshot);
  /// `done` is called on the worker's thread once its next request will see the book.
  void publish(std::shared_ptr<const vault::KeyBook> book, UniqueFunction<void()> done);

  /// Lets requests in flight end, then stops the loop.
  void drain(Millis grace);
  void join();

 private:
  struct State;  // lives on the worker's thread
  void run(std::promise<Result<std::vector<net::Endpoint>>> ready);

  std::vector<net::Endpoint> listen_;
  vault::Shared& shared_;
  std::shared_ptr<const vault::Snapshot> snapshot_;
  std::shared_ptr<const vault::KeyBook> book_;
  std::shared_ptr<const net::TlsAuthority> authority_;
  net::Loop* loop_ = nullptr;  // set before start() returns, valid until join()
  State* state_ = nullptr;
  std::thread thread_;
};

}  // namespace octroi::app
