// octroi/mpp/receipt.h: the Payment-Receipt of a successful answer.
//
//   Payment-Receipt: <base64url of canonical
//   {"method","reference","status":"success","timestamp",…}>
//
// Rules    only on 2xx; never a preimage in it (for lightning the reference is the payment hash);
//          the answer then carries Cache-Control: private.
// Errors   malformed_receipt, too_large.   Thread: pure.
// Source   Payment core, "Payment-Receipt Header"; Lightning charge and session, receipts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

inline constexpr std::size_t kMaxReceiptBytes = 16 * 1024;  // decoded

struct Receipt {
  std::string status = "success";  // the only value
  std::string method;
  std::string timestamp;  // RFC 3339
  std::string reference;
  std::optional<std::string> challenge_id;  // required for lightning charge
  /// Everything else, as name and JSON text, in the order received.
  std::vector<std::pair<std::string, std::string>> extra;

  bool operator==(const Receipt&) const = default;
};

[[nodiscard]] Result<std::string> format_receipt(const Receipt& receipt);
[[nodiscard]] Result<Receipt> parse_receipt(std::string_view field_value);
/// The canonical JSON itself (SSE events, JSON-RPC results).
[[nodiscard]] Result<std::string> receipt_json(const Receipt& receipt);

}  // namespace octroi::mpp
