// Bodies that are read before anything is decided.
#include <algorithm>
#include <utility>

#include "octroi/mpp/digest.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/gate_visit.h"
#include "octroi/paywall/payment_checks.h"
#include "octroi/paywall/session_account.h"

namespace octroi::paywall {

std::optional<pricing::UnitPrice> metered_price_of(const Service& service, const Grant& grant) {
  if (grant.bundle) return metered_price(*grant.bundle);
  if (!grant.session || grant.use == Use::door) return std::nullopt;
  return metered_price(service.settings, grant.session->price);
}

/// Bodies of POST, PUT and PATCH are bound into Payment challenges, so they are read before
/// anything is decided; over the limit the request is refused rather than left unbound. A gRPC call
/// is a stream that may wait for its answer to go on, and a session is shown with any request: they
/// are not bound.
Task<bool> Gate::read_bound_body(Visit& visit) {
  const ServiceSettings& s = visit.service->settings;
  if (!visit.service->sells(PaymentIntent::charge) || s.digest == DigestMode::off || visit.grpc ||
      !has_body_to_bind(visit.request().method) || is_session_credential(visit.context->payment)) {
    co_return true;
  }
  const std::uint64_t limit = std::min(s.digest_limit, s.max_body);
  const auto announced = visit.exchange.body().length();
  if (!announced || *announced <= limit) {
    auto body = co_await http::read_all(visit.exchange.body(), limit);
    if (body) {
      visit.body = std::move(*body);
      visit.context->digest = mpp::format_digest(as_bytes(*visit.body));
      co_return true;
    }
    if (!body.error().is(http::Errc::body_too_large)) {
      co_await refuse(
          visit,
          complaint({mpp::ProblemType::bad_request, "the request body could not be read"}, 400),
          std::nullopt);
      co_return false;
    }
  }
  co_await refuse(
      visit,
      Complaint{413,
                fmt::format("bodies are bound to their payment here and may have {} bytes at most",
                            limit)},
      std::nullopt);
  co_return false;
}

/// What the source of prices is told of a body, its answer is bound to; so it is read before
/// anything is decided, also where it is not bound into Payment challenges.
Task<bool> Gate::read_told_body(Visit& visit) {
  const ServiceSettings& s = visit.service->settings;
  if (!visit.service->quoted() || s.price_body == 0 || visit.grpc ||
      !has_body_to_bind(visit.request().method)) {
    co_return true;
  }
  const std::uint64_t limit = std::min(s.price_body, s.max_body);
  bool too_large =
      visit.body ? visit.body->size() > limit : visit.exchange.body().length().value_or(0) > limit;
  if (!too_large && !visit.body) {
    auto body = co_await http::read_all(visit.exchange.body(), limit);
    if (!body && !body.error().is(http::Errc::body_too_large)) {
      co_await refuse(
          visit,
          complaint({mpp::ProblemType::bad_request, "the request body could not be read"}, 400),
          std::nullopt);
      co_return false;
    }
    too_large = !body;
    if (body) visit.body = std::move(*body);
  }
  if (too_large) {
    co_await refuse(
        visit,
        Complaint{413, fmt::format("bodies decide about the price here and may have {} bytes at "
                                   "most",
                                   limit)},
        std::nullopt);
    co_return false;
  }
  visit.context->told_body = mpp::format_digest(as_bytes(*visit.body));
  co_return true;
}

/// Who pays by the token of a language model is debited what the request announces before the
/// upstream works for it; how much is left over is told by the answer. What two readers could read
/// differently announces nothing.
Task<bool> Gate::set_aside(Visit& visit, Grant& grant) {
  const auto price = metered_price_of(*visit.service, grant);
  if (!price || price->unit != pricing::Unit::token) return Task<bool>::done(true);
  return set_aside_tokens(visit, grant, *price);
}

Task<bool> Gate::set_aside_tokens(Visit& visit, Grant& grant, pricing::UnitPrice price) {
  const ServiceSettings& s = visit.service->settings;
  const std::uint64_t limit = std::min(s.digest_limit, s.max_body);
  const auto length = visit.body ? visit.body->size() : visit.exchange.body().length();
  Result<Announced> announced = announced_by_length(length);
  if (!visit.grpc && has_body_to_bind(visit.request().method) && length.value_or(0) <= limit) {
    if (!visit.body) {
      auto body = co_await http::read_all(visit.exchange.body(), limit);
      if (!body) {
        const bool large = body.error().is(http::Errc::body_too_large);
        co_await refuse(
            visit,
            Complaint{large ? 413 : 400,
                      large ? "a body whose length is not told beforehand may not be as "
                              "long here"
                            : "the request body could not be read"},
            std::nullopt);
        co_return false;
      }
      visit.body = std::move(*body);
    }
    announced = announced_by(*visit.body);
  }
  auto cost = announced ? price.cost(announced->reserve) : Result<Msat>(Msat());
  if (!announced || !cost) {
    co_await refuse(visit,
                    complaint({mpp::ProblemType::bad_request,
                               announced ? "the request announces more tokens than can be paid"
                                         : "the request's JSON names a member twice"},
                              400),
                    std::nullopt);
    co_return false;
  }
  visit.input_tokens = announced->input;
  if (grant.session) reserve_for(*grant.session, *cost);
  if (grant.bundle) reserve_for(*grant.bundle, announced->reserve);
  co_return true;
}

}  // namespace octroi::paywall
