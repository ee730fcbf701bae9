#include "octroi/paywall/session_account.h"

#include <algorithm>
#include <limits>

#include "octroi/base/log.h"
#include "octroi/http/sse.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

using ledger::SessionOutcome;

namespace {

constexpr std::string_view kModule = "paywall";

std::int64_t wire_units(std::uint64_t units) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(units, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

void SessionAccount::see(const std::optional<ledger::Session>& session) {
  if (!session) return;
  balance_ = session->balance();
  spent_ = session->spent;
}

Task<Funds> SessionAccount::debit(Msat amount) {
  auto taken = co_await shared_.store.sessions()->debit_session(session_, service_, amount,
                                                                shared_.clock.now());
  if (!taken) {
    OCTROI_LOG(warn, kModule, "a session could not be debited",
               {{"session", session_.hex()}, {"error", taken.error().message()}});
    co_return Funds::unavailable;
  }
  see(taken->session);
  switch (taken->outcome) {
    case SessionOutcome::applied:
      co_return Funds::enough;
    case SessionOutcome::insufficient:
      co_return Funds::dry;
    case SessionOutcome::not_found:
    case SessionOutcome::closed:
    case SessionOutcome::replayed:
      break;
  }
  co_return Funds::ended;
}

Task<Funds> SessionAccount::look(Msat missing) {
  const auto found = co_await shared_.store.sessions()->find_session(session_);
  if (!found) co_return Funds::dry;
  if (!*found || (*found)->state == ledger::SessionState::closed) co_return Funds::ended;
  if ((*found)->balance() < missing) co_return Funds::dry;
  co_return co_await debit(missing);
}

Task<void> SessionAccount::give_back(Msat surplus) {
  const auto returned =
      co_await shared_.store.sessions()->give_back(session_, surplus, shared_.clock.now());
  if (!returned) {
    OCTROI_LOG(error, kModule, "what a session had set aside was not given back",
               {{"session", session_.hex()},
                {"amount", format(surplus)},
                {"error", returned.error().message()}});
    co_return;
  }
  see(returned->session);
  shared_.bell->ring(session_);  // others of the session may wait for it
}

void SessionAccount::leave(Msat surplus) { shared_.returns->add(session_, surplus); }

std::string SessionAccount::event(std::string_view type, Msat required) const {
  return http::format_sse(type, mpp::lightning::balance_event_json(
                                    {session_, to_sat_ceil(spent_), to_sat_ceil(required)}));
}

std::string SessionAccount::need_top_up(Msat missing) const {
  return event(mpp::lightning::kNeedTopUpEvent, missing);
}

std::string SessionAccount::dry(Msat missing) const {
  return event(mpp::lightning::kSessionTimeoutEvent, missing);
}

std::string SessionAccount::receipt(const pricing::Tab& tab) const {
  const auto receipt = mpp::receipt_json(mpp::lightning::stream_receipt(
      session_, shared_.clock.now(), to_sat_ceil(tab.cost()), wire_units(tab.units())));
  return receipt ? http::format_sse(mpp::lightning::kReceiptEvent, *receipt) : std::string();
}

Refusal SessionAccount::too_dear(Msat missing) const {
  ledger::Session seen;
  seen.id = session_;
  seen.spent = spent_;
  return refuse_insufficient(
      seen, missing,
      fmt::format("the answer costs {} more than the session has left ({}); it was not delivered "
                  "and nothing was taken: top up with the fresh challenge and ask again",
                  format(to_sat_ceil(missing.minus(balance_).value_or(missing))),
                  format(balance_)));
}

Refusal SessionAccount::has_ended() const {
  return refuse_payment(mpp::ProblemType::lightning_session_closed,
                        "this session has ended while the request was under way; open another "
                        "with the fresh challenge",
                        Judged::session_closed);
}

Refusal SessionAccount::unavailable() const {
  return refuse_for_now("the session cannot be debited now; try again", Millis(1'000));
}

void SessionAccount::billed(std::uint64_t units) {
  shared_.metrics
      .counter("octroi_session_units_total", "What sessions were billed that pay by the unit",
               {{"service", service_}, {"unit", std::string(pricing::to_string(unit_))}})
      .add(wire_units(units));
}

void SessionAccount::unpaid(Msat lost) {
  shared_.metrics
      .counter("octroi_session_unpaid_msat_total",
               "What was delivered to sessions that had no more to pay it with",
               {{"service", service_}})
      .add(lost.count() /* raw: metric */);
  OCTROI_LOG(warn, kModule, "an answer cost more than its session had",
             {{"service", service_}, {"session", session_.hex()}, {"lost", format(lost)}});
}

}  // namespace octroi::paywall
