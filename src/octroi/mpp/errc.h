// octroi/mpp/errc.h: why a message of the Payment scheme was refused. What is told to the other
// side is a Problem (octroi/mpp/problems.h); `problem_for` gives the one that belongs to an error.
//
// Thread: pure.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::mpp {

enum class Errc : std::uint8_t {
  malformed_challenge,   // a field that may not stand in a challenge, or one that is missing
  no_challenge,          // none of the WWW-Authenticate values holds a Payment challenge to accept
  malformed_credential,  // not "Payment <base64url of the JSON envelope>"
  several_credentials,   // more than one Payment credential in a request
  wrong_field,           // the credential came in another field than its challenge asked for
  too_large,             // longer than the limit; refused before it was decoded
  malformed_receipt,     // not base64url of the JSON object with its four required members
  malformed_request,     // the method's request object lacks a field or has a wrong one
  malformed_payload,     // the method's proof lacks a field or has a wrong one
  malformed_opaque,      // not base64url of a flat map from strings to strings
  malformed_digest,      // not a Content-Digest we can check
  digest_mismatch,       // the body is another than the challenge was made for
  bad_expires,           // not an RFC 3339 date-time
  expired,               // the challenge's time is over
  bad_path,              // a request path that could be read in two ways
  bad_identifier,        // realm, method or intent with a character that the id cannot carry
  bad_key_ring,          // no key, or one under 32 bytes
  unknown_operation,     // conformance: no such operation
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::mpp
