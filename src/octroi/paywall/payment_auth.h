// octroi/paywall/payment_auth.h: the Payment scheme, method lightning, intent charge: one payment,
// one request.
//
// Nothing is stored for an unpaid request: the challenge's id is a MAC under a key that is derived
// from the place it was issued for, so a credential shown elsewhere, or with another body, does not
// verify. A proof is spent in two durable steps (ledger::Store::consume, finish_consume). Where the
// price is zero there is no invoice: the challenge's id itself is the proof, claimed once
// (claim_nonce) before the request is forwarded. Source  Payment core; Lightning charge;
// architecture 3.7.   Thread: one object a worker.
#pragma once

#include <memory>

#include "octroi/mpp/ids.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class PaymentAuthenticator final : public Authenticator {
 public:
  PaymentAuthenticator(Shared& shared, std::shared_ptr<const mpp::KeyRing> keys, std::string realm,
                       Millis challenge_ttl)
      : shared_(shared),
        keys_(std::move(keys)),
        realm_(std::move(realm)),
        challenge_ttl_(challenge_ttl) {}

  [[nodiscard]] OfferScheme scheme() const override { return OfferScheme::payment; }
  [[nodiscard]] bool presented(const Credentials& credentials) const override {
    return credentials.has_payment();
  }
  Task<Verdict> verify(const Credentials& credentials, const RequestContext& context) override;
  Task<Admission> admit(const Grant& grant, const RequestContext& context) override;
  Task<Result<Offer>> offer(const RequestContext& context) override;
  [[nodiscard]] bool wanted(const RequestContext& context) const override;
  void decorate(const Grant& grant, http::ResponseHead& head, UnixMillis when) const override;
  Task<Result<>> settle(const Grant& grant, ledger::StoredResponse response) override;

 private:
  Task<Admission> admit_zero(const Grant& grant);
  Task<ledger::ConsumeOutcome> wait_for_answer(ledger::ConsumeRequest request);
  [[nodiscard]] Result<Offer> offer_zero(const RequestContext& context) const;
  [[nodiscard]] UnixMillis end_of(const RequestContext& context) const;
  [[nodiscard]] Result<Offer> issue(const RequestContext& context, std::string request,
                                    UnixMillis expires) const;

  Shared& shared_;
  std::shared_ptr<const mpp::KeyRing> keys_;
  std::string realm_;
  Millis challenge_ttl_;
};

}  // namespace octroi::paywall
