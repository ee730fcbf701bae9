// octroi/adapters/redis/shared_state.h: ledger::SharedState and NewsWire in a Redis that replicas
// share (version 5 or newer, Valkey, or a cluster of them).
//
// Failing   while Redis cannot be reached, or does not answer within the deadline, operations
//           answer SharedErrc::unavailable at once; the connection is made again by itself.
// Memory    Redis may forget (a flush, a restart, another server). An epoch in Redis, whose number
//           the ledger remembers, tells: a new epoch is begun, buckets start empty, and every
//           replica tells its unpaid places again before it goes on.
// News      over a second connection that only listens. Whatever was said while it was gone is
//           missed, and `missed` says so when it is back.
// Thread    run() and what it does: the loop's. The port's operations, tell(), up(): any; they end
//           when the loop does.
// Source    architecture 3.6.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "octroi/adapters/redis/connection.h"
#include "octroi/adapters/redis/hop.h"
#include "octroi/adapters/redis/options.h"
#include "octroi/adapters/redis/scripts.h"
#include "octroi/base/metrics.h"
#include "octroi/base/random.h"
#include "octroi/ledger/news.h"
#include "octroi/ledger/shared_state.h"
#include "octroi/ledger/store.h"
#include "octroi/net/tls.h"

namespace octroi::redis {

struct Hearing {
  /// On the state's loop.
  std::function<void(const ledger::News&)> heard;
  /// Something may have been said that was not heard.
  std::function<void()> missed;
  /// What this replica has out, to be told again after Redis forgot it.
  std::function<std::vector<ledger::UnpaidPlace>()> places;
};

class RedisState final : public ledger::SharedState, public ledger::NewsWire {
 public:
  /// Everything referred to must outlive it, the loop too. `store` is the ledger that replicas
  /// share.
  RedisState(net::Loop& loop, RedisOptions options, ledger::Store& store, Random& random,
             MetricRegistry& metrics, Hearing hearing);
  ~RedisState() override;

  /// Connects and stays connected until it is cancelled. On the loop.
  Task<void> run();

  Task<Result<ledger::Room>> take_rates(std::vector<ledger::RateBucket> buckets) override;
  Task<Result<ledger::Room>> reserve_unpaid(ledger::UnpaidPlace place, std::int64_t max) override;
  void attach_unpaid(ledger::UnpaidPlace place) override;
  void release_unpaid(ledger::UnpaidPlace place) override;
  void settle_unpaid(PaymentHash hash) override;
  [[nodiscard]] Result<> up() const override;
  void tell(const ledger::News& news) override;

 private:
  struct Epoch {
    std::string text;
    std::int64_t number = 0;
    std::string born;
  };
  /// A script with what is behind the epoch; keys without the prefix.
  struct Job {
    Script script = Script::take_rates;
    std::vector<std::string> keys;
    std::vector<std::string> words;
    bool with_born = false;
  };
  using Answer = Result<Reply>;

  Task<Result<ledger::Room>> room_of(Job job);
  Task<Answer> ask(Job job);
  void post(Job job);

  // --- on the loop
  Task<void> serve(Job job, Hop<Answer>::Giver give);
  Task<void> serve_unheard(Job job);
  Task<Answer> run_job(Job job);
  Task<Answer> run_script(Script script, std::vector<std::string> keys,
                          std::vector<std::string> words);
  Task<void> keep_connected();
  Task<Error> one_life();
  Task<void> keep_listening();
  Task<Error> one_listening();
  Task<Result<std::unique_ptr<net::Stream>>> dial();
  Task<Result<>> introduce(Connection* connection);
  Task<Result<>> log_in(Connection* connection);
  Task<void> look_at_memory(Connection* connection);
  Task<Result<>> claim_epoch(std::string lost);
  Task<Result<>> begin_epoch();
  Task<Result<>> restore_places();
  Task<void> beat();
  void hear(const Reply& message);
  void set_up(bool up, const std::optional<Error>& why);
  [[nodiscard]] std::string prefix() const { return "octroi:{" + name_ + "}:"; }
  [[nodiscard]] std::string epoch_key() const { return prefix() + "epoch"; }
  [[nodiscard]] std::string channel() const { return prefix() + "news"; }
  [[nodiscard]] std::string key_of(const std::string& rest) const;
  void moved(std::string_view where);

  net::Loop& loop_;
  const RedisOptions options_;
  ledger::Store& store_;
  Random& random_;
  const Hearing hearing_;
  Gauge& is_up_;
  Counter& forgotten_;
  std::array<Histogram*, kScripts> seconds_{};
  Counter& errors_;

  std::shared_ptr<const net::TlsClientContext> tls_;
  std::string name_;  // of the deployment, from the ledger
  std::optional<std::pair<std::string, std::uint16_t>> moved_to_;  // by a cluster
  Connection* current_ = nullptr;
  std::array<std::string, kScripts> digests_;
  std::optional<Epoch> epoch_;
  Semaphore epoch_turn_{1};
  bool warned_ = false;

  mutable std::mutex mutex_;
  bool up_ = false;  // under the mutex, as is
  std::string why_;
  std::atomic<bool> answers_{false};  // the same as up_, for who only asks that

  // Declared last: what they use outlives them.
  TaskGroup jobs_;
};

}  // namespace octroi::redis
