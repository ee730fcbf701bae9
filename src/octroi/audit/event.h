// octroi/audit/event.h: what one row of the audit journal says: a call of an agent before and after
// it was made, a change of an administrator, a payment, a sale.
//
// Every field but `kind` may be absent; what is absent is not written. A row never holds a secret,
// a credential, a card number or text of a body: bodies and idempotency keys are there as SHA-256,
// and every text goes through the process's redactor before it is written.
//
// Units    `amount` is in the minor unit of `currency` (cents, yen); MicroUsd is millionths of a
//          dollar. Amounts above kLargestNumber are refused: other readers of JSON lose digits.
// Limits   a text longer than kLongestText bytes is cut and ends with "…".
// Errors   Errc::bad_event names the field.
// Thread   values.
// Source   issue 6, "Audit"; architecture 5.4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/money/money.h"

namespace octroi::audit {

enum class Errc : std::uint8_t {
  bad_event,       // a field of an event that cannot be written: a fault of the caller
  bad_row,         // a text that is no row, or not as a row is written
  bad_checkpoint,  // a text that is no checkpoint
  bad_filter,      // a limit or cursor of a query that makes no sense
  bad_key,         // not a key of checkpoints
  no_such_run,     // nothing is written about this run
  broken,          // the journal was tampered with, or is damaged
  unavailable,     // the row could not be made durable: whatever it announces must not happen
};
ErrorInfo error_info(Errc e);

using Digest = std::array<std::uint8_t, 32>;

enum class Verdict : std::uint8_t {
  allowed,           // by policy; of an outcome: and the vendor did it
  denied,            // by policy, key or cap: nothing was sent
  failed,            // sent, and the vendor refused, or never sent for another reason
  unknown,           // sent, and nobody knows whether it was done: the money stays held
  revoked_inflight,  // the key was revoked while the call was under way
};
/// "allowed", "denied", "failed", "unknown", "revoked_inflight".
[[nodiscard]] std::string_view to_string(Verdict v);
[[nodiscard]] std::optional<Verdict> verdict_from_string(std::string_view text);

// Kinds that octroi writes; others may be added ("[a-z][a-z0-9_.]*", at most 40).
inline constexpr std::string_view kCallIntent = "call.intent";    // durable before it is forwarded
inline constexpr std::string_view kCallOutcome = "call.outcome";  // what became of it, or of none
inline constexpr std::string_view kAdminChange = "admin.change";
inline constexpr std::string_view kPayment = "payment";            // the wallet paid
inline constexpr std::string_view kSale = "sale";                  // the paywall was paid
inline constexpr std::string_view kWriterStart = "writer.start";   // by the journal itself
inline constexpr std::string_view kCheckpointKind = "checkpoint";  // never a row's: of exports

inline constexpr std::size_t kLongestText = 1024;
inline constexpr std::int64_t kLargestNumber = (std::int64_t{1} << 53) - 1;

struct Event {
  std::string kind;
  std::string id;   // of the call: its intent and outcome have the same
  std::string run;  // what the agent calls its run
  std::string agent;
  std::string key_id;  // of the vault key, never the key
  std::string key_name;
  std::string server;     // the program that was given the key
  std::string vendor;     // "stripe"
  std::string operation;  // "charges.create"
  std::string method;
  std::string path;                    // without its query
  std::string direction;               // "charge", "refund", "payout", "message", "read", "write"
  std::optional<std::int64_t> amount;  // minor units
  std::string currency;                // "usd"
  std::optional<MicroUsd> reserved;
  std::optional<MicroUsd> settled;
  std::optional<MicroUsd> released;
  std::optional<MicroUsd> cap_usage_after;
  std::string rate;  // which rate of exchange was used
  std::string customer;
  std::optional<Verdict> verdict;
  std::string reason;  // a stable code: "policy.cap_reached"
  std::string policy;
  std::optional<std::int64_t> policy_version;
  std::optional<Digest> policy_hash;
  std::optional<int> upstream_status;
  std::string vendor_request_id;
  std::optional<Digest> idempotency_key_hash;
  std::string retry_of;  // the id of the call that this one repeats
  std::optional<Digest> body_sha256;
  std::string client;  // address
  std::string user_agent;
  std::optional<std::int64_t> latency_ms;
  std::string mode;  // "live", "test", "shadow"
  /// What else is worth knowing: facts of an administrator's change or a payment. Names as kinds.
  std::vector<std::pair<std::string, std::string>> details;

  bool operator==(const Event&) const = default;
};

}  // namespace octroi::audit
