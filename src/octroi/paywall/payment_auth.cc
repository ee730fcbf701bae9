#include "octroi/paywall/payment_auth.h"

#include <algorithm>
#include <utility>

#include "octroi/crypto/hash.h"
#include "octroi/mpp/accept_payment.h"
#include "octroi/mpp/binding.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/errc.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/zero.h"
#include "octroi/mpp/opaque.h"
#include "octroi/mpp/receipt.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/errors.h"
#include "octroi/paywall/facts.h"

namespace octroi::paywall {

namespace {

using mpp::ProblemType;

constexpr Millis kKeepAfterExpiry{3'600'000};  // longer than any clock skew between replicas
constexpr Millis kReplayWait{10'000};
constexpr Millis kReplayPoll{50};

/// Ids of challenges over nothing, each claimed once.
constexpr std::string_view kZeroScope = "payment/zero";

Refusal refusal(ProblemType type, std::string detail, Judged result) {
  Refusal r;
  r.problem = mpp::Problem(type, std::move(detail));
  r.status = r.problem.status();
  r.result = result;
  return r;
}

/// What the challenge is bound to besides the slots of its id.
struct Place {
  std::string scope;
  mpp::BindingFields fields;
  explicit Place(const RequestContext& c) {
    // A quote opens nothing but what it was asked for, whatever the scope.
    if (c.service.quoted()) {
      scope = quoted_place(c);
    } else {
      set_scope(c);
    }
    fields = {"payment", c.service.settings.name.str(), c.method, scope};
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  void set_scope(const RequestContext& c) {
    switch (c.service.settings.scope) {
      case Scope::path:
        scope = "path:" + c.path;
        break;
      case Scope::rule:
        scope = "rule:" + c.rule.id;
        break;
      case Scope::query:
        scope = "query:" + c.path + "?" + c.query;
        break;
    }
  }
};

std::optional<std::string> opaque_of(const ServiceSettings& s) {
  if (!s.opaque) return std::nullopt;
  return mpp::format_opaque({{"service", s.name.str()}});
}

/// The challenge as we issue it, but for its id; also how an echoed one is put together again, from
/// what we know and not from what came back.
mpp::Challenge blank_challenge(const RequestContext& c, const std::string& realm) {
  mpp::Challenge challenge;
  challenge.realm = realm;
  challenge.method = std::string(mpp::lightning::kMethod);
  challenge.intent = std::string(mpp::lightning::kChargeIntent);
  if (!c.digest.empty()) challenge.digest = c.digest;
  const std::string& description =
      c.quote.description.empty() ? c.service.settings.description : c.quote.description;
  if (!description.empty()) challenge.description = description;
  challenge.opaque = opaque_of(c.service.settings);
  if (c.service.settings.payment_header) challenge.header = std::string(mpp::kPaymentAuthorization);
  return challenge;
}

/// Problems after which the holder may try again with the same, still unpaid or wrongly proven,
/// challenge.
bool may_repeat(ProblemType type) {
  return type == ProblemType::lightning_invalid_preimage ||
         type == ProblemType::lightning_malformed_credential ||
         type == ProblemType::invalid_payload || type == ProblemType::verification_failed;
}

Judged judged_as(ProblemType type) {
  if (type == ProblemType::lightning_expired_invoice || type == ProblemType::payment_expired)
    return Judged::expired;
  if (type == ProblemType::lightning_invalid_preimage) return Judged::invalid_preimage;
  if (type == ProblemType::lightning_unknown_challenge) return Judged::unknown_challenge;
  return Judged::malformed;
}

/// A proof over nothing: good when its challenge is ours and in time. Its id is what is consumed.
Verdict judge_zero(const mpp::Credential& credential, const RequestContext& context,
                   std::optional<std::size_t> key) {
  if (auto problem = mpp::lightning::verify_zero(credential, context.now)) {
    Refusal r;
    r.problem = std::move(*problem);
    r.status = r.problem.status();
    r.result = judged_as(r.problem.type);
    r.key = key;
    return r;
  }
  Grant grant;
  grant.scheme = OfferScheme::payment;
  grant.kind = ledger::Scheme::mpp_charge;
  grant.zero_amount = true;
  grant.challenge_id = credential.challenge().id;
  grant.payload = crypto::sha256(as_bytes(grant.challenge_id));
  const auto expires = mpp::parse_expires(credential.challenge().expires.value_or(""));
  grant.expires = expires ? *expires : context.now;
  grant.key = key;
  return grant;
}

}  // namespace

Task<Verdict> PaymentAuthenticator::verify(const Credentials& credentials,
                                           const RequestContext& context) {
  const bool in_own_field = !credentials.payment_authorization.empty();
  const std::string& value =
      in_own_field ? credentials.payment_authorization.front() : credentials.payment.front();
  auto parsed = mpp::parse_credential(value);
  if (!parsed) {
    Refusal r;
    r.problem = mpp::problem_for(parsed.error());
    r.status = r.problem.status();
    r.result = Judged::malformed;
    co_return r;
  }
  const mpp::Challenge& echoed = parsed->challenge();
  if (echoed.method != mpp::lightning::kMethod) {
    co_return refusal(ProblemType::method_unsupported,
                      "this service takes the payment method lightning", Judged::method);
  }
  if (echoed.intent != mpp::lightning::kChargeIntent) {
    co_return refusal(ProblemType::lightning_unknown_challenge,
                      "this service takes the intent charge; pay one of its challenges",
                      Judged::intent);
  }
  if (in_own_field != context.service.settings.payment_header) {
    co_return refusal(ProblemType::lightning_malformed_credential,
                      context.service.settings.payment_header
                          ? "send the credential in Payment-Authorization"
                          : "send the credential in Authorization",
                      Judged::field);
  }

  mpp::Challenge ours = blank_challenge(context, realm_);
  ours.id = echoed.id;
  ours.request = echoed.request;
  ours.expires = echoed.expires;
  const Place place(context);
  const auto version = echoed.realm == realm_ ? mpp::verify_bound_id(*keys_, place.fields,
                                                                     mpp::id_slots(ours), echoed.id)
                                              : std::nullopt;
  if (!version) {
    co_return refusal(
        ProblemType::lightning_unknown_challenge,
        "this challenge was not issued for this service, method, path and body; pay a fresh one",
        Judged::unknown_challenge);
  }
  if (!ours.expires) {
    auto r = refusal(ProblemType::lightning_unknown_challenge,
                     "the challenge has no expiry; pay a fresh one", Judged::unknown_challenge);
    r.key = version;
    co_return r;
  }

  // The text is the source's own and no slot of the id; it is the holder's to have back.
  if (context.service.quoted()) ours.description = echoed.description;
  if (mpp::lightning::is_zero_request(ours.request)) {
    co_return judge_zero(*parsed, context, version);
  }

  auto proof = mpp::lightning::verify_charge(*parsed, {context.now, Millis(0), std::nullopt});
  if (!proof) {
    Refusal r;
    r.problem = proof.error();
    r.status = r.problem.status();
    r.result = judged_as(r.problem.type);
    r.key = version;
    if (may_repeat(r.problem.type)) {
      // A challenge that was spent is not to be paid again: it is as unknown as any other.
      auto request = mpp::lightning::parse_charge_request(ours.request);
      bool spent = true;
      if (request && request->payment_hash) {
        auto consumed = co_await shared_.store.is_consumed(*request->payment_hash);
        spent = !consumed || *consumed;
      }
      if (spent) {
        auto used = refusal(ProblemType::lightning_unknown_challenge,
                            "this payment was already used; pay a fresh challenge", Judged::spent);
        used.key = version;
        co_return used;
      }
      if (auto line = mpp::format_challenge(ours)) {
        r.repeat_challenge = std::move(*line);
        r.problem.challenge_id = ours.id;
      }
    }
    co_return r;
  }
  if (context.service.settings.strict) {
    bool settled = false;
    if (shared_.settlement != nullptr) {
      auto asked = co_await shared_.settlement->is_settled(proof->hash);
      if (!asked) {
        auto r =
            refusal(ProblemType::internal_payment_error,
                    "settlement cannot be checked now; nothing was consumed", Judged::unavailable);
        r.status = 503;
        r.retry_after = Millis(5'000);
        co_return r;
      }
      settled = *asked;
    }
    if (!settled) {
      auto r = refusal(ProblemType::verification_failed,
                       "the node does not report this invoice as settled yet", Judged::not_settled);
      r.key = version;
      if (auto line = mpp::format_challenge(ours)) r.repeat_challenge = std::move(*line);
      r.retry_after = Millis(1'000);
      co_return r;
    }
  }

  Grant grant;
  grant.scheme = OfferScheme::payment;
  grant.kind = ledger::Scheme::mpp_charge;
  grant.hash = proof->hash;
  grant.amount = to_msat(proof->request.amount);
  grant.challenge_id = echoed.id;
  grant.payload = parsed->fingerprint();
  auto expires = mpp::parse_expires(*ours.expires);
  grant.expires = expires ? *expires : context.now;
  grant.key = version;
  grant.via_payment_authorization = in_own_field;
  co_return grant;
}

Task<Admission> PaymentAuthenticator::admit(const Grant& grant, const RequestContext& context) {
  if (grant.zero_amount) co_return co_await admit_zero(grant);
  ledger::ConsumeRequest request;
  request.hash = grant.hash;
  request.scheme = grant.kind;
  request.service = context.service.settings.name.str();
  request.challenge_id = grant.challenge_id;
  request.payload = grant.payload;
  request.idempotency_key = context.idempotency_key;
  request.now = context.now;
  request.keep_until = grant.expires + kKeepAfterExpiry;
  request.request_id = context.request_id;

  auto consumed = co_await shared_.store.consume(request);
  if (!consumed) {
    auto r = refusal(ProblemType::internal_payment_error,
                     "the payment cannot be recorded now; it was not consumed, try again",
                     Judged::unavailable);
    r.status = 503;
    r.retry_after = Millis(1'000);
    r.key = grant.key;
    co_return r;
  }
  ledger::ConsumeOutcome outcome = std::move(*consumed);
  if (outcome.state == ledger::ConsumeState::pending)
    outcome = co_await wait_for_answer(std::move(request));

  switch (outcome.state) {
    case ledger::ConsumeState::fresh:
      shared_.unpaid.settled(grant.hash);
      context.metrics.first_payment(grant.kind, grant.amount);
      co_return Proceed{};
    case ledger::ConsumeState::replay:
      if (outcome.response) co_return std::move(*outcome.response);
      [[fallthrough]];
    case ledger::ConsumeState::unfinished: {
      ledger::StoredResponse lost;
      lost.status = 502;
      lost.body_kept = false;
      co_return lost;
    }
    case ledger::ConsumeState::pending: {
      auto r = refusal(ProblemType::invalid_challenge,
                       "this credential is being served right now; ask again for its answer",
                       Judged::pending);
      r.status = 409;
      r.retry_after = Millis(2'000);
      r.key = grant.key;
      co_return r;
    }
    case ledger::ConsumeState::unknown_hash:
    case ledger::ConsumeState::spent:
      break;
  }
  auto r =
      refusal(ProblemType::lightning_unknown_challenge,
              outcome.state == ledger::ConsumeState::spent
                  ? "this payment was already used; pay a fresh challenge"
                  : "this node made no such invoice; pay a fresh challenge",
              outcome.state == ledger::ConsumeState::spent ? Judged::spent : Judged::unknown_hash);
  r.key = grant.key;
  co_return r;
}

/// Claimed before the request is forwarded and never given back; without a stored answer a second
/// use, with whatever key, is a replay.
Task<Admission> PaymentAuthenticator::admit_zero(const Grant& grant) {
  auto claimed = co_await shared_.store.claim_nonce(std::string(kZeroScope), grant.payload,
                                                    grant.expires + kKeepAfterExpiry);
  if (claimed && *claimed) co_return Proceed{};
  Refusal r;
  if (!claimed) {
    r = refusal(ProblemType::internal_payment_error,
                "the proof cannot be recorded now; it was not used, try again",
                Judged::unavailable);
    r.status = 503;
    r.retry_after = Millis(1'000);
  } else {
    r = refusal(ProblemType::lightning_unknown_challenge,
                "this challenge was already answered; answer the fresh one", Judged::spent);
  }
  r.key = grant.key;
  co_return r;
}

/// Another request with the same credential and key is being delivered by this process: its answer
/// is ours too, if it comes in time.
Task<ledger::ConsumeOutcome> PaymentAuthenticator::wait_for_answer(ledger::ConsumeRequest request) {
  net::Loop* loop = net::Loop::current();
  ledger::ConsumeOutcome outcome;
  outcome.state = ledger::ConsumeState::pending;
  if (loop == nullptr) co_return outcome;
  // By the loop's time: sleeps take longer than they say, and two hundred add up.
  for (const Millis until = loop->now() + kReplayWait; loop->now() < until;) {
    co_await loop->sleep(kReplayPoll);
    auto again = co_await shared_.store.consume(request);
    if (!again) break;
    outcome = std::move(*again);
    if (outcome.state != ledger::ConsumeState::pending) break;
  }
  co_return outcome;
}

bool PaymentAuthenticator::wanted(const RequestContext& context) const {
  const auto lines = context.headers.all("Accept-Payment");
  const auto ranges = mpp::parse_accept_payment(lines);
  if (!ranges) return true;
  const std::array<mpp::Offer, 1> offers = {
      mpp::Offer{mpp::lightning::kMethod, mpp::lightning::kChargeIntent}};
  // A client that accepts nothing we have still learns the price, unless L402 tells it already.
  return !mpp::rank_offers(*ranges, offers).empty() || !context.service.offers(OfferScheme::l402) ||
         context.quote.amount.is_zero();
}

Task<Result<Offer>> PaymentAuthenticator::offer(const RequestContext& context) {
  if (context.quote.amount.is_zero()) co_return offer_zero(context);
  const Sat amount = to_sat_ceil(context.quote.amount);
  std::string memo = realm_ + " " + context.service.settings.name.str();
  OCTROI_CO_TRY(auto invoice,
                context.service.quoted()
                    ? co_await shared_.invoices.take_once(to_msat(amount), std::move(memo))
                    : co_await shared_.invoices.take(to_msat(amount), std::move(memo)));

  mpp::lightning::ChargeRequest request;
  request.amount = amount;
  request.invoice = invoice.bolt11;
  request.payment_hash = invoice.hash;
  if (const auto network = shared_.invoices.network()) {
    // The draft knows three names; for the others the invoice itself says which network it is.
    if (*network == lightning::Network::mainnet || *network == lightning::Network::regtest ||
        *network == lightning::Network::signet) {
      request.network = std::string(lightning::to_string(*network));
    }
  }
  const UnixMillis expires = std::min(end_of(context), invoice.expires);
  auto encoded = mpp::lightning::format_charge_request(request);
  if (!encoded) {
    shared_.invoices.give_back(std::move(invoice));
    co_return fail(std::move(encoded).error());
  }
  auto offer = issue(context, std::move(*encoded), expires);
  if (!offer) {
    shared_.invoices.give_back(std::move(invoice));
    co_return fail(std::move(offer).error());
  }
  offer->hash = invoice.hash;
  ledger::TransactionRecord row;
  row.hash = invoice.hash;
  row.service = context.service.settings.name.str();
  row.scheme = ledger::Scheme::mpp_charge;
  row.amount = to_msat(amount);
  row.challenge_id = offer->challenge_id;
  row.request_id = context.request_id;
  row.created = context.now;
  row.expires = expires;
  shared_.transactions.handed_out(std::move(row));
  co_return offer;
}

/// Nothing is asked of the node and nothing is written: there is no invoice.
Result<Offer> PaymentAuthenticator::offer_zero(const RequestContext& context) const {
  return issue(context, mpp::lightning::format_zero_request(shared_.random), end_of(context));
}

/// Not after the challenge's time to live, nor after what the source of the price stands by.
UnixMillis PaymentAuthenticator::end_of(const RequestContext& context) const {
  const UnixMillis end = context.now + challenge_ttl_;
  return context.quote.valid_until ? std::min(end, *context.quote.valid_until) : end;
}

/// The challenge over `request`, bound to the place that it is for.
Result<Offer> PaymentAuthenticator::issue(const RequestContext& context, std::string request,
                                          UnixMillis expires) const {
  mpp::Challenge challenge = blank_challenge(context, realm_);
  challenge.expires = mpp::format_expires(expires);
  challenge.request = std::move(request);
  const Place place(context);
  challenge.id = mpp::bound_challenge_id(*keys_, place.fields, mpp::id_slots(challenge));
  OCTROI_TRY(auto line, mpp::format_challenge(challenge));
  Offer offer;
  offer.challenge_id = std::move(challenge.id);
  offer.lines.push_back(std::move(line));
  return offer;
}

void PaymentAuthenticator::decorate(const Grant& grant, http::ResponseHead& head,
                                    UnixMillis when) const {
  auto receipt = mpp::format_receipt(
      grant.zero_amount ? mpp::lightning::zero_receipt(grant.challenge_id, when)
                        : mpp::lightning::charge_receipt(grant.hash, grant.challenge_id, when));
  if (receipt) head.headers.set("Payment-Receipt", *receipt);
}

Task<Result<>> PaymentAuthenticator::settle(const Grant& grant, ledger::StoredResponse response) {
  if (grant.zero_amount) co_return Result<>{};  // its answer is not kept
  co_return co_await shared_.store.finish_consume(grant.hash, std::move(response));
}

}  // namespace octroi::paywall
