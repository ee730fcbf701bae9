// octroi/pricing/price_source.h: the port through which a price is asked for, and the sources that
// need no I/O.
//
// A paywall asks once for each challenge it is about to issue, with the deadline of its own
// request; an amount once quoted in a challenge is never repriced. A dynamic source (a service that
// prices by request) implements PriceSource in an adapter. Errors   Errc::no_price when the source
// has none for this request, Errc::unavailable when it cannot
//          be asked (the caller answers 503 with Retry-After); MoneyErrc for rates.
// Thread   one source a loop; `quote` resumes on that loop.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/money/money.h"
#include "octroi/pricing/currency.h"
#include "octroi/task/task.h"

namespace octroi::pricing {

/// What a price may depend on. Values, because a source may keep them over a suspension. Header
/// fields that carry credentials are taken out by the caller.
struct PriceRequest {
  ServiceName service;
  std::string authority;
  std::string method;  // HEAD as GET
  std::string path;    // percent-decoded, normalised
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<std::uint64_t> content_length;
  std::optional<std::size_t>
      rule;  // of the price rules, by position; empty: the service's own price
  std::string body;  // where the service tells it; bound into what is sold at the quoted price
};

struct Quote {
  Msat amount;                            // what must be paid, already rounded up
  std::string description;                // shown to the payer; empty: the service's own
  std::optional<UnixMillis> valid_until;  // empty: as long as the challenge
};

class Pricer;

class PriceSource {
 public:
  virtual ~PriceSource() = default;
  [[nodiscard]] virtual Task<Result<Quote>> quote(PriceRequest request) = 0;
  /// The same as a source that also keeps accounts (pricer.h); null: it only quotes.
  [[nodiscard]] virtual Pricer* pricer() { return nullptr; }
};

/// Prices that are written in the configuration: the service's own and one for each rule.
class StaticPrices {
 public:
  /// `own` empty: only requests under a rule have a price.
  StaticPrices(std::optional<Price> own, std::vector<Price> rules)
      : own_(own), rules_(std::move(rules)) {}

  /// `rule` as in PriceRequest.
  [[nodiscard]] Result<Msat> amount(std::optional<std::size_t> rule,
                                    const std::optional<Rate>& rate, UnixMillis now) const;

 private:
  std::optional<Price> own_;
  std::vector<Price> rules_;
};

/// The first rule that says yes; empty: none. `matches(i)` is asked in order.
template <class Matches>
[[nodiscard]] std::optional<std::size_t> first_rule(std::size_t count, Matches&& matches) {
  for (std::size_t i = 0; i < count; ++i) {
    if (matches(i)) return i;
  }
  return std::nullopt;
}

/// A PriceSource over StaticPrices. The clock outlives it.
class StaticPriceSource final : public PriceSource {
 public:
  StaticPriceSource(StaticPrices prices, std::optional<Rate> rate, const Clock& clock)
      : prices_(std::move(prices)), rate_(rate), clock_(clock) {}
  [[nodiscard]] Task<Result<Quote>> quote(PriceRequest request) override;

 private:
  StaticPrices prices_;
  std::optional<Rate> rate_;
  const Clock& clock_;
};

}  // namespace octroi::pricing
