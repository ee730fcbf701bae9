#include "octroi/paywall/payment_auth.h"

#include <utility>
#include <vector>

#include "octroi/mpp/accept_payment.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/receipt.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

namespace {

using mpp::ProblemType;

std::string_view name_of(PaymentIntent intent) {
  return intent == PaymentIntent::session ? mpp::lightning::kSessionIntent
                                          : mpp::lightning::kChargeIntent;
}

/// The intent that a challenge names, when this service sells it.
std::optional<PaymentIntent> intent_of(const mpp::Challenge& challenge, const Service& service) {
  for (const PaymentIntent intent : {PaymentIntent::charge, PaymentIntent::session}) {
    if (challenge.intent == name_of(intent) && service.sells(intent)) return intent;
  }
  return std::nullopt;
}

std::string intents_of(const Service& service) {
  std::string out;
  for (const PaymentIntent intent : service.settings.intents)
    out.append(out.empty() ? "" : " or ").append(name_of(intent));
  return out;
}

}  // namespace

std::optional<Result<mpp::Credential>> read_payment(const Credentials& credentials) {
  if (!credentials.payment_authorization.empty())
    return mpp::parse_credential(credentials.payment_authorization.front());
  if (!credentials.payment.empty()) return mpp::parse_credential(credentials.payment.front());
  return std::nullopt;
}

bool is_session_credential(const std::optional<Result<mpp::Credential>>& payment) {
  return payment && *payment && (*payment)->challenge().intent == mpp::lightning::kSessionIntent;
}

Task<Verdict> PaymentAuthenticator::verify(const Credentials& credentials,
                                           const RequestContext& context) {
  std::optional<Result<mpp::Credential>> own;
  if (!context.payment) own = read_payment(credentials);
  const Result<mpp::Credential>& parsed = context.payment ? *context.payment : *own;
  if (!parsed) co_return refuse_payment(mpp::problem_for(parsed.error()), Judged::malformed);
  const mpp::Challenge& echoed = parsed->challenge();
  if (echoed.method != mpp::lightning::kMethod) {
    co_return refuse_payment(ProblemType::method_unsupported,
                             "this service takes the payment method lightning", Judged::method);
  }
  const auto intent = intent_of(echoed, context.service);
  if (!intent) {
    co_return refuse_payment(ProblemType::lightning_unknown_challenge,
                             "this service takes the intent " + intents_of(context.service) +
                                 "; pay one of its challenges",
                             Judged::intent);
  }
  const bool in_own_field = !credentials.payment_authorization.empty();
  if (in_own_field != context.service.settings.payment_header) {
    co_return refuse_payment(ProblemType::lightning_malformed_credential,
                             context.service.settings.payment_header
                                 ? "send the credential in Payment-Authorization"
                                 : "send the credential in Authorization",
                             Judged::field);
  }
  Verdict verdict = *intent == PaymentIntent::session ? co_await session_.verify(*parsed, context)
                                                      : co_await charge_.verify(*parsed, context);
  if (auto* grant = std::get_if<Grant>(&verdict)) grant->via_payment_authorization = in_own_field;
  co_return verdict;
}

Task<Admission> PaymentAuthenticator::admit(const Grant& grant, const RequestContext& context) {
  if (grant.session) return session_.admit(grant, context);
  return charge_.admit(grant, context);
}

Task<Result<Offer>> PaymentAuthenticator::offer(const RequestContext& context, Intent intent) {
  if (intent == Intent::session) return session_.offer(context);
  return charge_.offer(context);
}

Intents PaymentAuthenticator::wanted(const RequestContext& context) const {
  const ServiceSettings& s = context.service.settings;
  std::vector<mpp::Offer> offers;
  for (const PaymentIntent intent : s.intents) {
    // What costs nothing needs no deposit.
    if (intent == PaymentIntent::session && !s.session_quotes &&
        context.rule.session_price.is_zero())
      continue;
    offers.push_back({mpp::lightning::kMethod, name_of(intent)});
  }
  const auto lines = context.headers.all("Accept-Payment");
  const auto ranges = mpp::parse_accept_payment(lines);
  auto ranked = mpp::choose_offers(ranges, offers);
  // A client that accepts nothing we have still learns the price, unless L402 tells it already.
  if (ranges && context.service.offers(OfferScheme::l402) && !context.quote.amount.is_zero())
    ranked = mpp::rank_offers(*ranges, offers);
  Intents out;
  for (const std::size_t at : ranked) {
    out.add(offers[at].intent == mpp::lightning::kSessionIntent ? Intent::session : Intent::charge);
    if (s.offer == OfferHow::first) break;
  }
  return out;
}

void PaymentAuthenticator::decorate(const Grant& grant, http::ResponseHead& head,
                                    UnixMillis when) const {
  auto receipt = mpp::format_receipt(grant.session ? SessionIntent::receipt(grant, when)
                                                   : ChargeIntent::receipt(grant, when));
  if (receipt) head.headers.set("Payment-Receipt", *receipt);
}

Task<Result<>> PaymentAuthenticator::settle(const Grant& grant, Delivery delivery) {
  if (grant.session) return session_.settle(grant, std::move(delivery));
  return charge_.settle(grant, std::move(delivery));
}

}  // namespace octroi::paywall
