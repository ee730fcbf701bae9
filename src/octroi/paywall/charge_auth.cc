#include "octroi/paywall/charge_auth.h"

#include <algorithm>
#include <utility>

#include "octroi/crypto/hash.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/zero.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

namespace {

using mpp::ProblemType;

/// Ids of challenges over nothing, each claimed once.
constexpr std::string_view kZeroScope = "payment/zero";

Judged judged_as(ProblemType type) {
  if (type == ProblemType::lightning_expired_invoice || type == ProblemType::payment_expired)
    return Judged::expired;
  if (type == ProblemType::lightning_invalid_preimage) return Judged::invalid_preimage;
  if (type == ProblemType::lightning_unknown_challenge) return Judged::unknown_challenge;
  return Judged::malformed;
}

Grant charge_grant(const mpp::Credential& credential, const ChallengeMaker::Known& known) {
  Grant grant;
  grant.scheme = OfferScheme::payment;
  grant.kind = ledger::Scheme::mpp_charge;
  grant.use = Use::once;
  grant.challenge_id = credential.challenge().id;
  if (known.expires) grant.expires = *known.expires;
  grant.key = known.key;
  return grant;
}

/// A proof over nothing: good when its challenge is ours and in time. Its id is what is consumed.
Verdict judge_zero(const mpp::Credential& credential, const RequestContext& context,
                   const ChallengeMaker::Known& known) {
  if (auto problem = mpp::lightning::verify_zero(credential, context.now)) {
    const Judged result = judged_as(problem->type);
    auto r = refuse_payment(std::move(*problem), result);
    r.key = known.key;
    return r;
  }
  Grant grant = charge_grant(credential, known);
  grant.zero_amount = true;
  grant.payload = crypto::sha256(as_bytes(grant.challenge_id));
  return grant;
}

}  // namespace

Task<Verdict> ChargeIntent::verify(const mpp::Credential& credential,
                                   const RequestContext& context) {
  auto known = challenges_.recognise(context, Intent::charge, credential.challenge());
  if (!known) {
    co_return refuse_payment(
        ProblemType::lightning_unknown_challenge,
        "this challenge was not issued for this service, method, path and body; pay a fresh one",
        Judged::unknown_challenge);
  }
  if (!known->challenge.expires) {
    auto r =
        refuse_payment(ProblemType::lightning_unknown_challenge,
                       "the challenge has no expiry; pay a fresh one", Judged::unknown_challenge);
    r.key = known->key;
    co_return r;
  }
  if (!known->expires) known->expires = context.now;
  if (mpp::lightning::is_zero_request(known->challenge.request)) {
    co_return judge_zero(credential, context, *known);
  }
  auto proof = mpp::lightning::verify_charge(credential, {context.now, Millis(0), std::nullopt});
  if (!proof) co_return co_await refuse_proof(proof.error(), std::move(*known));
  if (context.service.settings.strict) {
    auto refusal = co_await confirm_settled(shared_, *known, proof->hash, verify_within_);
    if (refusal) co_return std::move(*refusal);
  }
  Grant grant = charge_grant(credential, *known);
  grant.hash = proof->hash;
  grant.amount = to_msat(proof->request.amount);
  grant.payload = credential.fingerprint();
  co_return grant;
}

/// A challenge that was spent is not to be paid again, so only an unspent one is given back.
Task<Refusal> ChargeIntent::refuse_proof(mpp::Problem problem, ChallengeMaker::Known known) {
  const ProblemType type = problem.type;
  auto refusal = refuse_payment(std::move(problem), judged_as(type));
  refusal.key = known.key;
  if (!may_repeat(type)) co_return refusal;
  auto request = mpp::lightning::parse_charge_request(known.challenge.request);
  if (!request || !request->payment_hash) co_return refuse_used(ledger::ConsumeState::spent);
  const PaymentHash hash = *request->payment_hash;
  co_return co_await repeat_unless_spent(shared_, std::move(refusal), std::move(known), hash,
                                         verify_within_);
}

Task<Admission> ChargeIntent::admit(const Grant& grant, const RequestContext& context) {
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
    auto r = refuse_for_now("the payment cannot be recorded now; it was not consumed, try again",
                            Millis(1'000));
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
      auto r = refuse_while_pending();
      r.key = grant.key;
      co_return r;
    }
    case ledger::ConsumeState::unknown_hash:
    case ledger::ConsumeState::spent:
      break;
  }
  auto r = refuse_used(outcome.state);
  r.key = grant.key;
  co_return r;
}

/// Claimed before the request is forwarded and never given back; without a stored answer a second
/// use, with whatever key, is a replay.
Task<Admission> ChargeIntent::admit_zero(const Grant& grant) {
  auto claimed = co_await shared_.store.claim_nonce(std::string(kZeroScope), grant.payload,
                                                    grant.expires + kKeepAfterExpiry);
  if (claimed && *claimed) co_return Proceed{};
  Refusal r = claimed
                  ? refuse_payment(ProblemType::lightning_unknown_challenge,
                                   "this challenge was already answered; answer the fresh one",
                                   Judged::spent)
                  : refuse_for_now("the proof cannot be recorded now; it was not used, try again",
                                   Millis(1'000));
  r.key = grant.key;
  co_return r;
}

/// Another request with the same credential and key is being delivered by this process: its answer
/// is ours too, if it comes in time.
Task<ledger::ConsumeOutcome> ChargeIntent::wait_for_answer(ledger::ConsumeRequest request) {
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

Task<Result<Offer>> ChargeIntent::offer(const RequestContext& context) {
  if (context.quote.amount.is_zero()) co_return offer_zero(context);
  const Sat amount = to_sat_ceil(context.quote.amount);
  std::string memo = challenges_.memo(context);
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
  auto encoded = mpp::lightning::format_charge_request(request);
  co_return challenges_.offer(
      shared_, context, Intent::charge,
      {std::move(invoice), std::move(encoded), to_msat(amount), ledger::Scheme::mpp_charge});
}

/// Nothing is asked of the node and nothing is written: there is no invoice.
Result<Offer> ChargeIntent::offer_zero(const RequestContext& context) const {
  return challenges_.issue(context, Intent::charge,
                           mpp::lightning::format_zero_request(shared_.random),
                           challenges_.end_of(context));
}

mpp::Receipt ChargeIntent::receipt(const Grant& grant, UnixMillis when) {
  return grant.zero_amount ? mpp::lightning::zero_receipt(grant.challenge_id, when)
                           : mpp::lightning::charge_receipt(grant.hash, grant.challenge_id, when);
}

Task<Result<>> ChargeIntent::settle(const Grant& grant, Delivery delivery) {
  if (grant.zero_amount || !delivery.answer) co_return Result<>{};  // its answer is not kept
  // Without a key nobody is ever given it again, so nobody waits for it either.
  if (delivery.has_key)
    co_return co_await shared_.store.finish_consume(grant.hash, std::move(*delivery.answer));
  shared_.store.keep_answer(grant.hash, std::move(*delivery.answer));
  co_return Result<>{};
}

}  // namespace octroi::paywall
