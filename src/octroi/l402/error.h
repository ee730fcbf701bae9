// octroi/l402/error.h: why an L402 token or header was refused.
//
// Thread: values.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::l402 {

enum class Errc : std::uint8_t {
  malformed,  // a header, macaroon, identifier or caveat that breaks its grammar: 402 with a fresh
              // challenge
  too_large,  // a macaroon over 16 KiB, or with more than 100 caveats
  two_credentials,  // two different tokens, or two preimages for one, in the same request: 400
  unknown_key,      // the token was made with a root key that is not in the ring (any more)
  bad_signature,    // the macaroon was not made by us, or was changed
  wrong_preimage,   // the preimage is not the one of the token's payment hash
  expired,          // its valid_until has passed
  caveat_denied,    // a caveat does not allow this service, capability or constraint, or widens an
                    // earlier one
  third_party,      // it holds a third-party caveat, which we never discharge
  revoked,          // the operator revoked this token
  bad_key,          // a ring key is too short, or the ring is empty or holds one key twice
  bad_mint,         // what was asked to be minted cannot be written as caveats
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::l402
