#include "octroi/app/lightning_stack.h"

#include <utility>

#include "octroi/adapters/lnd/lnd_node.h"
#include "octroi/adapters/sim/sim_node.h"
#include "octroi/app/runtime.h"
#include "octroi/lightning/health.h"
#include "octroi/lightning/pool.h"
#include "octroi/lightning/settlement.h"

namespace octroi::app {

Result<OpenedNode> open_node(net::Loop& loop, const config::LightningSettings& settings,
                             Random& random, Clock& clock) {
  OpenedNode opened;
  if (settings.backend == "sim") {
    sim::SimOptions options;
    options.file = settings.sim.file;
    options.account = settings.sim.account;
    options.initial = settings.sim.initial;
    options.fee_ppm = settings.sim.fee_ppm;
    OCTROI_TRY(opened.node, sim::make_sim_node(loop, std::move(options), random, clock));
    return opened;
  }
  if (settings.backend == "lnd") {
    lnd::LndOptions options;
    options.url = settings.lnd.url;
    options.macaroon = settings.lnd.macaroon;
    options.pay_macaroon = settings.lnd.pay_macaroon;
    options.tls_cert_pem = settings.lnd.tls_cert_pem;
    OCTROI_TRY(opened.node, lnd::make_lnd_node(loop, std::move(options)));
    return opened;
  }
  return fail(RuntimeErrc::unsupported, "lightning.backend: '" + settings.backend +
                                            "' is not available in this version; use sim or lnd");
}

namespace {

class Stack final : public LightningStack, paywall::InvoiceSource, paywall::SettlementCheck {
 public:
  Stack(net::Loop& loop, OpenedNode node, ledger::Store& store, MetricRegistry& metrics,
        Clock& clock, LightningOptions options)
      : loop_(loop),
        node_(std::move(node)),
        store_(store),
        clock_(clock),
        health_(metrics),
        pool_(loop, *node_.node, store, health_, clock, metrics, pool_options(options)) {}

  paywall::InvoiceSource& invoices() override { return *this; }
  paywall::SettlementCheck& settlement() override { return *this; }
  lightning::Node& node() override { return *node_.node; }
  Result<> up() const override { return health_.up(); }
  void start(std::function<void(const PaymentHash&)> on_settled) override {
    tracker_ = std::make_unique<lightning::SettlementTracker>(loop_, *node_.node, store_, health_,
                                                              clock_, std::move(on_settled));
    pool_.start();
    tracker_->start();
  }

 private:
  static lightning::PoolOptions pool_options(const LightningOptions& options) {
    lightning::PoolOptions pool;
    pool.challenge_ttl = options.challenge_ttl;
    pool.size = options.pool_size;
    return pool;
  }

  Task<Result<lightning::Invoice>> take(Msat amount, std::string memo) override {
    return pool_.take(amount, std::move(memo));
  }
  Task<Result<lightning::Invoice>> take_once(Msat amount, std::string memo) override {
    return pool_.take_once(amount, std::move(memo));
  }
  std::optional<lightning::Network> network() const override { return pool_.network(); }
  std::optional<std::string> node_key() const override { return pool_.node_key(); }
  void give_back(lightning::Invoice invoice) override { pool_.give_back(std::move(invoice)); }
  Task<Result<bool>> is_settled(PaymentHash hash) override { return tracker_->is_settled(hash); }

  net::Loop& loop_;
  OpenedNode node_;
  ledger::Store& store_;
  Clock& clock_;
  lightning::NodeHealth health_;
  lightning::InvoicePool pool_;
  std::unique_ptr<lightning::SettlementTracker> tracker_;
};

}  // namespace

Result<std::unique_ptr<LightningStack>> make_lightning_stack(net::Loop& loop, OpenedNode node,
                                                             ledger::Store& store,
                                                             MetricRegistry& metrics, Clock& clock,
                                                             LightningOptions options) {
  return std::unique_ptr<LightningStack>(
      std::make_unique<Stack>(loop, std::move(node), store, metrics, clock, options));
}

}  // namespace octroi::app
