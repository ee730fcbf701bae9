#include "octroi/lightning/pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "octroi/base/log.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/lightning/invoice_check.h"

namespace octroi::lightning {
namespace {

constexpr Millis kTick{200};
constexpr Millis kCrowdedIdle{1'000};  // with too many lists none is kept for long
constexpr Millis kFirstRetry{200};
constexpr Millis kLongestRetry{10'000};

using Key = std::pair<Msat, std::string>;  // amount and memo
using Answer = net::Remote<Result<Invoice>>;

/// How often something happened in the last minute, by the second.
class LastMinute {
 public:
  void add(UnixMillis now) {
    forget_until(now.seconds());
    ++counts_[slot(second_)];
    ++total_;
  }
  [[nodiscard]] std::int64_t total(UnixMillis now) {
    forget_until(now.seconds());
    return total_;
  }

 private:
  static constexpr std::int64_t kSlots = 60;
  static std::size_t slot(std::int64_t second) { return static_cast<std::size_t>(second % kSlots); }
  void forget_until(std::int64_t now) {
    if (now <= second_) return;  // also a clock that was set back
    const std::int64_t steps = std::min(now - second_, kSlots);
    for (std::int64_t i = 1; i <= steps; ++i)
      total_ -= std::exchange(counts_[slot(second_ + i)], 0);
    if (steps == kSlots) {
      counts_.fill(0);
      total_ = 0;
    }
    second_ = now;
  }
  std::array<std::int64_t, kSlots> counts_{};
  std::int64_t second_ = 0;
  std::int64_t total_ = 0;
};

struct Waiter {
  Answer::Giver give;
  UnixMillis deadline;
};

/// The invoices of one amount and memo.
struct List {
  std::deque<Invoice> ready;   // oldest first
  std::deque<Waiter> waiters;  // who found it dry
  LastMinute taken;
  UnixMillis last_use;
  bool filling = false;  // a batch is being made
};

}  // namespace

struct InvoicePool::Impl : std::enable_shared_from_this<InvoicePool::Impl> {
  Impl(net::Loop& control_loop, Node& the_node, ledger::Store& the_store, NodeHealth& the_health,
       Clock& the_clock, MetricRegistry& metrics, PoolOptions the_options)
      : control(control_loop),
        node(the_node),
        store(the_store),
        health(the_health),
        clock(the_clock),
        options(std::move(the_options)),
        depth(metrics.gauge("octroi_invoice_pool", "Invoices made and not yet shown to anybody")),
        created(metrics.counter("octroi_invoices_created_total",
                                "Invoices that the node made for us")) {}

  // --- any thread -------------------------------------------------------------------------------

  /// A ready invoice, or nothing when the taker has to wait and was queued.
  Result<std::optional<Invoice>> take_or_wait(const Key& key, Answer& answer, bool demand) {
    const UnixMillis now = clock.now();
    bool wake = false;
    Result<std::optional<Invoice>> out;
    {
      const std::lock_guard lock(mutex);
      if (stopped) return fail(Errc::unavailable, "invoice pool: shutting down");
      List& list = lists[key];
      list.last_use = now;
      drop_old(list, now);
      if (!list.ready.empty()) {
        out = std::optional<Invoice>(std::move(list.ready.front()));
        list.ready.pop_front();
        depth.add(-1);
        if (demand) list.taken.add(now);
      } else if (now < retry_at) {
        return fail(Errc::unavailable,
                    "lightning node: not reachable just now; try again in a few seconds");
      } else {
        if (demand) list.taken.add(now);
        list.waiters.push_back({answer.giver(), now + options.deadline});
      }
      wake = wants(list, now) > 0 && !list.filling;
      if (wake) list.filling = true;
    }
    if (wake) start_fill(key);
    return out;
  }

  void put_back(const Key& key, Invoice invoice) {
    const std::lock_guard lock(mutex);
    if (stopped) return;
    List& list = lists[key];
    hand_out(list, std::move(invoice), /*front=*/true);
  }

  // --- under the mutex ------------------------------------------------------------------------

  void drop_old(List& list, UnixMillis now) {
    while (!list.ready.empty() && now - list.ready.front().created >= options.max_age) {
      list.ready.pop_front();
      depth.add(-1);
    }
  }

  /// How many invoices should be asked of the node for this list now.
  std::int64_t wants(List& list, UnixMillis now) {
    const auto waiting = static_cast<std::int64_t>(list.waiters.size());
    const auto ready_now = static_cast<std::int64_t>(list.ready.size());
    const bool crowded = lists.size() > options.max_lists;
    const std::int64_t target = crowded ? 0 : std::min(options.size, list.taken.total(now));
    // In batches: a list is topped up once it is half empty, not after every taker; then to the
    // top.
    const bool low = list.filling || waiting > 0 || ready_now * 2 <= target;
    return waiting + (low ? std::max<std::int64_t>(target - ready_now, 0) : 0);
  }

  void hand_out(List& list, Invoice invoice, bool front) {
    if (!list.waiters.empty()) {
      Waiter waiter = std::move(list.waiters.front());
      list.waiters.pop_front();
      waiter.give(std::move(invoice));
      return;
    }
    if (front) {
      list.ready.push_front(std::move(invoice));
    } else {
      list.ready.push_back(std::move(invoice));
    }
    depth.add(1);
  }

  static void refuse_all(List& list, const Error& error) {
    while (!list.waiters.empty()) {
      Waiter waiter = std::move(list.waiters.front());
      list.waiters.pop_front();
      waiter.give(fail(Error(error)));
    }
  }

  // --- the control loop -------------------------------------------------------------------------

  void start_fill(const Key& key) {
    control.post([weak = weak_from_this(), key] {
      if (auto self = weak.lock(); self && !self->is_stopped()) self->tasks.start(self->fill(key));
    });
  }

  bool is_stopped() {
    const std::lock_guard lock(mutex);
    return stopped;
  }

  /// Makes batches for one list until it has what it wants or something fails.
  Task<void> fill(Key key) {
    while (true) {
      const int count = next_batch(key);
      if (count == 0) co_return;
      auto made = co_await make(key, count);
      if (!made) {
        failed(key, made.error());
        co_return;
      }
      succeeded(key, *std::move(made));
    }
  }

  int next_batch(const Key& key) {
    const std::lock_guard lock(mutex);
    auto found = lists.find(key);
    if (found == lists.end()) return 0;
    const UnixMillis now = clock.now();
    drop_old(found->second, now);
    const std::int64_t wanted = wants(found->second, now);
    if (wanted == 0) found->second.filling = false;
    return static_cast<int>(std::min<std::int64_t>(wanted, options.max_batch));
  }

  Task<Result<>> meet_node() {
    OCTROI_CO_TRY(const NodeInfo info, co_await node.info());
    {
      const std::lock_guard lock(mutex);
      node_key = info.public_key;
    }
    network.store(static_cast<int>(info.network));
    co_return Result<>{};
  }

  /// Who has nothing to sell yet may have to judge an invoice already, after a restart.
  Task<void> meet_node_in_time() {
    Backoff wait(kFirstRetry, kLongestRetry);
    while (!known_network()) {
      auto known = co_await meet_node();
      if (!known) co_await control.sleep(wait.next());
    }
  }

  Task<Result<std::vector<Invoice>>> make(Key key, int count) {
    if (!known_network()) {
      auto known = co_await meet_node();
      if (!known) {
        health.bad(known.error());
        co_return fail(std::move(known).error());
      }
    }
    const auto expiry =
        std::chrono::duration_cast<Seconds>(options.challenge_ttl + options.max_age);
    auto made = co_await node.add_invoices(
        {.amount = key.first, .memo = key.second, .expiry = expiry}, count);
    if (!made) {
      health.bad(made.error());
      co_return fail(std::move(made).error());
    }
    health.good();
    created.add(static_cast<std::int64_t>(made->size()));
    for (const Invoice& invoice : *made) OCTROI_CO_CHECK(check(invoice, key.first));
    // On record before anybody sees them: a proof over a hash that is not there is worth nothing.
    auto recorded = co_await store.record_invoices(records_of(*made));
    if (!recorded) co_return fail(std::move(recorded).error());
    co_return made;
  }

  [[nodiscard]] Result<> check(const Invoice& invoice, Msat amount) const {
    auto checked =
        check_invoice(invoice.bolt11, {.amount = amount,
                                       .hash = invoice.hash,
                                       .network = known_network(),
                                       .payable_at = clock.now() + options.challenge_ttl});
    if (!checked)
      return fail(Errc::bad_answer, "lightning node: " + std::string(checked.error().message()));
    return {};
  }

  static std::vector<ledger::InvoiceRecord> records_of(const std::vector<Invoice>& invoices) {
    std::vector<ledger::InvoiceRecord> out;
    out.reserve(invoices.size());
    for (const Invoice& invoice : invoices) {
      out.push_back({.hash = invoice.hash,
                     .amount = invoice.amount,
                     .created = invoice.created,
                     .expires = invoice.expires,
                     .node_index = invoice.index});
    }
    return out;
  }

  void failed(const Key& key, const Error& error) {
    OCTROI_LOG(warn, "lightning", "no invoices could be made",
               {{"code", error.code()}, {"reason", error.message()}});
    const std::lock_guard lock(mutex);
    const Millis wait = backoff.next();
    retry_at = clock.now() + wait;
    List& list = lists[key];
    list.filling = false;
    refuse_all(list, Error(Errc::unavailable, std::string(error.message())));
  }

  void succeeded(const Key& key, std::vector<Invoice> made) {
    const std::lock_guard lock(mutex);
    backoff.reset();
    retry_at = {};
    List& list = lists[key];
    for (Invoice& invoice : made) hand_out(list, std::move(invoice), /*front=*/false);
  }

  Task<void> upkeep() {
    while (true) {
      for (const Key& key : tend()) tasks.start(fill(key));
      co_await control.sleep(kTick);
    }
  }

  /// Ends waits that took too long, drops what is old, and tells which lists to fill.
  std::vector<Key> tend() {
    const UnixMillis now = clock.now();
    std::vector<Key> to_fill;
    const std::lock_guard lock(mutex);
    const Millis idle = lists.size() > options.max_lists ? kCrowdedIdle : options.idle;
    for (auto it = lists.begin(); it != lists.end();) {
      List& list = it->second;
      while (!list.waiters.empty() && now >= list.waiters.front().deadline) {
        Waiter waiter = std::move(list.waiters.front());
        list.waiters.pop_front();
        waiter.give(fail(Errc::unavailable, "lightning node: it gave no invoice in time"));
      }
      drop_old(list, now);
      const bool unwanted = list.ready.empty() && list.taken.total(now) == 0;
      if (!list.filling && list.waiters.empty() && (unwanted || now - list.last_use >= idle)) {
        depth.add(-static_cast<std::int64_t>(list.ready.size()));
        it = lists.erase(it);
        continue;
      }
      if (!list.filling && now >= retry_at && wants(list, now) > 0) {
        list.filling = true;
        to_fill.push_back(it->first);
      }
      ++it;
    }
    return to_fill;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
      for (auto& [key, list] : lists)
        refuse_all(list, Error(Errc::unavailable, "invoice pool: shutting down"));
      lists.clear();
    }
    tasks.cancel();
    depth.set(0);
  }

  [[nodiscard]] std::optional<Network> known_network() const {
    const int value = network.load();
    return value < 0 ? std::nullopt : std::optional(static_cast<Network>(value));
  }

  net::Loop& control;
  Node& node;
  ledger::Store& store;
  NodeHealth& health;
  Clock& clock;
  const PoolOptions options;
  Gauge& depth;
  Counter& created;
  std::atomic<int> network{-1};

  std::mutex mutex;  // guards what follows; never held across a co_await
  std::map<Key, List> lists;
  std::string node_key;  // empty until the node was reached
  UnixMillis retry_at;
  Backoff backoff{kFirstRetry, kLongestRetry};
  bool stopped = false;

  TaskGroup tasks;  // the control loop's
};

InvoicePool::InvoicePool(net::Loop& control, Node& node, ledger::Store& store, NodeHealth& health,
                         Clock& clock, MetricRegistry& metrics, PoolOptions options)
    : impl_(std::make_shared<Impl>(control, node, store, health, clock, metrics,
                                   std::move(options))) {}

InvoicePool::~InvoicePool() { impl_->stop(); }

void InvoicePool::start() {
  impl_->tasks.start(impl_->upkeep());
  impl_->tasks.start(impl_->meet_node_in_time());
}

Task<Result<Invoice>> InvoicePool::take(Msat amount, std::string memo) {
  return take_from(impl_, Key(amount, std::move(memo)), true);
}

Task<Result<Invoice>> InvoicePool::take_once(Msat amount, std::string memo) {
  return take_from(impl_, Key(amount, std::move(memo)), false);
}

Task<Result<Invoice>> InvoicePool::take_from(std::shared_ptr<Impl> impl,
                                             std::pair<Msat, std::string> key, bool demand) {
  Answer answer(*net::Loop::current());
  auto taken = impl->take_or_wait(key, answer, demand);
  if (!taken) co_return fail(std::move(taken).error());
  if (*taken) co_return **std::move(taken);
  co_return co_await answer.get();
}

void InvoicePool::give_back(Invoice invoice) {
  // The memo is in the invoice itself; this is rare enough to read it there.
  auto decoded = bolt11::decode(invoice.bolt11);
  if (!decoded || !decoded->description) return;
  Key key(invoice.amount, *decoded->description);
  impl_->put_back(key, std::move(invoice));
}

std::optional<Network> InvoicePool::network() const { return impl_->known_network(); }

std::optional<std::string> InvoicePool::node_key() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->node_key.empty() ? std::nullopt : std::optional(impl_->node_key);
}

std::size_t InvoicePool::ready() const {
  const std::lock_guard lock(impl_->mutex);
  std::size_t total = 0;
  for (const auto& [key, list] : impl_->lists) total += list.ready.size();
  return total;
}

}  // namespace octroi::lightning
