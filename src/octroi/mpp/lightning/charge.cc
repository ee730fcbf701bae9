#include "octroi/mpp/lightning/charge.h"

#include <algorithm>

#include "octroi/crypto/hash.h"
#include "octroi/json/writer.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/wire.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp::lightning {

namespace {

using mpp::detail::decode_object;

Result<> check_network(const std::optional<std::string>& network) {
  if (!network || *network == "mainnet" || *network == "regtest" || *network == "signet") return {};
  return fail(Errc::malformed_request, "methodDetails.network: must be mainnet, regtest or signet");
}

tl::unexpected<Problem> refuse(ProblemType type, std::string detail) {
  return tl::unexpected<Problem>(Problem(type, std::move(detail)));
}

/// When the challenge ends; nothing when it cannot be ours.
std::optional<UnixMillis> end_of(const Challenge& challenge,
                                 const std::optional<UnixMillis>& invoice_expiry) {
  if (!challenge.expires) return invoice_expiry;
  const auto end = parse_expires(*challenge.expires);
  if (!end) return std::nullopt;
  return invoice_expiry ? std::min(*end, *invoice_expiry) : *end;
}

}  // namespace

// Lightning charge, "Request Schema": written in canonical order. rule: MPP-100
Result<std::string> format_charge_request(const ChargeRequest& request) {
  if (request.amount.is_zero()) return fail(Errc::malformed_request, "amount: must be positive");
  if (request.invoice.empty())
    return fail(Errc::malformed_request, "methodDetails.invoice: is needed");
  OCTROI_CHECK(check_network(request.network));
  json::Writer out;
  out.begin_object();
  out.field("amount", detail::sat_text(request.amount)).field("currency", kCurrency);
  out.field("description", request.description).field("externalId", request.external_id);
  out.key("methodDetails").begin_object();
  out.field("invoice", request.invoice).field("network", request.network);
  if (request.payment_hash) out.field("paymentHash", request.payment_hash->hex());
  out.end_object();
  out.field("recipient", request.recipient);
  out.end_object();
  return mpp::detail::encode(std::move(out).take());
}

Result<ChargeRequest> parse_charge_request(std::string_view base64url) {
  OCTROI_TRY(const json::Document document, decode_object(base64url, detail::kMaxRequestBytes,
                                                          Errc::malformed_request, "request"));
  const json::Value root = document.root();
  ChargeRequest out;
  OCTROI_TRY(out.amount, detail::positive_sat(root, "amount"));
  OCTROI_CHECK(detail::check_currency(root));
  OCTROI_TRY(out.description, detail::optional(root, "description", Errc::malformed_request));
  OCTROI_TRY(out.external_id, detail::optional(root, "externalId", Errc::malformed_request));
  OCTROI_TRY(out.recipient, detail::optional(root, "recipient", Errc::malformed_request));
  const auto details = root.object("methodDetails");
  if (!details) return fail(Errc::malformed_request, std::string(details.error().message()));
  OCTROI_TRY(out.invoice, detail::required(*details, "invoice", Errc::malformed_request));
  if (out.invoice.empty())
    return fail(Errc::malformed_request, "methodDetails.invoice: may not be empty");
  OCTROI_TRY(out.network, detail::optional(*details, "network", Errc::malformed_request));
  OCTROI_CHECK(check_network(out.network));
  if (details->find("paymentHash")) {
    OCTROI_TRY(out.payment_hash,
               detail::payment_hash(*details, "paymentHash", Errc::malformed_request));
  }
  return out;
}

std::string charge_payload_json(const Secret& preimage) {
  std::string hex = detail::preimage_hex(preimage);
  json::Writer out;
  out.begin_object().field("preimage", hex).end_object();
  secure_wipe(hex.data(), hex.size());
  return std::move(out).take();
}

// Lightning charge, "Verification Procedure" step 2: lower case only. rule: MPP-102
Result<Secret> parse_preimage(const json::Value& payload, std::string_view member) {
  const auto hex = payload.string(member);
  if (!hex) return fail(Errc::malformed_payload, std::string(hex.error().message()));
  std::array<std::uint8_t, 32> raw{};
  if (!from_hex_into(*hex, raw, HexCase::lower)) {
    return fail(Errc::malformed_payload,
                payload.path() + '.' + std::string(member) + ": must be 64 lower-case hex digits");
  }
  Secret preimage{ByteView(raw)};
  secure_wipe(raw.data(), raw.size());
  return preimage;
}

// Lightning charge, "Verification Procedure": the id was verified, so request and expiry are ours
// and steps 3 to 5 need no look-up. rule: MPP-103 MPP-104 MPP-41
tl::expected<ChargeProof, Problem> verify_charge(const Credential& credential,
                                                 const ChargeCheck& check) {
  const auto preimage = parse_preimage(credential.payload());
  if (!preimage)
    return refuse(ProblemType::lightning_malformed_credential,
                  std::string(preimage.error().message()));
  const Challenge& challenge = credential.challenge();
  auto request = parse_charge_request(challenge.request);
  const auto end = end_of(challenge, check.invoice_expiry);
  if (challenge.method != kMethod || challenge.intent != kChargeIntent || !request ||
      !request->payment_hash || !end) {
    return refuse(ProblemType::lightning_unknown_challenge,
                  "this challenge is not one of ours: pay the fresh one");
  }
  if (is_expired(*end, check.now, check.skew)) {
    return refuse(ProblemType::lightning_expired_invoice,
                  "the challenge or its invoice has expired: pay the fresh one");
  }
  const crypto::Sha256Digest hash = crypto::sha256(preimage->reveal());
  if (!constant_time_equal(hash, request->payment_hash->bytes())) {
    return refuse(ProblemType::lightning_invalid_preimage,
                  "SHA-256 of the preimage is not the payment hash of this challenge's invoice");
  }
  return ChargeProof{*request->payment_hash, *std::move(request)};
}

// Lightning charge, "Receipt Generation": the hash, never the preimage. rule: MPP-105
Receipt charge_receipt(const PaymentHash& hash, std::string_view challenge_id, UnixMillis settled) {
  Receipt receipt;
  receipt.method = kMethod;
  receipt.timestamp = to_rfc3339(settled);
  receipt.reference = hash.hex();
  receipt.challenge_id = std::string(challenge_id);
  return receipt;
}

}  // namespace octroi::mpp::lightning
