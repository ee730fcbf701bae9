// octroi/adapters/sim/worker.h: the one thread on which a node's SQLite calls block, so that no
// loop ever does. Internal to the adapter.
//
// Thread  submit from any; jobs run one after the other on the worker's own thread. Destroying it
//         finishes the jobs that were submitted, then joins.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "octroi/adapters/sim/network.h"
#include "octroi/base/function.h"

namespace octroi::sim {

class Worker {
 public:
  using Job = UniqueFunction<void(Network&)>;
  explicit Worker(Network network);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void submit(Job job);

 private:
  void run();
  Network network_;  // the worker thread's
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace octroi::sim
