#include "octroi/adapters/sim/sim_node.h"

#include "octroi/adapters/sim/network.h"
#include "octroi/adapters/sim/worker.h"

namespace octroi::sim {
namespace {

using lightning::Errc;

constexpr Millis kPollInterval{50};

/// What a caller gets instead of the answer.
tl::unexpected<Error> spoiled(FaultKind kind, Operation operation) {
  const bool pay = operation == Operation::pay;
  switch (kind) {
    case FaultKind::unavailable:
      return fail(Errc::unavailable, "sim: the node cannot be reached");
    case FaultKind::fail:
      return pay ? fail(Errc::payment_failed, "sim: the payment failed, as told")
                 : fail(Errc::denied, "sim: the node refuses, as told");
    case FaultKind::delay:
    case FaultKind::lose_answer:
      return pay ? fail(Errc::payment_unknown, "sim: the answer was lost")
                 : fail(Errc::timeout, "sim: the answer was lost");
  }
  return fail(Errc::unavailable);
}

class SimNode final : public lightning::Node {
 public:
  SimNode(Network network, SimOptions options, Random& random, Clock& clock)
      : options_(std::move(options)), random_(random), clock_(clock), worker_(std::move(network)) {}

  Task<Result<lightning::NodeInfo>> info() override {
    auto key = co_await call<std::string>(Operation::info,
                                          [](Network& n, UnixMillis) { return n.public_key(); });
    if (!key) co_return fail(std::move(key).error());
    co_return lightning::NodeInfo{.backend = "sim",
                                  .version = "1",
                                  .alias = options_.account,
                                  .public_key = *std::move(key),
                                  .network = lightning::Network::regtest,
                                  .synced = true,
                                  .active_channels = 1};
  }

  Task<Result<lightning::Invoice>> add_invoice(lightning::InvoiceRequest request) override {
    auto made = co_await add_invoices(std::move(request), 1);
    if (!made) co_return fail(std::move(made).error());
    co_return std::move(made->front());
  }

  Task<Result<std::vector<lightning::Invoice>>> add_invoices(lightning::InvoiceRequest request,
                                                             int count) override {
    co_return co_await call<std::vector<lightning::Invoice>>(
        Operation::add_invoice,
        [request = std::move(request), count, &random = random_](Network& n, UnixMillis now) {
          return n.add_invoices(request, count, random, now);
        });
  }

  Task<Result<lightning::InvoiceStatus>> lookup_invoice(PaymentHash hash) override {
    co_return co_await call<lightning::InvoiceStatus>(
        Operation::lookup, [hash](Network& n, UnixMillis now) { return n.lookup(hash, now); });
  }

  Task<Result<>> subscribe(
      std::uint64_t settle_index,
      std::function<Task<void>(lightning::InvoiceStatus)> on_settled) override {
    while (true) {
      auto settled = co_await call<std::vector<lightning::InvoiceStatus>>(
          Operation::subscribe, [settle_index](Network& n, UnixMillis now) {
            return n.settled_after(settle_index, now);
          });
      if (!settled) co_return fail(std::move(settled).error());
      for (const lightning::InvoiceStatus& status : *settled) {
        settle_index = status.settle_index;
        co_await on_settled(status);
      }
      if (settled->empty()) co_await net::Loop::current()->sleep(kPollInterval);
    }
  }

  Task<Result<lightning::Payment>> pay(lightning::PayRequest request) override {
    auto fault = co_await next_fault(Operation::pay);
    if (!fault) co_return fail(std::move(fault).error());
    if (*fault && (*fault)->kind == FaultKind::unavailable)
      co_return spoiled(FaultKind::unavailable, Operation::pay);
    if (*fault && (*fault)->kind == FaultKind::fail) {
      auto noted = co_await submit<void>([request](Network& n, UnixMillis now) {
        return n.record_failure(request, "sim: the payment failed, as told", now);
      });
      if (!noted) co_return fail(std::move(noted).error());
      co_return spoiled(FaultKind::fail, Operation::pay);
    }

    const Millis delay = *fault && (*fault)->kind == FaultKind::delay ? (*fault)->delay : Millis(0);
    auto started = co_await submit<StartedPayment>([request, delay](Network& n, UnixMillis now) {
      return n.start_payment(request, delay, now);
    });
    if (!started) co_return co_await refused(std::move(request), std::move(started).error());
    if (*fault && (*fault)->kind == FaultKind::lose_answer)
      co_return spoiled(FaultKind::lose_answer, Operation::pay);
    co_return co_await finish(*started, request.timeout);
  }

