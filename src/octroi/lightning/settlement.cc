#include "octroi/lightning/settlement.h"

#include <charconv>
#include <optional>
#include <string>

#include "octroi/base/log.h"

namespace octroi::lightning {
namespace {

constexpr Millis kFirstRetry{200};
constexpr Millis kLongestRetry{10'000};
constexpr Millis kKeepIndexEvery{1'000};

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

struct SettlementTracker::Impl : std::enable_shared_from_this<SettlementTracker::Impl> {
  Impl(net::Loop& control_loop, Node& the_node, ledger::Store& the_store, NodeHealth& the_health,
       Clock& the_clock, std::function<void(const PaymentHash&)> when_settled)
      : control(control_loop),
        node(the_node),
        store(the_store),
        health(the_health),
        clock(the_clock),
        on_settled(std::move(when_settled)) {}

  /// For ever: connect, follow, wait, connect again.
  Task<void> follow() {
    while (true) {
      auto ended = co_await follow_once();
      if (!ended) {
        health.bad(ended.error());
      } else {
        health.bad(Error(Errc::unavailable, "the subscription ended"));
      }
      co_await control.sleep(backoff.next());
    }
  }

  Task<Result<>> follow_once() {
    OCTROI_CO_TRY(const NodeInfo info, co_await node.info());
    health.good();
    OCTROI_CO_CHECK(co_await load_index(info));
    co_return co_await node.subscribe(index,
                                      [this](InvoiceStatus status) { return settled(status); });
  }

  /// Another node counts its own settlements: the index belongs to the node's key.
  Task<Result<>> load_index(NodeInfo info) {
    const std::string name = "lightning.settle_index." + info.public_key;
    if (name == index_name) co_return Result<>{};
    OCTROI_CO_TRY(const std::optional<std::string> stored, co_await store.get_value(name));
    index = stored ? parse_index(*stored).value_or(0) : 0;
    kept_index = index;
    index_name = name;
    co_return Result<>{};
  }

  Task<void> settled(InvoiceStatus status) {
    health.good();
    backoff.reset();
    // The node tells it once: wait for the store rather than lose it.
    Backoff store_backoff(kFirstRetry, kLongestRetry);
    while (true) {
      auto known = co_await store.settle(status.hash, status.settled.value_or(clock.now()));
      if (known) {
        if (*known && on_settled) on_settled(status.hash);
        break;
      }
      OCTROI_LOG(warn, "lightning", "a settlement cannot be stored; retrying",
                 {{"reason", known.error().message()}});
      co_await control.sleep(store_backoff.next());
    }
    if (status.settle_index > index) index = status.settle_index;
  }

  Task<void> keep_index() {
    while (true) {
      co_await control.sleep(kKeepIndexEvery);
      if (index == kept_index) continue;
      const std::uint64_t keep = index;
      auto kept = co_await store.put_value(index_name, std::to_string(keep));
      if (kept) kept_index = keep;
    }
  }

  Task<void> look_up(PaymentHash hash, net::Remote<Result<bool>>::Giver give) {
    auto status = co_await node.lookup_invoice(hash);
    if (status) {
      health.good();
      give(status->state == InvoiceState::settled);
    } else if (status.error().is(Errc::not_found)) {
      give(false);
    } else {
      give(fail(Errc::unavailable, std::string(status.error().message())));
    }
  }

  /// Whichever gives first counts.
  Task<void> give_up(Millis deadline, net::Remote<Result<bool>>::Giver give) {
    co_await control.sleep(deadline);
    give(fail(Errc::unavailable, "lightning node: it did not answer in time"));
  }

  Task<void> look_up_until(PaymentHash hash, Millis deadline,
                           net::Remote<Result<bool>>::Giver give) {
    TaskGroup timer;
    timer.start(give_up(deadline, give));
    co_await look_up(hash, std::move(give));
  }

  net::Loop& control;
  Node& node;
  ledger::Store& store;
  NodeHealth& health;
  Clock& clock;
  std::function<void(const PaymentHash&)> on_settled;
  std::string index_name;
  std::uint64_t index = 0;
  std::uint64_t kept_index = 0;
  Backoff backoff{kFirstRetry, kLongestRetry};
  TaskGroup tasks;
};

SettlementTracker::SettlementTracker(net::Loop& control, Node& node, ledger::Store& store,
                                     NodeHealth& health, Clock& clock,
                                     std::function<void(const PaymentHash&)> on_settled)
    : impl_(std::make_shared<Impl>(control, node, store, health, clock, std::move(on_settled))) {}

SettlementTracker::~SettlementTracker() { impl_->tasks.cancel(); }

void SettlementTracker::start() {
  impl_->tasks.start(impl_->follow());
  impl_->tasks.start(impl_->keep_index());
}

Task<Result<bool>> SettlementTracker::is_settled(PaymentHash hash, Millis deadline) {
  net::Remote<Result<bool>> answer(*net::Loop::current());
  impl_->control.post(
      [weak = std::weak_ptr<Impl>(impl_), hash, deadline, give = answer.giver()]() mutable {
        if (auto impl = weak.lock())
          impl->tasks.start(impl->look_up_until(hash, deadline, std::move(give)));
      });
  co_return co_await answer.get();
}

}  // namespace octroi::lightning
