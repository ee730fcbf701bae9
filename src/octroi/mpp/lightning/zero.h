// octroi/mpp/lightning/zero.h: a charge of nothing: a challenge whose amount is "0".
//
// Lightning cannot carry it: an invoice without amount lets its payer choose, so there is no
// invoice, no payment hash and no preimage. What is proven is that the client was given this very
// challenge, and its id is worth one request: whoever verifies must claim the id once, durably.
// This is an extension of ours; the draft knows positive amounts only. The payload and the
// reference of the receipt are as the one draft that has zero-amount proofs (Tempo charge) names
// them.
//
// Request  {"amount":"0","currency":"sat","externalId":"<32 hex, a nonce>"}
// Payload  {"type":"proof"}
// Errors   malformed_request; verification gives the Problem to answer with.   Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/problems.h"
#include "octroi/mpp/receipt.h"

namespace octroi::mpp::lightning {

/// base64url of the canonical JSON, different each time: two challenges never share an id.
[[nodiscard]] std::string format_zero_request(Random& random);
/// Whether a `request` asks for nothing. One that contradicts itself (zero, and an invoice) is
/// neither this nor a charge.
[[nodiscard]] bool is_zero_request(std::string_view base64url);

/// {"type":"proof"} as format_credential wants it.
[[nodiscard]] std::string zero_payload_json();

/// REQUIRES that the echoed challenge's id was verified. Empty: the proof is good, and the id is to
/// be claimed.
[[nodiscard]] std::optional<Problem> verify_zero(const Credential& credential, UnixMillis now);

/// Its reference is the challenge: nothing else is there to refer to.
[[nodiscard]] Receipt zero_receipt(std::string_view challenge_id, UnixMillis when);

}  // namespace octroi::mpp::lightning
