// octroi/paywall/l402_auth.h: the L402 way to pay: one payment buys a token for the service (or for
// one price rule of it) until the token expires.
//
// A token that was verified once on this worker costs no store access any more; its first sight
// looks the payment hash up and claims it, so that a hash never opens two schemes. A token that is
// counted (a bundle) is opened in the same step, and debited before each request. Thread: one
// object per worker and snapshot.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "octroi/l402/keys.h"
#include "octroi/l402/verify.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class L402Authenticator final : public Authenticator {
 public:
  L402Authenticator(Shared& shared, std::shared_ptr<const l402::RootKeys> keys,
                    std::shared_ptr<const l402::RevocationSet> revoked, std::string memo_prefix,
                    Millis challenge_ttl, std::optional<Rate> rate = {});

  /// A new revocation set; seen by the next request of this worker.
  void publish(std::shared_ptr<const l402::RevocationSet> revoked) {
    revoked_ = std::move(revoked);
  }

  [[nodiscard]] OfferScheme scheme() const override { return OfferScheme::l402; }
  [[nodiscard]] bool presented(const Credentials& credentials) const override {
    return credentials.has_l402();
  }
  Task<Verdict> verify(const Credentials& credentials, const RequestContext& context) override;
  Task<Admission> admit(const Grant& grant, const RequestContext& context) override;
  Task<Result<Offer>> offer(const RequestContext& context, Intent intent) override;
  /// Not for nothing: an invoice without amount asks for whatever its payer likes.
  [[nodiscard]] Intents wanted(const RequestContext& context) const override {
    return context.quote.amount.is_zero() ? Intents{} : Intents{Intent::token};
  }
  /// Nothing: what is left of a counted token stands on every answer, not only on a success.
  void decorate(const Grant&, http::ResponseHead&, UnixMillis) const override {}
  Task<Result<>> settle(const Grant& grant, Delivery delivery) override;

 private:
  struct Known {
    Msat amount;
    bool counted = false;
  };
  Task<Result<Known>> first_sight(l402::Grant grant, const RequestContext* context);
  Task<Result<ledger::ConsumeOutcome>> claim(ledger::ConsumeRequest claim,
                                             const l402::Grant* grant);
  Task<std::optional<Refusal>> count(const Grant* grant, const RequestContext* context);
  Task<std::optional<Refusal>> debit(const Grant* grant, const RequestContext* context);
  Task<void> give_back(const BundleUse* use);

  Shared& shared_;
  std::shared_ptr<const l402::RootKeys> keys_;
  std::shared_ptr<const l402::RevocationSet> revoked_;
  std::string memo_prefix_;
  Millis challenge_ttl_;
  std::optional<Rate> rate_;
  std::unordered_map<TokenId, Known> known_;  // bounded: emptied when it grows beyond kMaxKnown
  static constexpr std::size_t kMaxKnown = 200'000;
};

/// The L402 problem behind an error of the l402 module, or of the first sight.
[[nodiscard]] Refusal l402_refusal(const Error& error);

}  // namespace octroi::paywall
