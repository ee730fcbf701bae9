// octroi/paywall/meter_account.h: what an answer that is billed by what it holds is paid from: a
// prepaid session (session_account.h), or a counted L402 token (bundle_auth.h). The meter
// (session_meter.h) decides how much and when; the account moves it, and knows the words for it.
//
// Units   a session is kept in millisatoshi. A bundle is kept in units, and one of its units stands
//         as one millisatoshi of the meter's tab.
// Life    one a request; outlived by nothing that it was given.   Thread  the exchange's loop.
#pragma once

#include <cstdint>
#include <string>

#include "octroi/base/ids.h"
#include "octroi/money/money.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/pricing/meter.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

enum class Funds : std::uint8_t { enough, dry, ended, unavailable };

class MeterAccount {
 public:
  virtual ~MeterAccount() = default;

  /// Takes that much, all or nothing. One step of the ledger, never repeated: a store that did not
  /// answer may have taken it all the same, and a stream that is cut costs its client less than one
  /// that is debited twice.
  virtual Task<Funds> debit(Msat amount) = 0;
  /// What was set aside and not used; once, whatever the store says.
  virtual Task<void> give_back(Msat surplus) = 0;
  /// The same where nobody can wait for the store any more.
  virtual void leave(Msat surplus) = 0;

  /// The session whose top-up a dry answer may wait for; null: nothing can be added.
  [[nodiscard]] virtual const PaymentHash* waits_for() const { return nullptr; }
  /// While it waits: `enough` when that much was there and was taken.
  virtual Task<Funds> look(Msat missing) = 0;

  /// Events for a client of a stream; empty: nothing is said.
  [[nodiscard]] virtual std::string need_top_up(Msat missing) const = 0;
  [[nodiscard]] virtual std::string dry(Msat missing) const = 0;
  /// After what was not used is back.
  [[nodiscard]] virtual std::string receipt(const pricing::Tab& tab) const = 0;

  /// An answer whose length is known and that cannot be paid.
  [[nodiscard]] virtual Refusal too_dear(Msat missing) const = 0;
  [[nodiscard]] virtual Refusal has_ended() const = 0;
  [[nodiscard]] virtual Refusal unavailable() const = 0;

  /// For the metrics: what was billed, and what was delivered and could not be taken any more.
  virtual void billed(std::uint64_t units) = 0;
  virtual void unpaid(Msat lost) = 0;

  /// What is left, as the store said last.
  [[nodiscard]] Msat balance() const { return balance_; }

 protected:
  Msat balance_;
};

}  // namespace octroi::paywall
