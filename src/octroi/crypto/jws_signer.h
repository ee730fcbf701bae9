// octroi/crypto/jws_signer.h: makes JSON Web Signatures (RFC 7515, compact form) with RS256 or
// ES256, for who has to show a signed assertion to somebody else. Verifying is jws.h.
//
// Key      a private key as PEM: PKCS #8, or PKCS #1 and SEC 1 as older tools write them; not
//          encrypted. RSA of 2048 to 8192 bits, or a key on P-256.
// Errors   bad_key, weak_key, wrong_algorithm (a key of the other kind), unavailable.
// Secrets  the key stays in the library's memory, which wipes it.
// Thread   const after construction: any thread. Allocates.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "octroi/base/secret.h"
#include "octroi/crypto/jws.h"

namespace octroi::crypto {

class JwsSigner {
 public:
  [[nodiscard]] static Result<JwsSigner> from_pem(JwsAlgorithm algorithm, const Secret& pem);
  JwsSigner(JwsSigner&&) noexcept;
  JwsSigner& operator=(JwsSigner&&) noexcept;
  ~JwsSigner();

  [[nodiscard]] JwsAlgorithm algorithm() const;
  /// The compact form of these two JSON texts. The header must name algorithm().
  [[nodiscard]] Result<std::string> sign(std::string_view header, std::string_view payload) const;

 private:
  struct Impl;
  explicit JwsSigner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace octroi::crypto
