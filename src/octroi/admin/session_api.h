// octroi/admin/session_api.h: prepaid sessions on the admin listener: list, show, totals, close,
// and having a failed refund sent again.
//
// Thread  the control loop.
#pragma once

#include <functional>
#include <string_view>

#include "octroi/http/server.h"
#include "octroi/ledger/sessions.h"

namespace octroi::admin {

inline constexpr std::string_view kSessions = "/api/v1/sessions";

/// What an operator may do; see paywall::SessionKeeper. Empty: nobody here sends refunds.
struct SessionActions {
  std::function<Task<Result<ledger::SessionResult>>(PaymentHash)> close;
  std::function<Task<Result<ledger::SessionResult>>(PaymentHash)> retry_refund;
};

class SessionApi {
 public:
  /// `sessions`: null when the store keeps none. Both outlive it.
  SessionApi(ledger::SessionStore* sessions, const SessionActions& actions)
      : sessions_(sessions), actions_(actions) {}
  /// A request whose path is kSessions or below it.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<void> list(http::Exchange& exchange);
  Task<void> totals(http::Exchange& exchange);
  Task<void> show(http::Exchange& exchange, PaymentHash id);
  Task<void> close(http::Exchange& exchange, PaymentHash id);
  Task<void> retry_refund(http::Exchange& exchange, PaymentHash id);

  ledger::SessionStore* sessions_;
  const SessionActions& actions_;
};

}  // namespace octroi::admin
