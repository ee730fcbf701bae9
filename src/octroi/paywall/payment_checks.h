// octroi/paywall/payment_checks.h: what the intents of the Payment scheme have in common when they
// judge a credential: how they refuse, and what they ask the store and the node.
//
// Every question has a deadline: a store or a node that does not answer makes a 503 with nothing
// consumed, not a client that waits.   Thread: the worker's loop.
#pragma once

#include <optional>
#include <string>

#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/payment_challenge.h"
#include "octroi/paywall/shared.h"

namespace octroi::paywall {

/// Records of consumed proofs outlive their challenges: longer than any clock skew between
/// replicas.
inline constexpr Millis kKeepAfterExpiry{3'600'000};
/// How long a second presentation waits for the answer to the first.
inline constexpr Millis kReplayWait{10'000};
inline constexpr Millis kReplayPoll{50};

[[nodiscard]] Refusal refuse_payment(mpp::Problem problem, Judged result);
[[nodiscard]] Refusal refuse_payment(mpp::ProblemType type, std::string detail, Judged result);
/// 503: neither store nor node can be blamed on the client; nothing was consumed.
[[nodiscard]] Refusal refuse_for_now(std::string detail, Millis retry_after);
/// The balance is smaller than what is asked; told so that a client knows how much to add.
[[nodiscard]] Refusal refuse_insufficient(const ledger::Session& session, Msat required,
                                          std::string detail);
/// The same credential is being delivered: 409.
[[nodiscard]] Refusal refuse_while_pending();
/// The proof was used by another credential, or is over no invoice of ours.
[[nodiscard]] Refusal refuse_used(ledger::ConsumeState state);

/// Problems after which the holder may try again with the same, still unspent, challenge.
[[nodiscard]] bool may_repeat(mpp::ProblemType type);

/// Gives the holder's own challenge back with the refusal instead of a new one, unless it was
/// spent: then it is as unknown as any other.
Task<Refusal> repeat_unless_spent(Shared& shared, Refusal refusal, ChallengeMaker::Known known,
                                  PaymentHash hash, Millis within);

/// With `strict`: nothing when the node reports the invoice as settled, or else the refusal.
Task<std::optional<Refusal>> confirm_settled(Shared& shared, const ChallengeMaker::Known& known,
                                             PaymentHash hash, Millis within);

}  // namespace octroi::paywall
