// octroi/crypto/errors.h: what can go wrong with keys, signatures and sealed bytes. Messages never
// say which byte was wrong: that would help only whoever guesses. Thread: values.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::crypto {

enum class Errc : std::uint8_t {
  bad_key,        // wrong length, not on the curve, or zero
  weak_key,       // well-formed but too short to rely on (RSA under 2048 bits, HMAC under 32 bytes)
  bad_signature,  // does not fit the message and key, or has the wrong length
  wrong_algorithm,  // the key is of another kind than the algorithm asked for
  bad_ciphertext,   // too short, altered, or sealed with another key or associated data
  bad_parameters,   // cost, length or salt outside what is safe
  malformed,        // a compact JWS that is not three base64url parts
  unavailable,      // the library refused or ran out of memory
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::crypto
