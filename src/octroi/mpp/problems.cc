#include "octroi/mpp/problems.h"

#include "octroi/json/writer.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

namespace {

struct Row {
  ProblemType type;
  ProblemInfo info;
};

constexpr bool kEmitted = true;
constexpr bool kNeverEmitted = false;

// Payment core, "Error Codes", with the additions of -01; Lightning charge and session, "Error
// Responses". docs/problem-types.md has the conditions. rule: MPP-80 MPP-81 MPP-82
constexpr std::array<Row, kProblemTypes> kTable = {{
    {ProblemType::payment_required, {"payment-required", 402, "Payment Required", kEmitted}},
    {ProblemType::payment_insufficient,
     {"payment-insufficient", 402, "Payment Insufficient", kNeverEmitted}},
    {ProblemType::payment_expired, {"payment-expired", 402, "Payment Expired", kEmitted}},
    {ProblemType::payment_action_required,
     {"payment-action-required", 402, "Payment Action Required", kNeverEmitted}},
    {ProblemType::verification_failed,
     {"verification-failed", 402, "Payment Verification Failed", kEmitted}},
    {ProblemType::method_unsupported,
     {"method-unsupported", 400, "Payment Method Unsupported", kEmitted}},
    {ProblemType::malformed_credential,
     {"malformed-credential", 402, "Malformed Credential", kEmitted}},
    {ProblemType::invalid_challenge, {"invalid-challenge", 402, "Invalid Challenge", kEmitted}},
    {ProblemType::invalid_payload, {"invalid-payload", 402, "Invalid Payload", kNeverEmitted}},
    {ProblemType::bad_request, {"bad-request", 400, "Bad Request", kEmitted}},
    {ProblemType::internal_payment_error,
     {"internal-payment-error", 500, "Internal Payment Error", kEmitted}},
    {ProblemType::lightning_malformed_credential,
     {"lightning/malformed-credential", 402, "Malformed Credential", kEmitted}},
    {ProblemType::lightning_unknown_challenge,
     {"lightning/unknown-challenge", 402, "Unknown Challenge", kEmitted}},
    {ProblemType::lightning_invalid_preimage,
     {"lightning/invalid-preimage", 402, "Invalid Preimage", kEmitted}},
    {ProblemType::lightning_expired_invoice,
     {"lightning/expired-invoice", 402, "Expired Invoice", kEmitted}},
    {ProblemType::lightning_challenge_expired,
     {"lightning/challenge-expired", 402, "Challenge Expired", kEmitted}},
    {ProblemType::lightning_session_not_found,
     {"lightning/session-not-found", 402, "Session Not Found", kEmitted}},
    {ProblemType::lightning_session_closed,
     {"lightning/session-closed", 402, "Session Closed", kEmitted}},
    {ProblemType::lightning_insufficient_balance,
     {"lightning/insufficient-balance", 402, "Insufficient Balance", kEmitted}},
    {ProblemType::lightning_invalid_return_invoice,
     {"lightning/invalid-return-invoice", 402, "Invalid Return Invoice", kEmitted}},
}};

constexpr bool rows_stand_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].type) != i) return false;
  }
  return true;
}
static_assert(rows_stand_in_order());

constexpr std::array<ProblemType, kProblemTypes> types_of_table() {
  std::array<ProblemType, kProblemTypes> out{};
  for (std::size_t i = 0; i < kTable.size(); ++i) out[i] = kTable[i].type;
  return out;
}
constexpr std::array<ProblemType, kProblemTypes> kTypes = types_of_table();

}  // namespace

const ProblemInfo& problem_info(ProblemType type) {
  return kTable[static_cast<std::size_t>(type)].info;
}

const std::array<ProblemType, kProblemTypes>& all_problem_types() { return kTypes; }

std::string problem_uri(ProblemType type) {
  return std::string(kProblemBase) += problem_info(type).name;
}

std::optional<ProblemType> parse_problem_type(std::string_view uri) {
  if (uri.starts_with(kProblemBase)) uri.remove_prefix(kProblemBase.size());
  for (const Row& row : kTable) {
    if (row.info.name == uri) return row.type;
  }
  return std::nullopt;
}

// RFC 9457 section 3.1. rule: MPP-83
std::string problem_json(const Problem& problem) {
  json::Writer out;
  out.begin_object();
  out.field("type", problem_uri(problem.type)).field("title", problem_info(problem.type).title);
  out.field("status", problem.status()).field("detail", problem.detail);
  if (!problem.challenge_id.empty()) out.field("challengeId", problem.challenge_id);
  for (const auto& [name, value] : problem.extra) out.key(name).raw(value);
  out.end_object();
  return std::move(out).take();
}

Problem problem_for(const Error& error) {
  const std::string detail(error.message());
  if (error.is(Errc::several_credentials)) return {ProblemType::bad_request, detail};
  if (error.is(Errc::malformed_credential) || error.is(Errc::too_large)) {
    return {ProblemType::malformed_credential, detail};
  }
  if (error.is(Errc::malformed_payload)) return {ProblemType::invalid_payload, detail};
  if (error.is(Errc::expired)) return {ProblemType::payment_expired, detail};
  if (error.is(Errc::digest_mismatch) || error.is(Errc::wrong_field) ||
      error.is(Errc::malformed_digest) || error.is(Errc::malformed_request) ||
      error.is(Errc::malformed_opaque) || error.is(Errc::bad_expires)) {
    return {ProblemType::invalid_challenge, detail};
  }
  if (error.is(Errc::bad_path)) return {ProblemType::bad_request, detail};
  return {ProblemType::internal_payment_error,
          "the payment cannot be processed now: try again later"};
}

}  // namespace octroi::mpp
