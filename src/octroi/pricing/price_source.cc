#include "octroi/pricing/price_source.h"

namespace octroi::pricing {

Result<Msat> StaticPrices::amount(std::optional<std::size_t> rule, const std::optional<Rate>& rate,
                                  UnixMillis now) const {
  if (rule && *rule >= rules_.size()) return fail(Errc::no_price, "this price rule does not exist");
  if (rule) return rules_[*rule].in_msat(rate, now);
  if (!own_) return fail(Errc::no_price, "no rule matches and the service has no price of its own");
  return own_->in_msat(rate, now);
}

Task<Result<Quote>> StaticPriceSource::quote(PriceRequest request) {
  OCTROI_CO_TRY(const Msat amount, prices_.amount(request.rule, rate_, clock_.now()));
  co_return Quote{amount, "", std::nullopt};
}

}  // namespace octroi::pricing
