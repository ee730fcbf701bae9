// octroi/app/replicas.h: what this process shares with others of the same ledger beyond it: news
// (a revocation, money for a session), how fresh its copy of the revocations is, and the counters
// in Redis where `shared:` names one.
//
// A PostgreSQL ledger is looked at every 50 ms for revocations; LISTEN/NOTIFY or Redis only makes
// that sooner. The copy is fresh as long as such a look found what is published here.
//
// Thread   made, stopped and asked by the control thread; has two threads of its own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "octroi/adapters/postgres/listener.h"
#include "octroi/adapters/redis/shared_state.h"
#include "octroi/admin/api.h"
#include "octroi/base/metrics.h"
#include "octroi/config/model.h"
#include "octroi/ledger/news.h"
#include "octroi/ledger/store.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/freshness.h"
#include "octroi/paywall/limits.h"
#include "octroi/paywall/session_bell.h"

namespace octroi::app {

class Replicas {
 public:
  struct Wiring {
    net::Loop& control;
    ledger::Store& store;
    MetricRegistry& metrics;
    paywall::UnpaidBound& unpaid;
    paywall::SessionBell& bell;
    /// Reads the revocations and returns once every worker refuses them.
    std::function<Task<Result<>>()> reload;
  };
  /// Before any worker starts. Everything in the wiring must outlive it.
  Replicas(const config::Config& config, Wiring wiring);
  ~Replicas();
  Replicas(const Replicas&) = delete;
  Replicas& operator=(const Replicas&) = delete;

  /// Null without `shared:`.
  [[nodiscard]] ledger::SharedState* state() { return redis_ ? &*redis_ : nullptr; }
  /// Null where no other process writes to the ledger.
  [[nodiscard]] const paywall::Freshness* fresh() const { return listener_ ? &fresh_ : nullptr; }
  /// Any thread.
  void tell(const ledger::News& news);
  [[nodiscard]] std::vector<admin::Check> checks();

 private:
  void start_redis(const config::SharedSettings& settings);
  void start_listener(const config::Config& config);
  void looked(const postgres::Listener::Look& look);
  /// True: it is about what is looked at.
  bool heard(const ledger::News& news);
  void look();
  Task<void> reload(std::optional<std::string> value);
  static Task<Result<>> check_redis(Replicas* self);
  static Task<Result<>> check_fresh(Replicas* self);

  const Wiring wiring_;
  paywall::Freshness fresh_;

  std::mutex mutex_;
  bool reloading_ = false;  // under the mutex, as are
  bool published_any_ = false;
  std::optional<std::string> published_;  // the value that stands for what the workers know

  net::Loop redis_loop_;
  std::optional<redis::RedisState> redis_;
  std::thread redis_thread_;
  std::unique_ptr<postgres::Listener> listener_;
  TaskGroup reloads_;  // on the control loop
};

}  // namespace octroi::app
