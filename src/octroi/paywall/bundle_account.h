// octroi/paywall/bundle_account.h: a counted L402 token as what a metered answer is paid from
// (meter_account.h), and the words for what is left of one.
//
//   L402-Balance: 41;unit=request;of=50      a field of every answer to such a token
//   : L402-Balance 1200;unit=token;of=5000   at the end of an event stream, as a comment
//   event: token-exhausted                   before an event stream that ran dry ends
//
// Nothing can be added to an L402 token, so an answer that runs dry ends at once.
//
// Source  issue 5, "Metered L402 tokens"; docs/bundles.md.   Thread  the exchange's loop.
#pragma once

#include <string>
#include <utility>

#include "octroi/ledger/bundles.h"
#include "octroi/paywall/meter_account.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

inline constexpr std::string_view kBalanceField = "L402-Balance";
inline constexpr std::string_view kExhaustedEvent = "token-exhausted";

/// What a copy of a token that is good until `bound` may still use.
[[nodiscard]] std::int64_t left_within(const ledger::Bundle& bundle, std::int64_t bound);
/// "41;unit=request;of=50": an item of RFC 9651 with its parameters.
[[nodiscard]] std::string format_balance(std::int64_t left, pricing::Unit unit, std::int64_t of);

/// How answers to a counted token are billed; empty: by the request, and no meter is needed.
[[nodiscard]] std::optional<pricing::UnitPrice> metered_price(const BundleUse& use);

/// Takes that much before the relay, if it is more than one unit.
void reserve_for(BundleUse& use, std::uint64_t units);

class BundleAccount final : public MeterAccount {
 public:
  BundleAccount(Shared& shared, std::string service, const BundleUse& use);

  /// What was taken before the relay, as the meter's tab counts it; and back.
  [[nodiscard]] static Msat reserved(const BundleUse& use);
  [[nodiscard]] static std::int64_t units(Msat amount);

  Task<Funds> debit(Msat amount) override;
  Task<void> give_back(Msat surplus) override;
  void leave(Msat surplus) override;
  Task<Funds> look(Msat missing) override;
  [[nodiscard]] std::string need_top_up(Msat) const override { return {}; }
  [[nodiscard]] std::string dry(Msat missing) const override;
  [[nodiscard]] std::string receipt(const pricing::Tab& tab) const override;
  [[nodiscard]] Refusal too_dear(Msat missing) const override;
  [[nodiscard]] Refusal has_ended() const override;
  [[nodiscard]] Refusal unavailable() const override;
  void billed(std::uint64_t units) override;
  void unpaid(Msat lost) override;

 private:
  void see(const std::optional<ledger::Bundle>& bundle);

  Shared& shared_;
  std::string service_;
  BundleUse use_;
  std::int64_t left_;  // as the store said last
};

/// The token holds fewer units than the request needs.
[[nodiscard]] Refusal refuse_exhausted(const BundleUse& use, std::int64_t left,
                                       std::int64_t needed);

/// Counts what a service's tokens were billed.
void count_bundle_units(MetricRegistry& metrics, const std::string& service, pricing::Unit unit,
                        std::int64_t units);

}  // namespace octroi::paywall
