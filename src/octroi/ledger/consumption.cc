#include "octroi/ledger/consumption.h"

#include <utility>

namespace octroi::ledger {
namespace {

/// The idempotency key is the client's statement that it means the same request. Without one a
/// second presentation is a second purchase with the same money.
bool same_credential(const ConsumedRecord& first, const ConsumeRequest& again) {
  if (again.idempotency_key.empty()) return false;
  return first.scheme == again.scheme && first.challenge_id == again.challenge_id &&
         first.payload == again.payload && first.idempotency_key == again.idempotency_key;
}

}  // namespace

ConsumeOutcome judge_again(ConsumedRecord first, const ConsumeRequest& again) {
  if (!same_credential(first, again)) return {ConsumeState::spent, std::nullopt};
  if (!first.response) {
    return {first.delivering_here ? ConsumeState::pending : ConsumeState::unfinished, std::nullopt};
  }
  // An answer whose body was too large to keep cannot be given again, and the request cannot be run
  // again either: it was paid, and what came of it is known to the first receiver only.
  if (!first.response->body_kept) return {ConsumeState::unfinished, std::nullopt};
  return {ConsumeState::replay, std::move(first.response)};
}

}  // namespace octroi::ledger
