#include "octroi/paywall/session_returns.h"

#include "octroi/base/log.h"

namespace octroi::paywall {

void SessionReturns::add(const PaymentHash& session, Msat amount) {
  const std::lock_guard lock(mutex_);
  owed_.emplace_back(session, amount);
}

void SessionReturns::add(const TokenId& token, std::int64_t units) {
  const std::lock_guard lock(mutex_);
  owed_units_.emplace_back(token, units);
}

Task<void> SessionReturns::give_all(ledger::SessionStore& sessions, UnixMillis now) {
  std::vector<std::pair<PaymentHash, Msat>> owed;
  {
    const std::lock_guard lock(mutex_);
    owed.swap(owed_);
  }
  for (const auto& [session, amount] : owed) {
    const auto returned = co_await sessions.give_back(session, amount, now);
    if (!returned) {
      OCTROI_LOG(error, "paywall", "what a session had set aside was not given back",
                 {{"session", session.hex()},
                  {"amount", format(amount)},
                  {"error", returned.error().message()}});
    }
  }
}

Task<void> SessionReturns::give_all(ledger::BundleStore& bundles, UnixMillis now) {
  std::vector<std::pair<TokenId, std::int64_t>> owed;
  {
    const std::lock_guard lock(mutex_);
    owed.swap(owed_units_);
  }
  for (const auto& [token, units] : owed) {
    const auto returned = co_await bundles.return_units(token, units, now);
    if (!returned) {
      OCTROI_LOG(error, "paywall", "what a token had set aside was not given back",
                 {{"token", token.hex()}, {"units", units}, {"error", returned.error().message()}});
    }
  }
}

}  // namespace octroi::paywall
