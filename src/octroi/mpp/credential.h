// octroi/mpp/credential.h: the Payment credential: the echoed challenge and the proof of payment.
//
//   Authorization: Payment <base64url of {"challenge":{…},"payload":{…},"source":"…"}>
//   Payment-Authorization: Payment …            when the challenge had
//   header="Payment-Authorization"
//
// Limits   64 KiB decoded, told from the encoded length before anything is decoded.
// Lenient  padding is accepted, unknown fields are ignored.   Strict: repeated JSON keys, other
//          alphabets, stray bits, text around the token.
// Secrets  the payload holds the preimage: the document is wiped when the Credential dies, and no
//          error message quotes any of it.
// Errors   malformed_credential, too_large, several_credentials, wrong_field.   Thread: pure.
// Source   Payment core, "Credentials (Authorization)"; the second field from revision -01.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

inline constexpr std::size_t kMaxCredentialBytes = 64 * 1024;  // decoded

enum class CredentialField : std::uint8_t { authorization, payment_authorization };

class Credential {
 public:
  /// The challenge as echoed. Only trustworthy once its id was verified.
  [[nodiscard]] const Challenge& challenge() const { return challenge_; }
  /// The method's proof, an object. Lives as long as the Credential; moving it is fine.
  [[nodiscard]] json::Value payload() const;
  [[nodiscard]] const std::optional<std::string>& source() const { return source_; }

  /// SHA-256 over challenge id and canonical payload: equal for the same proof however its JSON was
  /// written, so that a second presentation can be told from another credential.
  [[nodiscard]] std::array<std::uint8_t, 32> fingerprint() const;

 private:
  friend Result<Credential> parse_credential(std::string_view field_value);
  Credential(Challenge challenge, std::optional<std::string> source, json::Document envelope)
      : challenge_(std::move(challenge)),
        source_(std::move(source)),
        envelope_(std::move(envelope)) {}

  Challenge challenge_;
  std::optional<std::string> source_;
  json::Document envelope_;
};

/// The whole field value, scheme included.
[[nodiscard]] Result<Credential> parse_credential(std::string_view field_value);

/// "Payment <token>" with canonical JSON. `payload_json` is the proof as a JSON object.
/// The result is as secret as the proof in it.
[[nodiscard]] Result<std::string> format_credential(
    const Challenge& challenge, std::string_view payload_json,
    const std::optional<std::string>& source = std::nullopt);

struct FoundCredential {
  CredentialField field = CredentialField::authorization;
  std::string_view value;  // the whole field value
  bool operator==(const FoundCredential&) const = default;
};
/// Finds the request's Payment credential among its Authorization and Payment-Authorization fields.
/// Nothing when there is none; several_credentials (400) when there is more than one.
[[nodiscard]] Result<std::optional<FoundCredential>> find_credential(
    std::span<const std::string_view> authorization,
    std::span<const std::string_view> payment_authorization);
/// Whether a field value is of the Payment scheme, well-formed or not.
[[nodiscard]] bool is_payment_credential(std::string_view field_value) noexcept;

/// A credential is only good in the field that its challenge selected.
[[nodiscard]] Result<> check_field(const Credential& credential, CredentialField field);

}  // namespace octroi::mpp
