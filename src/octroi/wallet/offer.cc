#include "octroi/wallet/offer.h"

#include <algorithm>

#include "octroi/l402/identifier.h"
#include "octroi/l402/macaroon.h"
#include "octroi/mpp/auth_params.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/lightning/zero.h"

namespace octroi::wallet {

namespace {

constexpr Millis kLeastTimeLeft{10'000};  // to pay and to come back with the proof

Result<bolt11::Invoice> decode_payable(std::string_view text, UnixMillis now) {
  auto invoice = bolt11::decode(text);
  if (!invoice)
    return fail(Errc::bad_invoice, "invoice: " + std::string(invoice.error().message()));
  if (!invoice->amount)
    return fail(Errc::bad_invoice, "invoice: it names no amount, so anything could be asked");
  if (now + kLeastTimeLeft >= invoice->expires())
    return fail(Errc::bad_invoice, "invoice: it has expired or is about to");
  return std::move(*invoice);
}

/// What may stand in an Authorization field between scheme and colon.
bool is_token_text(std::string_view text) {
  return !text.empty() && text.size() <= 16 * 1024 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '_' || c == '-' || c == '=' || c == '.';
         });
}

/// `macaroon` is the field's name for it, `token` the specification's.
std::optional<L402Challenge> as_l402(const mpp::AuthChallenge& challenge) {
  const bool lsat = challenge.has_scheme("LSAT");
  if ((!lsat && !challenge.has_scheme("L402")) || challenge.defect != mpp::AuthDefect::none)
    return std::nullopt;
  auto token = challenge.param("macaroon");
  if (!token) token = challenge.param("token");
  const auto invoice = challenge.param("invoice");
  if (!token || !invoice || !is_token_text(*token)) return std::nullopt;
  return L402Challenge{lsat, std::string(*token), std::string(*invoice)};
}

/// The payment hash in a token of the usual form; other servers' tokens may be anything.
std::optional<PaymentHash> hash_in(std::string_view token) {
  const auto bytes = from_base64_any(token);
  if (!bytes) return std::nullopt;
  const auto macaroon = l402::decode_macaroon(*bytes);
  if (!macaroon) return std::nullopt;
  const auto id = l402::decode_identifier(macaroon->identifier);
  return id ? std::optional(id->hash) : std::nullopt;
}

Result<Offer> read_l402(L402Challenge challenge, UnixMillis now) {
  Offer offer;
  offer.scheme = Scheme::l402;
  offer.invoice_text = challenge.invoice;
  OCTROI_TRY(offer.invoice, decode_payable(challenge.invoice, now));
  const auto hash = hash_in(challenge.token);
  if (hash && *hash != offer.invoice.payment_hash) {
    return fail(Errc::bad_invoice,
                "L402: the invoice is for another payment hash than the macaroon");
  }
  offer.amount = *offer.invoice.amount;
  offer.expires = offer.invoice.expires();
  offer.challenge = std::move(challenge);
  return offer;
}

/// A charge of nothing: no invoice, so there is nothing that could contradict it.
Result<Offer> read_zero(mpp::Challenge challenge, UnixMillis now) {
  if (!challenge.expires)
    return fail(Errc::bad_invoice, "Payment: a challenge over nothing must say when it expires");
  Offer offer;
  offer.scheme = Scheme::payment;
  OCTROI_TRY(offer.expires, mpp::parse_expires(*challenge.expires));
  if (now + kLeastTimeLeft >= offer.expires)
    return fail(Errc::bad_invoice, "Payment: the challenge has expired or is about to");
  offer.challenge = std::move(challenge);
  return offer;
}

Result<Offer> read_charge(mpp::Challenge challenge, UnixMillis now) {
  if (challenge.method != mpp::lightning::kMethod ||
      challenge.intent != mpp::lightning::kChargeIntent) {
    return fail(
        Errc::no_challenge,
        fmt::format("Payment {}/{}: this wallet pays lightning/charge and lightning/session",
                    challenge.method, challenge.intent));
  }
  if (mpp::lightning::is_zero_request(challenge.request))
    return read_zero(std::move(challenge), now);
  OCTROI_TRY(auto request, mpp::lightning::parse_charge_request(challenge.request));
  Offer offer;
  offer.scheme = Scheme::payment;
  offer.invoice_text = request.invoice;
  OCTROI_TRY(offer.invoice, decode_payable(request.invoice, now));
  if (*offer.invoice.amount != to_msat(request.amount)) {
    return fail(Errc::bad_invoice,
                fmt::format("Payment: the challenge says {}, its invoice {}",
                            format(request.amount), format(*offer.invoice.amount)));
  }
  if (request.payment_hash && *request.payment_hash != offer.invoice.payment_hash) {
    return fail(Errc::bad_invoice,
                "Payment: the challenge names another payment hash than its invoice");
  }
  if (request.network && *request.network != bolt11::to_string(offer.invoice.network)) {
    return fail(Errc::bad_invoice,
                fmt::format("Payment: the challenge says {}, its invoice is of {}",
                            *request.network, bolt11::to_string(offer.invoice.network)));
  }
  OCTROI_TRY(offer.expires, mpp::effective_expiry(challenge.expires, offer.invoice.expires()));
  if (now + kLeastTimeLeft >= offer.expires)
    return fail(Errc::bad_invoice, "Payment: the challenge has expired or is about to");
  offer.amount = *offer.invoice.amount;
  offer.challenge = std::move(challenge);
  return offer;
}

bool is_session(const mpp::Challenge& challenge) {
  return challenge.method == mpp::lightning::kMethod &&
         challenge.intent == mpp::lightning::kSessionIntent;
}

/// Lightning session, "Challenge Request": the invoice is what will be paid; what stands beside it
/// must agree.
Result<> check_deposit(const mpp::lightning::SessionRequest& request,
                       const bolt11::Invoice& invoice) {
  if (request.deposit_amount && *invoice.amount != to_msat(*request.deposit_amount)) {
    return fail(Errc::bad_invoice,
                fmt::format("Payment: the challenge says a deposit of {}, its invoice {}",
                            format(*request.deposit_amount), format(*invoice.amount)));
  }
  if (request.payment_hash != invoice.payment_hash) {
    return fail(Errc::bad_invoice,
                "Payment: the challenge names another payment hash than its deposit invoice");
  }
  if (*invoice.amount < to_msat(request.amount)) {
    return fail(Errc::bad_invoice,
                fmt::format("Payment: the deposit of {} does not pay for one unit of {}",
                            format(*invoice.amount), format(request.amount)));
  }
  return {};
}

std::string_view field_of(const mpp::Challenge& challenge) {
  return challenge.header ? std::string_view(*challenge.header) : std::string_view("Authorization");
}

}  // namespace

