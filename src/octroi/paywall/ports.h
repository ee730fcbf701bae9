// octroi/paywall/ports.h: what the gate needs from the outside and does not want to know more
// about.
//
// Thread: called on a worker's loop; implementations resume there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/ledger/sessions.h"
#include "octroi/lightning/node.h"
#include "octroi/money/money.h"
#include "octroi/pricing/price_source.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

/// Gives out invoices, each to one challenge. The pool is behind it; a dry pool asks the node.
class InvoiceSource {
 public:
  virtual ~InvoiceSource() = default;
  /// An invoice that stays payable for at least the challenge's time to live.
  virtual Task<Result<lightning::Invoice>> take(Msat amount, std::string memo) = 0;
  /// The same for an amount that nobody may ask again (a quoted price): none is made ahead for it.
  virtual Task<Result<lightning::Invoice>> take_once(Msat amount, std::string memo) {
    return take(amount, std::move(memo));
  }
  /// The node's network, as the Lightning drafts name it; known once the node was reached.
  [[nodiscard]] virtual std::optional<lightning::Network> network() const = 0;
  /// The node's public key in hex, to know its own invoices by; known once the node was reached.
  [[nodiscard]] virtual std::optional<std::string> node_key() const { return std::nullopt; }
  /// A challenge could not be completed after all: the invoice was shown to nobody.
  virtual void give_back(lightning::Invoice invoice) = 0;
};

/// Asks the node whether an invoice is settled: for services with `strict`.
class SettlementCheck {
 public:
  virtual ~SettlementCheck() = default;
  virtual Task<Result<bool>> is_settled(PaymentHash hash) = 0;
};

/// Sends closed sessions what they are owed, each once, whoever asks.
class RefundDesk {
 public:
  virtual ~RefundDesk() = default;
  /// Begins to send the refund of a closed session, unless that was done, and waits for its end: at
  /// most as long as the service's settings say. Where it stands by then.
  virtual Task<ledger::RefundStage> send(PaymentHash session) = 0;
};

/// Told that a usage report has become due, by whoever finished it. Any thread.
class UsageBell {
 public:
  virtual ~UsageBell() = default;
  virtual void ring() = 0;
};

/// The dynamic price sources of one worker, by the name that a service's settings give.
class PriceSources {
 public:
  virtual ~PriceSources() = default;
  /// Null: there is none of that name, and nothing is sold under it.
  [[nodiscard]] virtual pricing::PriceSource* find(std::string_view name) = 0;
};

}  // namespace octroi::paywall
