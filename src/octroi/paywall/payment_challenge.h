// octroi/paywall/payment_challenge.h: makes Payment challenges and knows its own again, without
// having stored them.
//
// A challenge's id is a MAC under a key that is derived from the place it was issued for: for a
// charge service, method, path and body, for a session the service alone, because a session is
// shown wherever its service sells. A credential shown elsewhere does not verify.
//
// Thread   pure after construction; one object a snapshot and worker.
// Source   Payment core, "Challenge Binding"; architecture 3.7, "Binding without storage".
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "octroi/mpp/challenge.h"
#include "octroi/mpp/ids.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class ChallengeMaker {
 public:
  ChallengeMaker(std::shared_ptr<const mpp::KeyRing> keys, std::string realm, Millis ttl)
      : keys_(std::move(keys)), realm_(std::move(realm)), ttl_(ttl) {}

  /// The challenge over `request`, bound to the place that it is for.
  [[nodiscard]] Result<Offer> issue(const RequestContext& context, Intent intent,
                                    std::string request, UnixMillis expires) const;
  /// The same over what is to be paid by an invoice, which stands in the books as handed out then.
  /// On an error it has gone back.
  struct Priced {
    lightning::Invoice invoice;
    Result<std::string> request;
    Msat amount;
    ledger::Scheme scheme;
  };
  [[nodiscard]] Result<Offer> offer(Shared& shared, const RequestContext& context, Intent intent,
                                    Priced priced) const;
  /// The echoed challenge as we issued it here, put together again from what we know and not from
  /// what came back; nothing when we did not. `key` is the one of the ring that fits.
  struct Known {
    mpp::Challenge challenge;
    std::optional<UnixMillis> expires;  // empty: it has none, and is worth nothing
    std::size_t key = 0;
  };
  [[nodiscard]] std::optional<Known> recognise(const RequestContext& context, Intent intent,
                                               const mpp::Challenge& echoed) const;

  /// Not after the challenge's time to live, nor after what the source of the price stands by.
  [[nodiscard]] UnixMillis end_of(const RequestContext& context) const;
  /// What invoices of this service say they are for.
  [[nodiscard]] std::string memo(const RequestContext& context) const;

 private:
  [[nodiscard]] mpp::Challenge blank(const RequestContext& context, Intent intent) const;

  std::shared_ptr<const mpp::KeyRing> keys_;
  std::string realm_;
  Millis ttl_;
};

}  // namespace octroi::paywall
