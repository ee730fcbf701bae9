// octroi/paywall/charge_auth.h: the intent charge of the Payment scheme: one payment, one request.
//
// Nothing is stored for an unpaid request. A proof is spent in two durable steps
// (ledger::Store::consume, finish_consume). Where the price is zero there is no invoice: the
// challenge's id itself is the proof, claimed once (claim_nonce) before the request is forwarded.
// Source  Lightning charge; architecture 3.7.   Thread: one object a worker.
#pragma once

#include "octroi/mpp/receipt.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/payment_challenge.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class ChargeIntent {
 public:
  /// Both outlive it.
  ChargeIntent(Shared& shared, const ChallengeMaker& challenges, Millis verify_within)
      : shared_(shared), challenges_(challenges), verify_within_(verify_within) {}

  /// REQUIRES the parsed credential of a lightning challenge with this intent.
  Task<Verdict> verify(const mpp::Credential& credential, const RequestContext& context);
  Task<Admission> admit(const Grant& grant, const RequestContext& context);
  Task<Result<Offer>> offer(const RequestContext& context);
  [[nodiscard]] static mpp::Receipt receipt(const Grant& grant, UnixMillis when);
  Task<Result<>> settle(const Grant& grant, Delivery delivery);

 private:
  Task<Refusal> refuse_proof(mpp::Problem problem, ChallengeMaker::Known known);
  Task<Admission> admit_zero(const Grant& grant);
  Task<ledger::ConsumeOutcome> wait_for_answer(ledger::ConsumeRequest request);
  [[nodiscard]] Result<Offer> offer_zero(const RequestContext& context) const;

  Shared& shared_;
  const ChallengeMaker& challenges_;
  Millis verify_within_;
};

}  // namespace octroi::paywall
