// octroi/vault/sigv4.h: AWS Signature Version 4, in both directions: what an agent signed with its
// vault key is verified, and what is sent on is signed anew with the real one.
//
// Verified  the whole request as it came: method, path, query, Host, every x-amz-… field, and the
//           body, either by its hash, or chunk by chunk (sigv4_chunks.h), or, where the agent left
//           it out ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), not.
// Refused   temporary credentials (a session token), signatures in a query (presigned links), a
//           date more than five minutes off, a scope that is not of that day, a field that is not
//           signed although it should be.
// Errors    Errc::no_key, unknown_key, several_keys, ambiguous, unsupported_body.
// Thread    pure.
// Source    AWS general reference, "Signature Version 4 signing process".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/hash.h"
#include "octroi/http/message.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/sigv4_chunks.h"

namespace octroi::vault {

/// What a request says about its signature, and everything of it that was signed but the body.
struct SignedClaim {
  std::string key_name;  // "AKIA…"
  std::string date;      // "20260131"
  std::string region, service;
  std::string time;       // "20260131T120000Z"
  std::string body_hash;  // as the request says: hexadecimal, "UNSIGNED-PAYLOAD", or empty
  Chunks chunks;          // how its body comes; `body_hash` then names the way of it
  std::string canonical;  // the canonical request up to the hash of its body
  std::string signature;  // hexadecimal
};

/// Nothing: it is not signed this way.
[[nodiscard]] Result<std::optional<SignedClaim>> read_signature(const http::RequestHead& head);

/// `body` is not looked at where it comes in chunks: join_chunks() is still to be asked.
[[nodiscard]] Result<> check_signature(const SignedClaim& claim, const Secret& secret,
                                       const crypto::Sha256Digest& body, UnixMillis now);

/// What signs the chunks of a request whose own signature was found to be of this secret.
[[nodiscard]] ChunkSigner chunk_signer(const SignedClaim& claim, const Secret& secret);

struct SigningKey {
  std::string_view id;
  const Secret& secret;
};
/// Sets Authorization, X-Amz-Date and X-Amz-Content-Sha256. `host`, and the target of `head`, are
/// those that are sent.
void sign_request(http::RequestHead& head, std::string_view host, const crypto::Sha256Digest& body,
                  const SigningKey& key, std::string_view region, std::string_view service,
                  UnixMillis now);

}  // namespace octroi::vault
