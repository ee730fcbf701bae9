// octroi/mpp/lightning/session.h: the messages of method "lightning", intent "session": a deposit
// is paid once, its preimage then opens further requests, the rest is given back at the end.
//
// Only the messages: who may spend what is decided elsewhere. A session's id is the payment hash of
// its first deposit.
// Secrets  preimages are bearer secrets and stay in Secret.
// Errors   malformed_request, malformed_payload.   Thread: pure.   Source: Lightning session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/json/value.h"
#include "octroi/money/money.h"
#include "octroi/mpp/errc.h"
#include "octroi/mpp/problems.h"
#include "octroi/mpp/receipt.h"

namespace octroi::mpp::lightning {

inline constexpr std::string_view kSessionIntent = "session";

struct SessionRequest {
  Sat amount;  // for one unit; positive
  std::optional<std::string> description;
  std::optional<std::string> unit_type;        // "token", "request"; for people
  std::optional<std::string> deposit_invoice;  // BOLT11; we always send it (docs/deviations.md)
  PaymentHash payment_hash;                    // of the deposit invoice
  std::optional<Sat> deposit_amount;           // equals the invoice's
  std::optional<Seconds> idle_timeout;
};
[[nodiscard]] Result<std::string> format_session_request(const SessionRequest& request);
[[nodiscard]] Result<SessionRequest> parse_session_request(std::string_view base64url);

/// The deposit was paid: begin a session.
struct OpenAction {
  Secret preimage;
  std::string return_invoice;
};
/// One more request on a session.
struct BearerAction {
  PaymentHash session_id;
  Secret preimage;
};
/// A further deposit was paid.
struct TopUpAction {
  PaymentHash session_id;
  Secret top_up_preimage;
};
/// End it and give the rest back.
struct CloseAction {
  PaymentHash session_id;
  Secret preimage;
};
using SessionAction = std::variant<OpenAction, BearerAction, TopUpAction, CloseAction>;

[[nodiscard]] Result<SessionAction> parse_session_action(const json::Value& payload);
/// As format_credential wants it. As secret as the preimage in it.
[[nodiscard]] std::string session_payload_json(const SessionAction& action);

enum class RefundStatus : std::uint8_t {
  succeeded,  // paid to the return invoice
  failed,     // tried once, not paid
  skipped,    // nothing was left
};
[[nodiscard]] std::string_view to_string(RefundStatus status);
[[nodiscard]] std::optional<RefundStatus> parse_refund_status(std::string_view text);

struct CloseBody {
  Sat refund;
  RefundStatus status = RefundStatus::skipped;
};
/// {"status":"ok"}
[[nodiscard]] std::string top_up_body();
/// {"status":"closed","refundSats":N,"refundStatus":"…"}
[[nodiscard]] std::string close_body(const CloseBody& close);
[[nodiscard]] Result<CloseBody> parse_close_body(std::string_view json_text);

/// The data of the SSE events payment-need-topup and session-timeout.
struct BalanceEvent {
  PaymentHash session_id;
  Sat spent;
  Sat required;
};
inline constexpr std::string_view kNeedTopUpEvent = "payment-need-topup";
inline constexpr std::string_view kSessionTimeoutEvent = "session-timeout";
inline constexpr std::string_view kReceiptEvent = "payment-receipt";
[[nodiscard]] std::string balance_event_json(const BalanceEvent& event);
[[nodiscard]] Result<BalanceEvent> parse_balance_event(std::string_view json_text);

[[nodiscard]] Receipt session_receipt(const PaymentHash& session_id, std::string_view challenge_id,
                                      UnixMillis when);
/// With refundSats and refundStatus, both always.
[[nodiscard]] Receipt close_receipt(const PaymentHash& session_id, std::string_view challenge_id,
                                    UnixMillis when, const CloseBody& close);
/// What the payment-receipt event says at the end of a stream.
[[nodiscard]] Receipt stream_receipt(const PaymentHash& session_id, UnixMillis when, Sat spent,
                                     std::int64_t units);

/// Whether an optional deposit covers at least one unit.
[[nodiscard]] bool deposit_is_enough(Sat deposit, Sat unit_price);

}  // namespace octroi::mpp::lightning
