#include "octroi/l402/identifier.h"

#include <algorithm>

namespace octroi::l402 {

std::array<std::uint8_t, kIdentifierSize> encode_identifier(const Identifier& id) {
  std::array<std::uint8_t, kIdentifierSize> out{};  // the version, 0, is there already
  std::ranges::copy(id.hash.raw(), out.begin() + 2);
  std::ranges::copy(id.token.raw(), out.begin() + 34);
  return out;
}

Result<Identifier> decode_identifier(ByteView bytes) {
  if (bytes.size() != kIdentifierSize)
    return fail(Errc::malformed, "macaroon identifier: must be 66 bytes");
  if (bytes[0] != 0 || bytes[1] != 0)
    return fail(Errc::malformed, "macaroon identifier: only version 0 is known");
  OCTROI_TRY(auto hash, PaymentHash::from_bytes(bytes.subspan(2, 32)));
  OCTROI_TRY(auto token, TokenId::from_bytes(bytes.subspan(34, 32)));
  return Identifier{.hash = hash, .token = token};
}

}  // namespace octroi::l402
