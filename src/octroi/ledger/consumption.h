// octroi/ledger/consumption.h: what a proof gets when its hash was consumed before. One rule for
// every store, so that the memory fake and the databases cannot disagree.
//
// Thread   pure.
// Source   architecture 3.7, "Consuming has two steps".
#pragma once

#include <optional>
#include <string>

#include "octroi/ledger/store.h"

namespace octroi::ledger {

/// What a store remembers of the first consumer of a hash.
struct ConsumedRecord {
  Scheme scheme = Scheme::mpp_charge;
  std::string challenge_id;
  Digest payload{};
  std::string idempotency_key;
  bool delivering_here = false;  // consumed by this process, which has not finished it
  std::optional<StoredResponse> response;
};

/// Never `fresh` and never `unknown_hash`: the hash is known and somebody else was first.
[[nodiscard]] ConsumeOutcome judge_again(ConsumedRecord first, const ConsumeRequest& again);

}  // namespace octroi::ledger
