// octroi/mpp/problems.h: every problem type of the Payment scheme, and its RFC 9457 body.
//
// docs/problem-types.md says when each one is emitted. Core types until the method is known to be
// lightning, lightning/* after.   `detail` says what to do and never quotes a credential.
// Errors  none.   Thread: pure.
// Source  Payment core, "Error Handling"; Lightning charge and session, "Error Responses".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/error.h"

namespace octroi::mpp {

inline constexpr std::string_view kProblemBase = "https://paymentauth.org/problems/";
inline constexpr std::string_view kProblemContentType = "application/problem+json";

enum class ProblemType : std::uint8_t {
  // Payment core
  payment_required,         // no credential came along
  payment_insufficient,     // less than the price was paid
  payment_expired,          // the challenge's time is over
  payment_action_required,  // the payer must do something first
  verification_failed,      // the proof is wrong
  method_unsupported,       // a payment method we do not take
  malformed_credential,     // the credential cannot be read
  invalid_challenge,        // unknown or already used
  invalid_payload,          // the proof has not the method's form
  bad_request,              // two credentials, an unusable request
  internal_payment_error,   // our fault; the payment's outcome may be unknown
  // Lightning charge and session
  lightning_malformed_credential,
  lightning_unknown_challenge,  // also: already used
  lightning_invalid_preimage,
  lightning_expired_invoice,    // charge
  lightning_challenge_expired,  // session
  lightning_session_not_found,
  lightning_session_closed,
  lightning_insufficient_balance,
  lightning_invalid_return_invoice,
};
inline constexpr std::size_t kProblemTypes = 20;

struct ProblemInfo {
  std::string_view name;  // "payment-required", "lightning/invalid-preimage"
  int status = 402;
  std::string_view title;
  bool emitted = true;  // false: known and encodable, but no condition of ours leads to it
};
[[nodiscard]] const ProblemInfo& problem_info(ProblemType type);
[[nodiscard]] const std::array<ProblemType, kProblemTypes>& all_problem_types();
/// The type URI.
[[nodiscard]] std::string problem_uri(ProblemType type);
/// From a URI or its last part; nothing when unknown.
[[nodiscard]] std::optional<ProblemType> parse_problem_type(std::string_view uri);

struct Problem {
  ProblemType type = ProblemType::payment_required;
  std::string detail;        // what happened and what to do
  std::string challenge_id;  // of the fresh challenge; empty: none
  /// Further members, as name and JSON text.
  std::vector<std::pair<std::string, std::string>> extra;
  /// Where the answer has another status than the type's own (503, 409): the body must agree with
  /// it.
  int status_override = 0;

  Problem() = default;
  Problem(ProblemType t, std::string d, std::string id = {})  // NOLINT(google-explicit-constructor)
      : type(t), detail(std::move(d)), challenge_id(std::move(id)) {}
  [[nodiscard]] int status() const {
    return status_override != 0 ? status_override : problem_info(type).status;
  }
};

/// {"type","title","status","detail"[,"challengeId"]…}
[[nodiscard]] std::string problem_json(const Problem& problem);

/// The problem that tells the other side about an error from this module, before the payment method
/// is known.
[[nodiscard]] Problem problem_for(const Error& error);

}  // namespace octroi::mpp
