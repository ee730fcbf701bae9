// octroi/paywall/session_account.h: a prepaid session as what a metered answer is paid from
// (meter_account.h).
//
// Source  Lightning session, "Streaming"; docs/metering.md.   Thread  the exchange's loop.
#pragma once

#include <string>
#include <utility>

#include "octroi/ledger/sessions.h"
#include "octroi/paywall/meter_account.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

class SessionAccount final : public MeterAccount {
 public:
  SessionAccount(Shared& shared, std::string service, const PaymentHash& session,
                 pricing::Unit unit)
      : shared_(shared), service_(std::move(service)), session_(session), unit_(unit) {}

  Task<Funds> debit(Msat amount) override;
  Task<void> give_back(Msat surplus) override;
  void leave(Msat surplus) override;
  [[nodiscard]] const PaymentHash* waits_for() const override { return &session_; }
  Task<Funds> look(Msat missing) override;
  [[nodiscard]] std::string need_top_up(Msat missing) const override;
  [[nodiscard]] std::string dry(Msat missing) const override;
  [[nodiscard]] std::string receipt(const pricing::Tab& tab) const override;
  [[nodiscard]] Refusal too_dear(Msat missing) const override;
  [[nodiscard]] Refusal has_ended() const override;
  [[nodiscard]] Refusal unavailable() const override;
  void billed(std::uint64_t units) override;
  void unpaid(Msat lost) override;

 private:
  void see(const std::optional<ledger::Session>& session);
  [[nodiscard]] std::string event(std::string_view type, Msat required) const;

  Shared& shared_;
  std::string service_;
  PaymentHash session_;
  pricing::Unit unit_;
  Msat spent_;  // of the session, as the store said last
};

}  // namespace octroi::paywall
