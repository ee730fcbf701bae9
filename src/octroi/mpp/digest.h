// octroi/mpp/digest.h: the `digest` parameter: ties a challenge to the body of the request.
//
// Emitted  sha-256=:<base64>:  (RFC 9530).   Accepted also: sha-256=<base64>, as most SDKs write
//          it, and lists with further algorithms, of which every one we know must match.
// Errors   malformed_digest, digest_mismatch.   Thread: pure.
// Source   Payment core, "Request Body Digest Binding"; RFC 9530 section 2.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/crypto/hash.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

[[nodiscard]] std::string format_digest(ByteView body);
/// When the body was hashed as it came in.
[[nodiscard]] std::string format_digest(const crypto::Sha256Digest& body_sha256);
/// Compares in constant time.
[[nodiscard]] Result<> verify_digest(std::string_view digest,
                                     const crypto::Sha256Digest& body_sha256);
[[nodiscard]] Result<> verify_digest(std::string_view digest, ByteView body);

}  // namespace octroi::mpp
