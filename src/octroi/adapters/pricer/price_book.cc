#include "octroi/adapters/pricer/price_book.h"

#include <algorithm>
#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

using pricing::Errc;
using pricing::Settling;

namespace {

std::int64_t sats(Msat amount) { return to_sat_ceil(amount).count(); /* raw: the wire */ }
std::int64_t msats(Msat amount) { return amount.count(); /* raw: told back to us */ }

Result<TokenId> token_of(const Ask& ask) {
  auto token = TokenId::from_hex(ask.token_id);
  if (!token) return fail(Errc::no_price, "token_id: expected 64 hexadecimal digits");
  return *token;
}

pricing::ModelAnswer answer_of(const Ask& ask) {
  return {static_cast<int>(ask.http_status), ask.content_type, ask.content_encoding,
          ask.response_tail};
}

Reply denied(Msat price, std::string reason) {
  Reply out;
  out.price_sats = sats(price);
  out.reason = std::move(reason);
  return out;
}

}  // namespace

Task<Result<Reply>> PriceBook::answer(Call call, Ask ask, std::string key) {
  switch (call) {
    case Call::price:
      co_return price(ask);
    case Call::minted:
      co_return co_await minted(std::move(ask));
    case Call::authorize:
      co_return co_await authorize(std::move(ask));
    case Call::usage:
      co_return co_await usage(std::move(ask), std::move(key));
    case Call::session_quote:
      co_return session_quote(ask);
    case Call::session_settle:
      co_return session_settle(ask);
  }
  co_return fail(Errc::no_price, "no such call");
}

/// A bundle that does not pay for the request it is bought for would be of no use.
Result<Msat> PriceBook::bundle_for(Msat estimate) const {
  return to_msat(to_sat_ceil(std::max(bundle_, estimate)));
}

Result<Reply> PriceBook::price(const Ask& ask) const {
  OCTROI_TRY(const auto request, prices_.read(ask.http_request_text));
  OCTROI_TRY(const Msat estimate, prices_.cost(request.model, request.estimate));
  OCTROI_TRY(const Msat bundle, bundle_for(estimate));
  Reply out;
  out.price_sats = sats(bundle);
  return out;
}

Task<Result<Reply>> PriceBook::minted(Ask ask) {
  OCTROI_CO_TRY(const TokenId token, token_of(ask));
  OCTROI_CO_TRY(const auto request, prices_.read(ask.http_request_text));
  auto price = Sat::from_raw(ask.price_sats);
  if (!price || price->is_zero()) co_return fail(Errc::no_price, "price_sats: must be positive");
  OCTROI_CO_TRY(const bool booked,
                co_await allowances_.book_allowance(token, ask.service_name, request.model,
                                                    to_msat(*price), clock_.now()));
  std::ignore = booked;  // the same challenge may be told twice
  co_return Reply{};
}

Task<Result<Reply>> PriceBook::authorize(Ask ask) {
  OCTROI_CO_TRY(const TokenId token, token_of(ask));
  OCTROI_CO_TRY(const auto request, prices_.read(ask.http_request_text));
  OCTROI_CO_TRY(const Msat estimate, prices_.cost(request.model, request.estimate));
  OCTROI_CO_TRY(const Msat next, bundle_for(estimate));
  OCTROI_CO_TRY(const auto bundle, co_await allowances_.find_allowance(token));
  if (!bundle || bundle->service != ask.service_name)
    co_return denied(next, "nothing was booked for this token here");
  if (bundle->model != request.model)
    co_return denied(next, "the token's bundle is for another model");
  OCTROI_CO_TRY(const auto held,
                co_await allowances_.hold_allowance(token, estimate, clock_.now()));
  if (!held) {
    co_return denied(next, fmt::format("the token's bundle has {} left and this request may cost "
                                       "{}: lower its max_tokens, or buy another bundle",
                                       format(bundle->left()), format(estimate)));
  }
  Reply out;
  out.allowed = true;
  out.reserved_estimate = msats(estimate);
  co_return out;
}

Task<Result<Reply>> PriceBook::usage(Ask ask, std::string key) {
  OCTROI_CO_TRY(const TokenId token, token_of(ask));
  auto held = Msat::from_raw(ask.reserved_estimate);
  if (!held) co_return fail(Errc::no_price, "reserved_estimate: not one of ours");
  OCTROI_CO_TRY(const auto bundle, co_await allowances_.find_allowance(token));
  if (!bundle) co_return fail(Errc::no_price, "token_id: nothing was booked for it");
  const auto settlement = pricing::settlement_of(answer_of(ask));
  Msat cost;
  switch (settlement.by) {
    case Settling::nothing:
      break;
    case Settling::estimate:
      cost = *held;
      break;
    case Settling::usage: {
      auto counted = prices_.cost(bundle->model, settlement.usage);
      cost = counted ? *counted : *held;  // a model without a price any more, or beyond all money
      break;
    }
  }
  if (key.empty()) key = to_hex(random_.bytes<16>());
  OCTROI_CO_TRY(const auto settled, co_await allowances_.settle_allowance(
                                        std::move(key), token, *held, cost, clock_.now()));
  Reply out;
  out.debited_sats = sats(settled.debited);
  if (settled.allowance)
    out.remaining_sats = to_sat_floor(settled.allowance->left()).count() /* raw: the wire */;
  co_return out;
}

Result<Reply> PriceBook::session_quote(const Ask& ask) const {
  OCTROI_TRY(const auto request, prices_.read(ask.http_request_text));
  OCTROI_TRY(const Msat estimate, prices_.cost(request.model, request.estimate));
  Reply out;
  out.unit_price_sats = std::max<std::int64_t>(sats(estimate), 1);
  return out;
}

Result<Reply> PriceBook::session_settle(const Ask& ask) const {
  Reply out;
  const auto settlement = pricing::settlement_of(answer_of(ask));
  switch (settlement.by) {
    case Settling::nothing:
      return out;
    case Settling::estimate:
      out.cost_sats = ask.estimate_sats;
      return out;
    case Settling::usage:
      break;
  }
  OCTROI_TRY(const auto request, prices_.read(ask.http_request_text));
  OCTROI_TRY(const Msat cost, prices_.cost(request.model, settlement.usage));
  out.cost_sats = sats(cost);
  return out;
}

}  // namespace octroi::pricer
