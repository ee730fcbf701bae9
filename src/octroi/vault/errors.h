// octroi/vault/errors.h: why the vault door refuses, and what a caller is told.
//
// Codes are stable: audit rows, refusals in a vendor's error shape and tests use them. Thread:
// pure.
#pragma once

#include <cstdint>
#include <optional>

#include "octroi/base/error.h"

namespace octroi::vault {

enum class Errc : std::uint8_t {
  no_key,             // no credential, or one that is no vault key: 401
  several_keys,       // more than one credential, or one in two places: 401
  unknown_key,        // well-formed, but nobody was given it: 401
  key_revoked,        // 401
  key_paused,         // 401
  key_expired,        // 401
  wrong_mode,         // a test key where the real key is live, or the other way: 401
  wrong_run,          // the key is bound to another run: 403
  unknown_vendor,     // nothing of that name is configured: 404
  wrong_vendor,       // the key is for another vendor: 403
  unknown_operation,  // the pack does not know it, and so nobody allowed it: 403
  ambiguous,          // could be read in two ways (path, form, JSON, header): 400
  unsupported_body,   // content type or coding that this operation does not take: 415
  body_too_large,     // 413
  denied,             // the policy says no: 403
  over_cap,           // a cap of the policy has no room for it: 403
  idempotency_reuse,  // the idempotency key was used for another request: 409
  in_flight,          // the same request is under way or its outcome is unknown: 409
  unavailable,        // store, journal or real key cannot be used now: nothing was sent: 503
  upstream_failed,    // the vendor could not be reached, nothing was sent: 502
  unknown_outcome,    // the vendor may have acted; what it cost stays held: 502
  encoded_answer,     // the vendor's answer cannot be searched for the real key: 502
  token_refused,      // no access token is given for the real key; nothing was sent: 502
  bad_sealed,         // a sealed credential cannot be opened with this key file
};
ErrorInfo error_info(Errc e);

/// Nothing for an error of another module.
[[nodiscard]] std::optional<Errc> errc_of(const Error& error);

/// The status of an answer that tells of it.
[[nodiscard]] int status_of(Errc e);

}  // namespace octroi::vault
