#include "octroi/mpp/lightning/zero.h"

#include "octroi/json/writer.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/wire.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp::lightning {

std::string format_zero_request(Random& random) {
  json::Writer out;
  out.begin_object().field("amount", "0").field("currency", kCurrency);
  out.field("externalId", to_hex(random.bytes<16>())).end_object();
  return mpp::detail::encode(std::move(out).take());
}

bool is_zero_request(std::string_view base64url) {
  // Canonical JSON begins with the amount, and no other amount begins with a zero: charges that are
  // paid for are told apart without decoding them.
  constexpr std::string_view kBeginning = "eyJhbW91bnQiOiIw";  // {"amount":"0
  if (!base64url.starts_with(kBeginning)) return false;
  const auto document = mpp::detail::decode_object(base64url, detail::kMaxRequestBytes,
                                                   Errc::malformed_request, "request");
  if (!document) return false;
  const json::Value root = document->root();
  const auto amount = root.string("amount");
  return amount && *amount == "0" && detail::check_currency(root) && !root.find("methodDetails");
}

std::string zero_payload_json() { return R"({"type":"proof"})"; }

std::optional<Problem> verify_zero(const Credential& credential, UnixMillis now) {
  const auto type = credential.payload().string("type");
  if (!type || *type != "proof") {
    return Problem(ProblemType::lightning_malformed_credential,
                   "nothing is to be paid here: the payload must be {\"type\":\"proof\"}");
  }
  const Challenge& challenge = credential.challenge();
  const auto end = parse_expires(challenge.expires.value_or(""));
  if (challenge.method != kMethod || challenge.intent != kChargeIntent || !end ||
      !is_zero_request(challenge.request)) {
    return Problem(ProblemType::lightning_unknown_challenge,
                   "this challenge is not one of ours: answer the fresh one");
  }
  if (is_expired(*end, now, Millis(0))) {
    return Problem(ProblemType::lightning_expired_invoice,
                   "the challenge has expired: answer the fresh one");
  }
  return std::nullopt;
}

Receipt zero_receipt(std::string_view challenge_id, UnixMillis when) {
  Receipt receipt;
  receipt.method = kMethod;
  receipt.timestamp = to_rfc3339(when);
  receipt.reference = std::string(challenge_id);
  receipt.challenge_id = std::string(challenge_id);
  return receipt;
}

}  // namespace octroi::mpp::lightning
