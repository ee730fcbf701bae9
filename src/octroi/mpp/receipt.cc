#include "octroi/mpp/receipt.h"

#include <algorithm>

#include <fmt/core.h>

#include "octroi/base/clock.h"
#include "octroi/json/canonical.h"
#include "octroi/json/writer.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

tl::unexpected<Error> malformed(std::string_view why) {
  return fail(Errc::malformed_receipt, fmt::format("receipt: {}", why));
}

Result<> validate(const Receipt& receipt) {
  if (receipt.status != "success") return malformed("status must be \"success\"");
  if (receipt.method.empty()) return malformed("method may not be empty");
  if (!from_rfc3339(receipt.timestamp)) return malformed("timestamp must be an RFC 3339 date-time");
  return {};
}

Result<std::string> required(json::Value root, std::string_view key) {
  auto text = root.string(key);
  if (!text) return malformed(text.error().message());
  return std::string(*text);
}

bool is_named_member(std::string_view key) {
  return key == "status" || key == "method" || key == "timestamp" || key == "reference" ||
         key == "challengeId";
}

}  // namespace

// Payment core, "Payment-Receipt Header"; further members belong to the method. rule: MPP-70
Result<std::string> receipt_json(const Receipt& receipt) {
  OCTROI_CHECK(validate(receipt));
  json::Writer out;
  out.begin_object();
  out.field("challengeId", receipt.challenge_id).field("method", receipt.method);
  out.field("reference", receipt.reference)
      .field("status", receipt.status)
      .field("timestamp", receipt.timestamp);
  for (const auto& [name, value] : receipt.extra) out.key(name).raw(value);
  out.end_object();
  // Also the check that the further members are JSON and stand once.
  auto canonical = json::canonicalize(std::move(out).take());
  if (!canonical) return malformed(canonical.error().message());
  return canonical;
}

Result<std::string> format_receipt(const Receipt& receipt) {
  OCTROI_TRY(const std::string text, receipt_json(receipt));
  return detail::encode(text);
}

// rule: MPP-71
Result<Receipt> parse_receipt(std::string_view field_value) {
  OCTROI_TRY(const json::Document document,
             detail::decode_object(detail::trim(field_value), kMaxReceiptBytes,
                                   Errc::malformed_receipt, "receipt"));
  const json::Value root = document.root();
  Receipt receipt;
  OCTROI_TRY(receipt.status, required(root, "status"));
  OCTROI_TRY(receipt.method, required(root, "method"));
  OCTROI_TRY(receipt.timestamp, required(root, "timestamp"));
  OCTROI_TRY(receipt.reference, required(root, "reference"));
  const auto id = root.optional_string("challengeId");
  if (!id) return malformed(id.error().message());
  if (*id) receipt.challenge_id = std::string(**id);
  for (const auto& [key, value] : root.members()) {
    if (!is_named_member(key)) receipt.extra.emplace_back(key, value.to_json());
  }
  OCTROI_CHECK(validate(receipt));
  return receipt;
}

}  // namespace octroi::mpp
