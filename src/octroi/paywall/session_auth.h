// octroi/paywall/session_auth.h: the intent session of the Payment scheme: a deposit is paid once,
// its preimage opens further requests, and what is left goes back to the payer.
//
//   open    consumes the deposit's hash, debits the request that it came with, relays it
//   bearer  debits the route's price in one durable step, relays; given back when nothing came
//   topUp   adds a further deposit; answered here
//   close   ends the session, sends the refund; answered here
//
// A bearer is billed what its challenge showed: where the route's price is another one it is
// refused with a fresh challenge. verify() judges the proof without any effect (session_auth.cc);
// admit() and settle() are what the ledger does (session_actions.cc), and the only places that move
// money.
//
// Challenge ids of open, topUp and close are consumed, with the answer kept for the same
// credential; a bearer consumes none and may be shown with any challenge of its service.
//
// Source  Lightning session; architecture 3.7; docs/sessions.md.   Thread: one object a worker.
#pragma once

#include <optional>

#include "octroi/ledger/sessions.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/receipt.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/payment_challenge.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class SessionIntent {
 public:
  /// Shared and challenges outlive it.
  SessionIntent(Shared& shared, const ChallengeMaker& challenges, std::optional<Rate> rate,
                Millis verify_within)
      : shared_(shared), challenges_(challenges), rate_(rate), verify_within_(verify_within) {}

  /// REQUIRES the parsed credential of a lightning challenge with this intent.
  Task<Verdict> verify(const mpp::Credential& credential, const RequestContext& context);
  Task<Admission> admit(const Grant& grant, const RequestContext& context);
  Task<Result<Offer>> offer(const RequestContext& context);
  [[nodiscard]] static mpp::Receipt receipt(const Grant& grant, UnixMillis when);
  Task<Result<>> settle(const Grant& grant, Delivery delivery);

 private:
  /// A credential over a challenge of ours that is in time.
  struct Shown {
    const mpp::Credential& credential;
    const RequestContext& context;
    ChallengeMaker::Known known;
    mpp::lightning::SessionRequest request;
  };

  // judging
  Task<Verdict> judge(Shown& shown, mpp::lightning::OpenAction action);
  Task<Verdict> judge(Shown& shown, mpp::lightning::BearerAction action);
  Task<Verdict> judge(Shown& shown, mpp::lightning::TopUpAction action);
  Task<Verdict> judge(Shown& shown, mpp::lightning::CloseAction action);
  Task<Verdict> refuse(Shown& shown, Refusal refusal);
  [[nodiscard]] std::optional<Refusal> check_return_invoice(const Shown& shown,
                                                            const std::string& text,
                                                            PaymentHash& hash) const;
  [[nodiscard]] static Grant grant_of(const Shown& shown, SessionUse use);
  /// In whole satoshis: they are all that the wire can say.
  struct Terms {
    Sat unit;
    std::optional<Sat> deposit;  // empty: as the configuration says
  };
  [[nodiscard]] Result<Sat> unit_price(const RequestContext& context) const;
  Task<Result<Terms>> terms(const RequestContext& context, std::string session);
  [[nodiscard]] Result<Sat> deposit_for(const RequestContext& context, const Terms& terms) const;
  Task<void> await_reports(const RequestContext& context, PaymentHash session);

  // acting
  Task<Admission> open(const Grant& grant, const RequestContext& context);
  Task<Admission> bearer(const Grant& grant, const RequestContext& context);
  Task<Admission> top_up(const Grant& grant, const RequestContext& context);
  Task<Admission> close(const Grant& grant, const RequestContext& context);
  Task<void> keep_answer(PaymentHash hash, std::string body, UnixMillis when);
  [[nodiscard]] static Admission open_again(ledger::OpenOutcome seen, UnixMillis now);
  [[nodiscard]] static Admission close_again(const Grant& grant, const ledger::CloseOutcome& seen,
                                             UnixMillis now);
  [[nodiscard]] static Answered close_answer(const Grant& grant,
                                             const mpp::lightning::CloseBody& body, UnixMillis when,
                                             bool replayed);
  [[nodiscard]] Refusal refuse_return_invoice(const RequestContext& context) const;

  Shared& shared_;
  const ChallengeMaker& challenges_;
  std::optional<Rate> rate_;
  Millis verify_within_;
};

}  // namespace octroi::paywall
