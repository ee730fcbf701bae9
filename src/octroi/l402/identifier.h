// octroi/l402/identifier.h: what an L402 macaroon's identifier says: 66 bytes.
//
//   u16 version, big endian, 0 | payment hash, 32 | token id, 32
//
// Errors  Errc::malformed for another length or version.   Thread: pure.
// Source  L402 "protocol specification", macaroon identifier.
#pragma once

#include <array>

#include "octroi/base/bytes.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/l402/error.h"

namespace octroi::l402 {

inline constexpr std::size_t kIdentifierSize = 66;

struct Identifier {
  PaymentHash hash;
  TokenId token;
  auto operator<=>(const Identifier&) const = default;
};

[[nodiscard]] std::array<std::uint8_t, kIdentifierSize> encode_identifier(const Identifier& id);
[[nodiscard]] Result<Identifier> decode_identifier(ByteView bytes);

}  // namespace octroi::l402
