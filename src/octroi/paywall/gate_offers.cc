// Asking for payment: the 402, or why there is none.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/gate_visit.h"

namespace octroi::paywall {

/// What the schemes of one 402 came to.
struct Gate::OffersMade {
  std::vector<std::string> lines;
  std::optional<Millis> bounded;  // a client over its bound of unpaid challenges
  bool uncounted = false;         // nobody knows how many it has
  bool priced = false;            // the context's quote is told
  bool no_price = false;
  bool payment_offered = false;
  std::string challenge_id;  // of the fresh Payment challenge
};

/// A place among the client's unpaid challenges; without one `made` says why.
Task<std::optional<UnpaidBound::Place>> Gate::hold_place(Visit& visit, OfferScheme scheme,
                                                         OffersMade& made) {
  const auto place = co_await shared_.unpaid.reserve_of_all(
      visit.client.unpaid_key(), scheme, visit.started,
      visit.started + visit.snapshot().settings.challenge_ttl);
  if (place && place->granted) co_return *place;
  if (!place) {
    made.uncounted = true;
  } else {
    made.bounded = made.bounded ? std::min(*made.bounded, place->retry_after) : place->retry_after;
  }
  co_return std::nullopt;
}

/// Asks the source of prices, once for a 402. A place among the client's unpaid challenges is held
/// meanwhile, so that a stranger cannot make it work without end.
Task<bool> Gate::tell_price(Visit& visit, OfferScheme scheme, OffersMade& made) {
  RequestContext& context = *visit.context;
  const auto place = co_await hold_place(visit, scheme, made);
  if (!place) co_return false;
  Result<pricing::Quote> quote = pricing::Quote{visit.next_price, {}, std::nullopt};
  if (visit.next_price.is_zero()) quote = co_await quoted_price(visit);
  shared_.unpaid.release(*place, visit.client.unpaid_key(), scheme);
  if (!quote) {
    made.no_price = true;
    OCTROI_LOG(
        error, kModule, "price unknown",
        {{"service", context.service.settings.name.str()}, {"error", quote.error().message()}});
    co_return false;
  }
  context.quote = std::move(*quote);
  made.priced = true;
  co_return true;
}

/// What one scheme has to offer: by default one challenge.
Task<void> Gate::make_offers(Visit& visit, Authenticator& authenticator, OffersMade& made) {
  if (!made.priced && !co_await tell_price(visit, authenticator.scheme(), made)) co_return;
  for (const Intent intent : authenticator.wanted(*visit.context))
    co_await make_offer(visit, authenticator, intent, made);
}

/// One challenge, under the bound of the client's unpaid ones; an offer of nothing costs nothing
/// and needs no place.
Task<void> Gate::make_offer(Visit& visit, Authenticator& authenticator, Intent intent,
                            OffersMade& made) {
  RequestContext& context = *visit.context;
  const OfferScheme scheme = authenticator.scheme();
  const bool nothing = intent != Intent::session && context.quote.amount.is_zero();
  const auto key = visit.client.unpaid_key();
  UnpaidBound::Place place;
  if (!nothing) {
    const auto held = co_await hold_place(visit, scheme, made);
    if (!held) co_return;
    place = *held;
  }
  auto let_go = [&] {
    if (!nothing) shared_.unpaid.release(place, key, scheme);
  };
  auto offer = co_await authenticator.offer(context, intent);
  if (!offer) {
    let_go();
    const char* name = scheme == OfferScheme::l402 ? "l402" : "payment";
    shared_.metrics
        .counter("octroi_offers_failed_total", "Challenges that could not be made",
                 {{"scheme", name}})
        .add();
    OCTROI_LOG(warn, kModule, "no offer",
               {{"service", context.service.settings.name.str()},
                {"scheme", name},
                {"error", offer.error().message()}});
    co_return;
  }
  if (offer->hash) {
    shared_.unpaid.attach(place, key, scheme, *offer->hash);
  } else {
    let_go();
  }
  if (scheme == OfferScheme::payment && made.challenge_id.empty())
    made.challenge_id = offer->challenge_id;
  for (auto& line : offer->lines) {
    (scheme == OfferScheme::payment ? visit.metrics().challenges_payment
     : line.starts_with("LSAT")     ? visit.metrics().challenges_lsat
                                    : visit.metrics().challenges_l402)
        .add();
    made.lines.push_back(std::move(line));
  }
  made.payment_offered = made.payment_offered || scheme == OfferScheme::payment;
}

Task<void> Gate::no_offer(Visit& visit, const OffersMade& made) {
  if (made.bounded) {
    visit.outcome = Outcome::limited;
    co_await refuse(
        visit,
        Complaint{429, "too many unpaid challenges: pay one of them, or wait until they expire"},
        *made.bounded);
    co_return;
  }
  // A price that cannot be told is not a free service.
  visit.outcome = Outcome::unavailable;
  if (made.uncounted) {
    co_await refuse(visit, Complaint{503, "unpaid challenges cannot be counted now"},
                    kUncountedRetry);
    co_return;
  }
  co_await refuse(
      visit,
      complaint({mpp::ProblemType::internal_payment_error,
                 made.no_price ? "the price cannot be told now" : "no invoice can be made now"},
                503),
      kUnavailableRetry);
}

Task<void> Gate::challenge(Visit& visit, std::optional<Refusal> refusal,
                           const Authenticator* refused_by) {
  const Service& service = *visit.service;
  OffersMade made;
  if (!service.quoted()) {
    if (auto price = written_price(visit)) {
      visit.context->quote = std::move(*price);
      made.priced = true;
    } else {
      made.no_price = true;
      OCTROI_LOG(error, kModule, "price unknown",
                 {{"service", service.settings.name.str()}, {"error", price.error().message()}});
    }
  }
  for (Authenticator* authenticator : visit.door->authenticators) {
    if (!service.offers(authenticator->scheme())) continue;
    if (refusal && refusal->repeat_challenge && authenticator == refused_by) {
      made.lines.push_back(*refusal->repeat_challenge);
      made.payment_offered =
          made.payment_offered || authenticator->scheme() == OfferScheme::payment;
    } else if (!made.no_price) {
      co_await make_offers(visit, *authenticator, made);
    }
  }
  if (made.lines.empty()) {
    co_await no_offer(visit, made);
    co_return;
  }

  visit.outcome = Outcome::challenged;
  http::ResponseHead head;
  head.status = 402;
  for (const auto& line : made.lines) head.headers.add("WWW-Authenticate", line);
  head.headers.set("Cache-Control", "no-store");
  if (refusal && !refusal->balance.empty()) head.headers.set(kBalanceField, refusal->balance);
  if (refusal && refusal->retry_after)
    head.headers.set("Retry-After", retry_after_seconds(*refusal->retry_after));
  std::string body;
  if (made.payment_offered) {
    mpp::Problem shown = refusal ? std::move(refusal->problem)
                                 : mpp::Problem(mpp::ProblemType::payment_required,
                                                "pay one of the challenges in WWW-Authenticate and "
                                                "repeat the request with its proof");
    if (shown.challenge_id.empty()) shown.challenge_id = made.challenge_id;
    head.headers.set("Content-Type", mpp::kProblemContentType);
    body = mpp::problem_json(shown);
  } else {
    head.headers.set("Content-Type", "text/plain; charset=utf-8");
    body = "payment required\n";
  }
  co_await answer(visit, std::move(head), std::move(body), "payment required");
}

}  // namespace octroi::paywall