Result<SessionOffer> read_session_offer(mpp::Challenge challenge, UnixMillis now) {
  OCTROI_TRY(auto request, mpp::lightning::parse_session_request(challenge.request));
  SessionOffer offer;
  offer.unit = request.amount;
  offer.idle_timeout = request.idle_timeout;
  offer.hash = request.payment_hash;
  if (!challenge.expires && !request.deposit_invoice)
    return fail(Errc::bad_invoice, "Payment: a session's challenge must say when it expires");
  if (request.deposit_invoice) {
    auto invoice = decode_payable(*request.deposit_invoice, now);
    // One that is over can no longer be paid, but its challenge can still be shown.
    if (invoice) {
      OCTROI_CHECK(check_deposit(request, *invoice));
      OCTROI_TRY(offer.pay_before, mpp::effective_expiry(challenge.expires, invoice->expires()));
      offer.deposit = *invoice->amount;
      offer.invoice_text = *request.deposit_invoice;
      offer.invoice = std::move(*invoice);
    } else if (!challenge.expires) {
      return fail(std::move(invoice).error());
    }
  }
  if (challenge.expires) {
    OCTROI_TRY(offer.expires, mpp::parse_expires(*challenge.expires));
  } else {
    offer.expires = offer.pay_before;
  }
  if (offer.invoice && now + kLeastTimeLeft >= offer.pay_before) {
    offer.invoice.reset();
    offer.invoice_text.clear();
  }
  offer.challenge = std::move(challenge);
  return offer;
}

std::string_view to_string(Scheme s) {
  switch (s) {
    case Scheme::l402:
      return "l402";
    case Scheme::payment:
      return "payment";
  }
  return "unknown";
}

ReadOffers read_offers(const http::Headers& response, UnixMillis now) {
  ReadOffers out;
  auto take = [&out](Result<Offer> offer) {
    if (!offer) {
      out.refused.emplace_back(offer.error().message());
      return;
    }
    // LSAT and L402 lines with one invoice are one offer.
    const bool known = std::any_of(out.offers.begin(), out.offers.end(), [&](const Offer& o) {
      return o.scheme == offer->scheme && o.invoice.payment_hash == offer->invoice.payment_hash;
    });
    if (!known) out.offers.push_back(std::move(*offer));
  };
  const auto lines = response.all("WWW-Authenticate");
  for (const auto& challenge : mpp::parse_auth_challenges(lines)) {
    if (auto l402 = as_l402(challenge)) take(read_l402(std::move(*l402), now));
  }
  if (auto challenges = mpp::parse_challenges(lines)) {
    for (auto& challenge : *challenges) {
      if (!is_session(challenge)) {
        take(read_charge(std::move(challenge), now));
      } else if (auto session = read_session_offer(std::move(challenge), now); !session) {
        out.refused.emplace_back(session.error().message());
      } else if (session->expires <= now) {
        out.refused.emplace_back("Payment: the challenge has expired");
      } else {
        out.sessions.push_back(std::move(*session));
      }
    }
  }
  return out;
}

std::string_view Offer::field() const {
  const auto* payment = std::get_if<mpp::Challenge>(&challenge);
  return payment != nullptr ? field_of(*payment) : std::string_view("Authorization");
}

std::string_view SessionOffer::field() const { return field_of(challenge); }

const Offer* choose(const std::vector<Offer>& offers, std::optional<Scheme> prefer,
                    const http::Headers& own) {
  const Offer* first = nullptr;
  for (const Offer& offer : offers) {
    if (own.has(offer.field())) continue;
    if (prefer && offer.scheme == *prefer) return &offer;
    if (first == nullptr) first = &offer;
  }
  return first;
}

Result<Proof> make_proof(const Offer& offer, const Secret& preimage) {
  if (const auto* challenge = std::get_if<L402Challenge>(&offer.challenge)) {
    return Proof{"Authorization", Secret::take((challenge->lsat ? "LSAT " : "L402 ") +
                                               challenge->token + ":" + to_hex(preimage.reveal()))};
  }
  return make_proof(std::get<mpp::Challenge>(offer.challenge),
                    offer.is_free() ? mpp::lightning::zero_payload_json()
                                    : mpp::lightning::charge_payload_json(preimage));
}

Result<Proof> make_proof(const mpp::Challenge& challenge, std::string payload_json) {
  auto value = mpp::format_credential(challenge, payload_json);
  secure_wipe(payload_json.data(), payload_json.size());
  if (!value) return fail(std::move(value).error());
  return Proof{std::string(field_of(challenge)), Secret::take(std::move(*value))};
}

}  // namespace octroi::wallet
