#include "octroi/paywall/payment_challenge.h"

#include <algorithm>

#include "octroi/mpp/binding.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/opaque.h"
#include "octroi/paywall/facts.h"

namespace octroi::paywall {

namespace {

/// What the challenge is bound to besides the slots of its id.
struct Place {
  std::string scope;
  mpp::BindingFields fields;
  Place(const RequestContext& c, Intent intent) {
    if (intent == Intent::session) {
      scope = "session";
      fields = {"payment", c.service.settings.name.str(), "", scope};
      return;
    }
    // A quote opens nothing but what it was asked for, whatever the scope.
    scope = c.service.quoted() ? quoted_place(c) : scope_of(c);
    fields = {"payment", c.service.settings.name.str(), c.method, scope};
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  static std::string scope_of(const RequestContext& c) {
    switch (c.service.settings.scope) {
      case Scope::path:
        return "path:" + c.path;
      case Scope::rule:
        return "rule:" + c.rule.id;
      case Scope::query:
        return "query:" + c.path + "?" + c.query;
    }
    return {};
  }
};

std::optional<std::string> opaque_of(const ServiceSettings& s) {
  if (!s.opaque) return std::nullopt;
  return mpp::format_opaque({{"service", s.name.str()}});
}

}  // namespace

/// The challenge as we issue it, but for its id, request and expiry.
mpp::Challenge ChallengeMaker::blank(const RequestContext& c, Intent intent) const {
  mpp::Challenge challenge;
  challenge.realm = realm_;
  challenge.method = std::string(mpp::lightning::kMethod);
  challenge.intent = std::string(intent == Intent::session ? mpp::lightning::kSessionIntent
                                                           : mpp::lightning::kChargeIntent);
  if (intent != Intent::session && !c.digest.empty()) challenge.digest = c.digest;
  const std::string& description =
      c.quote.description.empty() ? c.service.settings.description : c.quote.description;
  if (!description.empty()) challenge.description = description;
  challenge.opaque = opaque_of(c.service.settings);
  if (c.service.settings.payment_header) challenge.header = std::string(mpp::kPaymentAuthorization);
  return challenge;
}

Result<Offer> ChallengeMaker::issue(const RequestContext& context, Intent intent,
                                    std::string request, UnixMillis expires) const {
  mpp::Challenge challenge = blank(context, intent);
  challenge.expires = mpp::format_expires(expires);
  challenge.request = std::move(request);
  const Place place(context, intent);
  challenge.id = mpp::bound_challenge_id(*keys_, place.fields, mpp::id_slots(challenge));
  OCTROI_TRY(auto line, mpp::format_challenge(challenge));
  Offer offer;
  offer.challenge_id = std::move(challenge.id);
  offer.lines.push_back(std::move(line));
  return offer;
}

Result<Offer> ChallengeMaker::offer(Shared& shared, const RequestContext& context, Intent intent,
                                    Priced priced) const {
  lightning::Invoice& invoice = priced.invoice;
  const UnixMillis expires = std::min(end_of(context), invoice.expires);
  Result<Offer> offer = priced.request ? issue(context, intent, *std::move(priced.request), expires)
                                       : Result<Offer>(fail(std::move(priced.request).error()));
  if (!offer) {
    shared.invoices.give_back(std::move(invoice));
    return offer;
  }
  offer->hash = invoice.hash;
  ledger::TransactionRecord row;
  row.hash = invoice.hash;
  row.service = context.service.settings.name.str();
  row.scheme = priced.scheme;
  row.amount = priced.amount;
  row.challenge_id = offer->challenge_id;
  row.request_id = context.request_id;
  row.created = context.now;
  row.expires = expires;
  shared.transactions.handed_out(std::move(row));
  return offer;
}

std::optional<ChallengeMaker::Known> ChallengeMaker::recognise(const RequestContext& context,
                                                               Intent intent,
                                                               const mpp::Challenge& echoed) const {
  if (echoed.realm != realm_) return std::nullopt;
  Known known;
  known.challenge = blank(context, intent);
  known.challenge.id = echoed.id;
  known.challenge.request = echoed.request;
  known.challenge.expires = echoed.expires;
  const Place place(context, intent);
  const auto key =
      mpp::verify_bound_id(*keys_, place.fields, mpp::id_slots(known.challenge), echoed.id);
  if (!key) return std::nullopt;
  known.key = *key;
  if (echoed.expires) {
    if (auto when = mpp::parse_expires(*echoed.expires)) known.expires = *when;
  }
  // The text is the source's own and no slot of the id; it is the holder's to have back.
  if (context.service.quoted()) known.challenge.description = echoed.description;
  return known;
}

UnixMillis ChallengeMaker::end_of(const RequestContext& context) const {
  const UnixMillis end = context.now + ttl_;
  return context.quote.valid_until ? std::min(end, *context.quote.valid_until) : end;
}

std::string ChallengeMaker::memo(const RequestContext& context) const {
  return realm_ + " " + context.service.settings.name.str();
}

}  // namespace octroi::paywall
