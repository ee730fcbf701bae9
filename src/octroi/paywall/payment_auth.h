// octroi/paywall/payment_auth.h: the Payment scheme, method lightning: the credential is read once
// and goes to its intent, charge or session.
//
// What a 402 offers: by default one Lightning intent, because clients in the field read the last
// one, or the first, or fail on two (mpp.md 6.1): the one that Accept-Payment prefers, or else the
// first that the service names.
//
// Source  Payment core; Lightning charge and session; architecture 3.7.   Thread: one object a
//         worker.
#pragma once

#include <memory>
#include <optional>

#include "octroi/mpp/ids.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/charge_auth.h"
#include "octroi/paywall/payment_challenge.h"
#include "octroi/paywall/session_auth.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

struct PaymentOptions {
  std::string realm;
  Millis challenge_ttl{900'000};
  Millis verify_within{10'000};
  std::optional<Rate> rate;  // for prices of sessions in usd
};

/// The one Payment credential of a request; nothing when there is none.
[[nodiscard]] std::optional<Result<mpp::Credential>> read_payment(const Credentials& credentials);
/// Whether a credential says that it is of a session: which intent it names decides what it is
/// bound to.
[[nodiscard]] bool is_session_credential(const std::optional<Result<mpp::Credential>>& payment);

class PaymentAuthenticator final : public Authenticator {
 public:
  PaymentAuthenticator(Shared& shared, std::shared_ptr<const mpp::KeyRing> keys,
                       PaymentOptions options)
      : challenges_(std::move(keys), std::move(options.realm), options.challenge_ttl),
        charge_(shared, challenges_, options.verify_within),
        session_(shared, challenges_, options.rate, options.verify_within) {}
  PaymentAuthenticator(const PaymentAuthenticator&) = delete;
  PaymentAuthenticator& operator=(const PaymentAuthenticator&) = delete;

  [[nodiscard]] OfferScheme scheme() const override { return OfferScheme::payment; }
  [[nodiscard]] bool presented(const Credentials& credentials) const override {
    return credentials.has_payment();
  }
  Task<Verdict> verify(const Credentials& credentials, const RequestContext& context) override;
  Task<Admission> admit(const Grant& grant, const RequestContext& context) override;
  Task<Result<Offer>> offer(const RequestContext& context, Intent intent) override;
  [[nodiscard]] Intents wanted(const RequestContext& context) const override;
  void decorate(const Grant& grant, http::ResponseHead& head, UnixMillis when) const override;
  Task<Result<>> settle(const Grant& grant, Delivery delivery) override;

 private:
  ChallengeMaker challenges_;
  ChargeIntent charge_;
  SessionIntent session_;
};

}  // namespace octroi::paywall
