// octroi/crypto/jws.h: checks JSON Web Signatures (RFC 7515) made with RS256, ES256, EdDSA or
// HS256.
//
// The algorithm belongs to the key and is named again by the caller, who has it from configuration
// or from the key's own entry in a key set. What the token's header says is never consulted here: a
// caller that reads it must refuse a token whose "alg" is another one. There is no "none".
//
// Shape    compact form: base64url header "." base64url payload "." base64url signature.
// Errors   malformed, bad_key, weak_key, wrong_algorithm, bad_signature.
// Thread   JwsKey is const after construction: any thread. Allocates.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/secret.h"
#include "octroi/crypto/errors.h"

namespace octroi::crypto {

enum class JwsAlgorithm : std::uint8_t {
  rs256,  // RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits
  es256,  // ECDSA on P-256 with SHA-256
  eddsa,  // Ed25519 (RFC 8037)
  hs256,  // HMAC with SHA-256, 32 bytes of key or more
};
/// As registered: "RS256", "ES256", "EdDSA", "HS256".
[[nodiscard]] std::string_view to_string(JwsAlgorithm a);

class JwsKey {
 public:
  /// Modulus and exponent, big-endian, as a key set's "n" and "e".
  [[nodiscard]] static Result<JwsKey> rsa(ByteView modulus, ByteView exponent);
  /// Coordinates of 32 bytes, as "x" and "y".
  [[nodiscard]] static Result<JwsKey> p256(ByteView x, ByteView y);
  /// 32 bytes, as "x" of an OKP key.
  [[nodiscard]] static Result<JwsKey> ed25519(ByteView key);
  [[nodiscard]] static Result<JwsKey> hmac(Secret key);

  JwsKey(JwsKey&&) noexcept;
  JwsKey& operator=(JwsKey&&) noexcept;
  ~JwsKey();

  [[nodiscard]] JwsAlgorithm algorithm() const;
  /// `signing_input` is the text before the last dot.
  [[nodiscard]] Result<> verify(JwsAlgorithm expected, std::string_view signing_input,
                                ByteView signature) const;

 private:
  struct Impl;
  explicit JwsKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct JwsParts {
  Bytes header;   // JSON text, not looked at
  Bytes payload;  // not to be looked at before verify() said yes
  Bytes signature;
  std::string_view signing_input;  // into the token
};
/// Takes the compact form apart. `signing_input` lives as long as the token's text.
[[nodiscard]] Result<JwsParts> split_jws(std::string_view token);

}  // namespace octroi::crypto
