#include "octroi/mpp/lightning/session.h"

#include <fmt/core.h>

#include "octroi/json/writer.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/wire.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp::lightning {

namespace {

constexpr std::size_t kMaxBodyBytes = 16 * 1024;

Result<json::Document> parse_body(std::string_view text) {
  auto document = json::parse(text, {.max_depth = 16, .max_bytes = kMaxBodyBytes});
  if (!document) return fail(Errc::malformed_request, std::string(document.error().message()));
  if (!document->root().is_object()) return fail(Errc::malformed_request, "not a JSON object");
  return document;
}

std::int64_t wire_number(Sat amount) { return amount.count() /* raw: JSON number of the wire */; }

void write_preimage(json::Writer& out, std::string_view member, const Secret& preimage) {
  std::string hex = detail::preimage_hex(preimage);
  out.field(member, hex);
  secure_wipe(hex.data(), hex.size());
}

Receipt base_receipt(const PaymentHash& session_id, UnixMillis when) {
  Receipt receipt;
  receipt.method = kMethod;
  receipt.timestamp = to_rfc3339(when);
  receipt.reference = session_id.hex();
  return receipt;
}

Result<std::optional<Seconds>> parse_idle_timeout(json::Value root) {
  OCTROI_TRY(const std::optional<std::string> text,
             detail::optional(root, "idleTimeout", Errc::malformed_request));
  if (!text) return std::optional<Seconds>();
  std::int64_t seconds = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  const bool digits = !text->empty() && mpp::detail::is_digit(text->front());
  if (!digits || problem != std::errc() || end != text->data() + text->size() || seconds <= 0) {
    return fail(Errc::malformed_request,
                "idleTimeout: must be a positive whole number of seconds, as a string");
  }
  return std::optional<Seconds>(Seconds(seconds));
}

}  // namespace

// Lightning session, "Challenge Request": the hash stands at the top, not under methodDetails.
// rule: MPP-110
Result<std::string> format_session_request(const SessionRequest& request) {
  if (request.amount.is_zero()) return fail(Errc::malformed_request, "amount: must be positive");
  if (request.deposit_amount && !deposit_is_enough(*request.deposit_amount, request.amount)) {
    return fail(Errc::malformed_request, "depositAmount: must pay for one unit at least");
  }
  json::Writer out;
  out.begin_object();
  out.field("amount", detail::sat_text(request.amount)).field("currency", kCurrency);
  if (request.deposit_amount) out.field("depositAmount", detail::sat_text(*request.deposit_amount));
  out.field("depositInvoice", request.deposit_invoice).field("description", request.description);
  if (request.idle_timeout) out.field("idleTimeout", std::to_string(request.idle_timeout->count()));
  out.field("paymentHash", request.payment_hash.hex()).field("unitType", request.unit_type);
  out.end_object();
  return mpp::detail::encode(std::move(out).take());
}

Result<SessionRequest> parse_session_request(std::string_view base64url) {
  OCTROI_TRY(const json::Document document,
             mpp::detail::decode_object(base64url, detail::kMaxRequestBytes,
                                        Errc::malformed_request, "request"));
  const json::Value root = document.root();
  SessionRequest out;
  OCTROI_TRY(out.amount, detail::positive_sat(root, "amount"));
  OCTROI_CHECK(detail::check_currency(root));
  OCTROI_TRY(out.description, detail::optional(root, "description", Errc::malformed_request));
  OCTROI_TRY(out.unit_type, detail::optional(root, "unitType", Errc::malformed_request));
  OCTROI_TRY(out.deposit_invoice,
             detail::optional(root, "depositInvoice", Errc::malformed_request));
  OCTROI_TRY(out.payment_hash, detail::payment_hash(root, "paymentHash", Errc::malformed_request));
  if (root.find("depositAmount")) {
    OCTROI_TRY(out.deposit_amount, detail::positive_sat(root, "depositAmount"));
  }
  OCTROI_TRY(out.idle_timeout, parse_idle_timeout(root));
  return out;
}

// Lightning session, "Credential Schema": `action` tells the form; unknown members are ignored.
// rule: MPP-111
Result<SessionAction> parse_session_action(const json::Value& payload) {
  OCTROI_TRY(const std::string action,
             detail::required(payload, "action", Errc::malformed_payload));
  if (action == "open") {
    OCTROI_TRY(Secret preimage, parse_preimage(payload));
    OCTROI_TRY(std::string invoice,
               detail::required(payload, "returnInvoice", Errc::malformed_payload));
    return OpenAction{std::move(preimage), std::move(invoice)};
  }
  if (action != "bearer" && action != "topUp" && action != "close") {
    return fail(Errc::malformed_payload, "action: must be open, bearer, topUp or close");
  }
  OCTROI_TRY(const PaymentHash session,
             detail::payment_hash(payload, "sessionId", Errc::malformed_payload));
  if (action == "topUp") {
    OCTROI_TRY(Secret preimage, parse_preimage(payload, "topUpPreimage"));
    return TopUpAction{session, std::move(preimage)};
  }
  OCTROI_TRY(Secret preimage, parse_preimage(payload));
  if (action == "bearer") return BearerAction{session, std::move(preimage)};
  return CloseAction{session, std::move(preimage)};
}

