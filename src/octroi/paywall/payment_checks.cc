#include "octroi/paywall/payment_checks.h"

#include <utility>

#include "octroi/net/deadline.h"

namespace octroi::paywall {

using mpp::ProblemType;

namespace {

/// What it gives, or nothing when that takes too long.
template <class T>
Task<std::optional<T>> in_time(Task<T> question, Millis within) {
  net::Loop* loop = net::Loop::current();
  if (loop == nullptr) co_return co_await std::move(question);
  co_return co_await net::within(*loop, within, std::move(question));
}

}  // namespace

Refusal refuse_payment(mpp::Problem problem, Judged result) {
  Refusal r;
  r.problem = std::move(problem);
  r.status = r.problem.status();
  r.result = result;
  return r;
}

Refusal refuse_payment(ProblemType type, std::string detail, Judged result) {
  return refuse_payment(mpp::Problem(type, std::move(detail)), result);
}

Refusal refuse_for_now(std::string detail, Millis retry_after) {
  auto r =
      refuse_payment(ProblemType::internal_payment_error, std::move(detail), Judged::unavailable);
  r.status = 503;
  r.retry_after = retry_after;
  return r;
}

// Lightning session, "Insufficient Balance": the members of its event. rule: MPP-113
Refusal refuse_insufficient(const ledger::Session& session, Msat required, std::string detail) {
  auto number = [](Msat amount) {
    return std::to_string(to_sat_ceil(amount).count() /* raw: JSON number of the wire */);
  };
  auto r = refuse_payment(ProblemType::lightning_insufficient_balance, std::move(detail),
                          Judged::insufficient_balance);
  r.problem.extra.emplace_back("sessionId", "\"" + session.id.hex() + "\"");
  r.problem.extra.emplace_back("balanceSpent", number(session.spent));
  r.problem.extra.emplace_back("balanceRequired", number(required));
  return r;
}

Refusal refuse_while_pending() {
  auto r = refuse_payment(ProblemType::invalid_challenge,
                          "this credential is being served right now; ask again for its answer",
                          Judged::pending);
  r.status = 409;
  r.retry_after = Millis(2'000);
  return r;
}

Refusal refuse_used(ledger::ConsumeState state) {
  const bool spent = state == ledger::ConsumeState::spent;
  return refuse_payment(ProblemType::lightning_unknown_challenge,
                        spent ? "this payment was already used; pay a fresh challenge"
                              : "this node made no such invoice; pay a fresh challenge",
                        spent ? Judged::spent : Judged::unknown_hash);
}

bool may_repeat(ProblemType type) {
  return type == ProblemType::lightning_invalid_preimage ||
         type == ProblemType::lightning_malformed_credential ||
         type == ProblemType::lightning_invalid_return_invoice ||
         type == ProblemType::invalid_payload || type == ProblemType::verification_failed;
}

Task<Refusal> repeat_unless_spent(Shared& shared, Refusal refusal, ChallengeMaker::Known known,
                                  PaymentHash hash, Millis within) {
  auto asked = co_await in_time(shared.store.is_consumed(hash), within);
  if (!asked || !*asked) {
    auto r = refuse_for_now(
        "the challenge cannot be looked up now; nothing was consumed, try again", Millis(1'000));
    r.key = known.key;
    co_return r;
  }
  if (**asked) {
    auto used = refuse_used(ledger::ConsumeState::spent);
    used.key = known.key;
    co_return used;
  }
  if (auto line = mpp::format_challenge(known.challenge)) {
    refusal.repeat_challenge = std::move(*line);
    refusal.problem.challenge_id = known.challenge.id;
  }
  refusal.key = known.key;
  co_return refusal;
}

Task<std::optional<Refusal>> confirm_settled(Shared& shared, const ChallengeMaker::Known& known,
                                             PaymentHash hash, Millis within) {
  bool settled = false;
  if (shared.settlement != nullptr) {
    auto asked = co_await in_time(shared.settlement->is_settled(hash), within);
    if (!asked || !*asked) {
      co_return refuse_for_now("settlement cannot be checked now; nothing was consumed",
                               Millis(5'000));
    }
    settled = **asked;
  }
  if (settled) co_return std::nullopt;
  auto r =
      refuse_payment(ProblemType::verification_failed,
                     "the node does not report this invoice as settled yet", Judged::not_settled);
  r.key = known.key;
  if (auto line = mpp::format_challenge(known.challenge)) r.repeat_challenge = std::move(*line);
  r.retry_after = Millis(1'000);
  co_return r;
}

}  // namespace octroi::paywall
