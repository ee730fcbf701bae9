// octroi/app/lightning_stack.h: the seller's node with everything around it: invoice pool,
// settlement tracking, and the ports through which gates use them from any worker. Thread: made and
// owned by the control loop; ports are safe from any worker's loop.
#pragma once

#include <functional>
#include <memory>

#include "octroi/base/metrics.h"
#include "octroi/base/random.h"
#include "octroi/config/model.h"
#include "octroi/http/client.h"
#include "octroi/ledger/store.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/ports.h"

namespace octroi::app {

/// A node of the configured backend, for the given loop.
struct OpenedNode {
  std::unique_ptr<lightning::Node> node;
};
[[nodiscard]] Result<OpenedNode> open_node(net::Loop& loop,
                                           const config::LightningSettings& settings,
                                           Random& random, Clock& clock);

struct LightningOptions {
  Millis challenge_ttl{900'000};
  std::int64_t pool_size = 32;
};

class LightningStack {
 public:
  virtual ~LightningStack() = default;
  [[nodiscard]] virtual paywall::InvoiceSource& invoices() = 0;
  [[nodiscard]] virtual paywall::SettlementCheck& settlement() = 0;
  [[nodiscard]] virtual lightning::Node& node() = 0;
  /// For /readyz: whether the node answered lately.
  [[nodiscard]] virtual Result<> up() const = 0;
  /// Starts refilling and watching. `on_settled` runs on the control loop.
  virtual void start(std::function<void(const PaymentHash&)> on_settled) = 0;
};

[[nodiscard]] Result<std::unique_ptr<LightningStack>> make_lightning_stack(
    net::Loop& loop, OpenedNode node, ledger::Store& store, MetricRegistry& metrics, Clock& clock,
    LightningOptions options);

}  // namespace octroi::app