  Task<Result<lightning::Payment>> track(PaymentHash hash) override {
    co_return co_await call<lightning::Payment>(
        Operation::track, [hash](Network& n, UnixMillis now) { return n.track(hash, now); });
  }

  Task<Result<Msat>> balance() override {
    co_return co_await call<Msat>(Operation::balance,
                                  [](Network& n, UnixMillis now) { return n.balance(now); });
  }

 private:
  /// Runs `work` on the worker's thread and resumes on the loop that asked.
  template <class T, class Work>
  Task<Result<T>> submit(Work work) {
    net::Remote<Result<T>> answer(*net::Loop::current());
    worker_.submit([give = answer.giver(), work = std::move(work), &clock = clock_](
                       Network& network) mutable { give(work(network, clock.now())); });
    co_return co_await answer.get();
  }

  Task<Result<std::optional<Fault>>> next_fault(Operation operation) {
    co_return co_await submit<std::optional<Fault>>(
        [operation](Network& n, UnixMillis) { return n.take_fault(operation); });
  }

  /// As submit, with whatever fault is planned for the operation.
  template <class T, class Work>
  Task<Result<T>> call(Operation operation, Work work) {
    auto fault = co_await next_fault(operation);
    if (!fault) co_return fail(std::move(fault).error());
    if (*fault) {
      const FaultKind kind = (*fault)->kind;
      if (kind == FaultKind::unavailable || kind == FaultKind::fail)
        co_return spoiled(kind, operation);
      if (kind == FaultKind::delay) co_await net::Loop::current()->sleep((*fault)->delay);
    }
    Result<T> answer = co_await submit<T>(std::move(work));
    if (*fault && (*fault)->kind == FaultKind::lose_answer)
      co_return spoiled(FaultKind::lose_answer, operation);
    co_return answer;
  }

  /// Definite refusals for want of money or a route are remembered, so that track() can tell them.
  Task<Result<lightning::Payment>> refused(lightning::PayRequest request, Error error) {
    if (error.is(Errc::insufficient) || error.is(Errc::payment_failed)) {
      auto noted = co_await submit<void>(
          [request = std::move(request), reason = std::string(error.message())](
              Network& n, UnixMillis now) { return n.record_failure(request, reason, now); });
      if (!noted) co_return fail(std::move(noted).error());
    }
    co_return fail(std::move(error));
  }

  /// Waits until the money has arrived; when that takes too long the outcome is unknown.
  Task<Result<lightning::Payment>> finish(StartedPayment started, Seconds timeout) {
    net::Loop& loop = *net::Loop::current();
    const Millis deadline = loop.now() + timeout;
    while (true) {
      auto payment = co_await submit<lightning::Payment>(
          [hash = started.hash](Network& n, UnixMillis now) { return n.track(hash, now); });
      if (!payment)
        co_return fail(Errc::payment_unknown, "payment: sent, but its outcome cannot be read");
      if (payment->state == lightning::PaymentState::succeeded) co_return payment;
      if (loop.now() >= deadline)
        co_return fail(Errc::payment_unknown, "payment: still on its way; track it by its hash");
      co_await loop.sleep(kPollInterval);
    }
  }

  SimOptions options_;
  Random& random_;
  Clock& clock_;
  Worker worker_;
};

}  // namespace

Result<std::unique_ptr<lightning::Node>> make_sim_node(net::Loop&, SimOptions options,
                                                       Random& random, Clock& clock) {
  OCTROI_TRY(Network network, Network::open(options, random, clock.now()));
  return std::make_unique<SimNode>(std::move(network), std::move(options), random, clock);
}

Result<> set_fault(const std::string& file, const std::string& account, const Fault& fault) {
  OCTROI_TRY(Network network, Network::attach(file));
  return network.set_fault(account, fault);
}

Result<> clear_faults(const std::string& file, const std::string& account) {
  OCTROI_TRY(Network network, Network::attach(file));
  return network.clear_faults(account);
}

Result<NetworkTotals> read_totals(const std::string& file) {
  OCTROI_TRY(Network network, Network::attach(file));
  return network.totals();
}

Result<std::int64_t> count_invoices(const std::string& file, const std::string& account) {
  OCTROI_TRY(Network network, Network::attach(file));
  return network.count_invoices(account);
}

}  // namespace octroi::sim
