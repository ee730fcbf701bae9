// octroi/adapters/pricer/price_book.h: the reference price server without its network: what each
// call is answered, over model prices and the bundles in the store.
//
// Bundle   what a token bought, in money: its holder may spend it on the model that it was bought
//          for. Before each request the estimate is held, after it the cost is taken, once for each
//          report.
// Errors   Errc::no_price: this request cannot be priced; ledger's when the store cannot be asked.
// Thread   one loop.  Source  issue 5, "Dynamic prices"; docs/pricing.md.
#pragma once

#include <string>

#include "octroi/adapters/pricer/wire.h"
#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/ledger/allowances.h"
#include "octroi/pricing/model_prices.h"
#include "octroi/task/task.h"

namespace octroi::pricer {

class PriceBook {
 public:
  /// `bundle`: what a token buys at least; more where one request may cost more. All outlive it.
  PriceBook(pricing::ModelPrices prices, Msat bundle, ledger::Allowances& allowances, Clock& clock,
            Random& random)
      : prices_(std::move(prices)),
        bundle_(bundle),
        allowances_(allowances),
        clock_(clock),
        random_(random) {}

  /// `key`: the report's id, for usage; empty: every report counts.
  Task<Result<Reply>> answer(Call call, Ask ask, std::string key);

 private:
  [[nodiscard]] Result<Reply> price(const Ask& ask) const;
  [[nodiscard]] Result<Msat> bundle_for(Msat estimate) const;
  Task<Result<Reply>> minted(Ask ask);
  Task<Result<Reply>> authorize(Ask ask);
  Task<Result<Reply>> usage(Ask ask, std::string key);
  [[nodiscard]] Result<Reply> session_quote(const Ask& ask) const;
  [[nodiscard]] Result<Reply> session_settle(const Ask& ask) const;

  pricing::ModelPrices prices_;
  Msat bundle_;
  ledger::Allowances& allowances_;
  Clock& clock_;
  Random& random_;
};

}  // namespace octroi::pricer
