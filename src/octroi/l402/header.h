// octroi/l402/header.h: the header fields of L402, both sides.
//
// Challenge    WWW-Authenticate: L402 macaroon="<b64>", invoice="<bolt11>", version="0", token=…
//              WWW-Authenticate: LSAT macaroon="<b64>", invoice="<bolt11>"
//              Standard base64, padded. `macaroon` and `invoice` come first because clients in the
//              field read them by position; `version` and `token` are the specification's names.
// Credential   Authorization: L402|LSAT <b64>[,<b64>…]:<64 hex>
//              Macaroon: <hex>, or Grpc-Metadata-Macaroon: <hex>, with a caveat preimage=<64 hex>
//              Scheme in any case; base64 or base64url, padded or not; hex digits in any case.
//              Strict otherwise: one space or more after the scheme, no blanks elsewhere, exactly
//              one colon, no control characters, nothing after the preimage.
// Errors       Errc::malformed, Errc::too_large, Errc::two_credentials. Never shows what was sent.
// Thread       pure, any thread.
// Source       L402 "protocol specification", authentication flow; LSAT, the same under its old
//              name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/l402/error.h"
#include "octroi/l402/identifier.h"
#include "octroi/l402/preimage.h"

namespace octroi::l402 {

enum class SchemeName : std::uint8_t { l402, lsat };

/// The value of one WWW-Authenticate field.
[[nodiscard]] std::string format_challenge(SchemeName scheme, ByteView macaroon,
                                           std::string_view invoice);

/// A challenge as a client reads it.
struct Challenge {
  SchemeName scheme = SchemeName::l402;
  Bytes macaroon;  // decodes as a macaroon with an L402 identifier
  Identifier id;
  std::string invoice;  // bolt11, not yet decoded: check its hash against `id.hash` before paying
};
/// Every L402 and LSAT challenge in one WWW-Authenticate field value, whatever other challenges
/// stand beside them. Those that cannot be used (no macaroon, no invoice, another version) are
/// skipped.
[[nodiscard]] std::vector<Challenge> parse_challenges(std::string_view www_authenticate);

/// At most this many macaroons in one credential.
inline constexpr std::size_t kMaxMacaroons = 8;

struct Credential {
  std::vector<Bytes> macaroons;  // at least one; all with the same identifier
  Identifier id;
  Preimage preimage;
};

/// The fields of one request that may carry an L402 credential.
struct CredentialLines {
  std::span<const std::string_view> authorization{};
  std::span<const std::string_view> macaroon{};       // Macaroon
  std::span<const std::string_view> grpc_macaroon{};  // Grpc-Metadata-Macaroon
};
/// Nothing when no line is an L402 credential (other schemes are not ours to judge). Lines that
/// carry the same token are one credential; different tokens are Errc::two_credentials. The two
/// macaroon fields count when Authorization holds no L402 credential, or when they carry a
/// preimage; an upstream's own macaroon beside a good Authorization line is not ours.
[[nodiscard]] Result<std::optional<Credential>> parse_credential(const CredentialLines& lines);

/// Whether an Authorization value is of the L402 or LSAT scheme: such a line never reaches the
/// upstream.
[[nodiscard]] bool is_l402_authorization(std::string_view authorization);

/// The value of an Authorization field, for clients. Secret: it is the whole credential.
[[nodiscard]] Secret format_credential(SchemeName scheme, ByteView macaroon, ByteView preimage);

}  // namespace octroi::l402