std::string session_payload_json(const SessionAction& action) {
  json::Writer out;
  out.begin_object();
  struct {
    json::Writer& w;
    void operator()(const OpenAction& a) const {
      w.field("action", "open");
      write_preimage(w, "preimage", a.preimage);
      w.field("returnInvoice", a.return_invoice);
    }
    void operator()(const BearerAction& a) const {
      w.field("action", "bearer");
      write_preimage(w, "preimage", a.preimage);
      w.field("sessionId", a.session_id.hex());
    }
    void operator()(const TopUpAction& a) const {
      w.field("action", "topUp").field("sessionId", a.session_id.hex());
      write_preimage(w, "topUpPreimage", a.top_up_preimage);
    }
    void operator()(const CloseAction& a) const {
      w.field("action", "close");
      write_preimage(w, "preimage", a.preimage);
      w.field("sessionId", a.session_id.hex());
    }
  } writer{out};
  std::visit(writer, action);
  out.end_object();
  return std::move(out).take();
}

std::string_view to_string(RefundStatus status) {
  switch (status) {
    case RefundStatus::succeeded:
      return "succeeded";
    case RefundStatus::failed:
      return "failed";
    case RefundStatus::skipped:
      return "skipped";
  }
  return "failed";
}

std::optional<RefundStatus> parse_refund_status(std::string_view text) {
  for (const RefundStatus s :
       {RefundStatus::succeeded, RefundStatus::failed, RefundStatus::skipped}) {
    if (to_string(s) == text) return s;
  }
  return std::nullopt;
}

std::string top_up_body() { return R"({"status":"ok"})"; }

// Lightning session, "Close Action": both members always, also for a refund of nothing. rule:
// MPP-112
std::string close_body(const CloseBody& close) {
  json::Writer out;
  out.begin_object().field("status", "closed").field("refundSats", wire_number(close.refund));
  out.field("refundStatus", to_string(close.status)).end_object();
  return std::move(out).take();
}

Result<CloseBody> parse_close_body(std::string_view json_text) {
  OCTROI_TRY(const json::Document document, parse_body(json_text));
  const json::Value root = document.root();
  OCTROI_TRY(const std::string status, detail::required(root, "status", Errc::malformed_request));
  if (status != "closed") return fail(Errc::malformed_request, "status: must be \"closed\"");
  CloseBody out;
  OCTROI_TRY(out.refund, detail::sat_number(root, "refundSats"));
  OCTROI_TRY(const std::string refund,
             detail::required(root, "refundStatus", Errc::malformed_request));
  const auto parsed = parse_refund_status(refund);
  if (!parsed)
    return fail(Errc::malformed_request, "refundStatus: must be succeeded, failed or skipped");
  out.status = *parsed;
  return out;
}

// Lightning session, "payment-need-topup Event" and "session-timeout Event". rule: MPP-113
std::string balance_event_json(const BalanceEvent& event) {
  json::Writer out;
  out.begin_object().field("sessionId", event.session_id.hex());
  out.field("balanceSpent", wire_number(event.spent))
      .field("balanceRequired", wire_number(event.required));
  out.end_object();
  return std::move(out).take();
}

Result<BalanceEvent> parse_balance_event(std::string_view json_text) {
  OCTROI_TRY(const json::Document document, parse_body(json_text));
  BalanceEvent out;
  OCTROI_TRY(out.session_id,
             detail::payment_hash(document.root(), "sessionId", Errc::malformed_request));
  OCTROI_TRY(out.spent, detail::sat_number(document.root(), "balanceSpent"));
  OCTROI_TRY(out.required, detail::sat_number(document.root(), "balanceRequired"));
  return out;
}

// Lightning session, "Receipt". rule: MPP-114
Receipt session_receipt(const PaymentHash& session_id, std::string_view challenge_id,
                        UnixMillis when) {
  Receipt receipt = base_receipt(session_id, when);
  receipt.challenge_id = std::string(challenge_id);
  return receipt;
}

Receipt close_receipt(const PaymentHash& session_id, std::string_view challenge_id, UnixMillis when,
                      const CloseBody& close) {
  Receipt receipt = session_receipt(session_id, challenge_id, when);
  receipt.extra.emplace_back("refundSats", std::to_string(wire_number(close.refund)));
  receipt.extra.emplace_back("refundStatus", fmt::format("\"{}\"", to_string(close.status)));
  return receipt;
}

Receipt stream_receipt(const PaymentHash& session_id, UnixMillis when, Sat spent,
                       std::int64_t units) {
  Receipt receipt = base_receipt(session_id, when);
  receipt.extra.emplace_back("spent", std::to_string(wire_number(spent)));
  receipt.extra.emplace_back("units", std::to_string(units));
  return receipt;
}

bool deposit_is_enough(Sat deposit, Sat unit_price) { return deposit >= unit_price; }

}  // namespace octroi::mpp::lightning
