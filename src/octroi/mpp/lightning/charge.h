// octroi/mpp/lightning/charge.h: method "lightning", intent "charge": one invoice, one request.
//
// Request  {"amount":"100","currency":"sat","methodDetails":{"invoice","network","paymentHash"},…}
// Payload  {"preimage":"<64 lower-case hex>"}
// Order    form of the proof, challenge known and unexpired, SHA-256(preimage) = payment hash. Then
//          the caller consumes the hash, atomically; nothing here has an effect.
// Secrets  the preimage never leaves verify_charge.
// Errors   malformed_request, malformed_payload; verification gives the Problem to answer with.
// Thread   pure.   Source: Lightning charge.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/problems.h"
#include "octroi/mpp/receipt.h"

namespace octroi::mpp::lightning {

inline constexpr std::string_view kMethod = "lightning";
inline constexpr std::string_view kChargeIntent = "charge";
inline constexpr std::string_view kCurrency = "sat";

struct ChargeRequest {
  Sat amount;                              // positive
  std::optional<std::string> description;  // the invoice's memo
  std::optional<std::string> external_id;
  std::optional<std::string> recipient;
  std::string invoice;                      // BOLT11; authoritative
  std::optional<std::string> network;       // "mainnet", "regtest", "signet"
  std::optional<PaymentHash> payment_hash;  // we always send it
};

/// base64url of the canonical JSON: the challenge's `request`.
[[nodiscard]] Result<std::string> format_charge_request(const ChargeRequest& request);
[[nodiscard]] Result<ChargeRequest> parse_charge_request(std::string_view base64url);

/// {"preimage":"…"} as format_credential wants it. As secret as the preimage.
[[nodiscard]] std::string charge_payload_json(const Secret& preimage);
/// 32 bytes, from 64 lower-case hex digits.
[[nodiscard]] Result<Secret> parse_preimage(const json::Value& payload,
                                            std::string_view member = "preimage");

struct ChargeProof {
  PaymentHash hash;
  ChargeRequest request;
};
struct ChargeCheck {
  UnixMillis now;
  Millis skew{0};
  std::optional<UnixMillis> invoice_expiry;  // when known; the earlier of the two ends counts
};
/// REQUIRES that the echoed challenge's id was verified: the request is then one of ours.
[[nodiscard]] tl::expected<ChargeProof, Problem> verify_charge(const Credential& credential,
                                                               const ChargeCheck& check);

/// The receipt of a delivered charge: its reference is the payment hash.
[[nodiscard]] Receipt charge_receipt(const PaymentHash& hash, std::string_view challenge_id,
                                     UnixMillis settled);

}  // namespace octroi::mpp::lightning
