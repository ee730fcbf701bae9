// octroi/mpp/challenge.h: the Payment challenge: what a 402 says about how to pay.
//
//   WWW-Authenticate: Payment id="…", realm="…", method="lightning", intent="charge", request="…",
//   …
//
// Format   `id` first (clients in the field expect it), every value a quoted-string.
// Parse    finds Payment challenges among those of other schemes. One that cannot be accepted is
//          skipped; it is an error only when none is left.
// Refused  a missing or empty required parameter, a repeated parameter, broken syntax, a `request`
//          or `opaque` that is not base64url, `header` with any value but "Payment-Authorization".
// Errors   malformed_challenge, no_challenge.   Thread: pure.
// Source   Payment core, "Challenge (WWW-Authenticate)"; `header` from revision -01.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

inline constexpr std::string_view kScheme = "Payment";
/// The only value of the `header` parameter, and the request field it selects.
inline constexpr std::string_view kPaymentAuthorization = "Payment-Authorization";

struct Challenge {
  std::string id;
  std::string realm;
  std::string method;                      // "lightning"
  std::string intent;                      // "charge", "session"
  std::string request;                     // base64url of canonical JSON, the text on the wire
  std::optional<std::string> expires;      // RFC 3339, kept as text: the id binds the text
  std::optional<std::string> digest;       // RFC 9530, kept as text
  std::optional<std::string> description;  // for people; never compared, never bound
  std::optional<std::string> opaque;  // base64url of a canonical flat map, the text on the wire
  std::optional<std::string> header;  // absent, or "Payment-Authorization"

  bool operator==(const Challenge&) const = default;
};

/// The field value, starting `Payment id="`.
[[nodiscard]] Result<std::string> format_challenge(const Challenge& challenge);

/// All acceptable Payment challenges of a response, in order.
[[nodiscard]] Result<std::vector<Challenge>> parse_challenges(
    std::span<const std::string_view> header_values);

/// Whether it may be sent: required fields, identifiers, base64url forms, no control characters.
[[nodiscard]] Result<> validate_challenge(const Challenge& challenge);

/// 1*( a-z )
[[nodiscard]] bool is_method(std::string_view text) noexcept;
/// 1*( ALPHA / DIGIT / "-" )
[[nodiscard]] bool is_intent(std::string_view text) noexcept;

}  // namespace octroi::mpp
