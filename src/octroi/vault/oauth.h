// octroi/vault/oauth.h: how a stored secret is exchanged for the access token that a vendor is
// shown: the request to the token endpoint, and what its answer says. tokens.h asks and keeps.
//
// Grants   client_credentials (RFC 6749 section 4.4), the secret being the client's, shown by Basic
//          or in the form (section 2.3.1); jwt_bearer (RFC 7523 section 2.1), the secret being a
//          private key as PEM that signs the assertion.
// Answers  JSON of section 5.1, read strictly: one access_token of printable characters, of type
//          Bearer, for so many seconds. Of a refusal (section 5.2) only the registered words are
//          repeated: what else it says may repeat what it was sent.
// Errors   Errc::token_refused: asking again will not help. Errc::upstream_failed: it may.
// Thread   const and pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/crypto/jws_signer.h"
#include "octroi/http/client.h"
#include "octroi/http/message.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/settings.h"

namespace octroi::vault {

struct MintedToken {
  Secret text;
  Millis lifetime{0};  // 0: good for what it was asked for
};

/// What a token endpoint answered.
[[nodiscard]] Result<MintedToken> read_token(int status, std::string_view body);

/// Whether a vendor's 401 speaks of the token that it was shown (RFC 6750 section 3.1: the error
/// invalid_token; or the same said in JSON): with another one the same request may pass.
[[nodiscard]] bool says_token_is_bad(const http::Headers& headers, std::string_view body);

class TokenGrant {
 public:
  explicit TokenGrant(OauthSettings settings) : settings_(std::move(settings)) {}
  [[nodiscard]] Result<> check_credential(const Secret& real) const;
  /// The request that asks for a token. `id` names the assertion.
  [[nodiscard]] Result<http::Request> request(const Secret& real, UnixMillis now,
                                              std::string_view id) const;
  /// Other spellings of the real key, which are no more to be seen than itself.
  [[nodiscard]] std::vector<Secret> spellings(const Secret& real) const;
  [[nodiscard]] const OauthSettings& settings() const { return settings_; }
  /// The same for the same credential at the same endpoint, whatever else was configured anew.
  [[nodiscard]] std::string identity(const Secret& real) const;

 private:
  struct Client {
    std::string_view id, secret;
  };
  [[nodiscard]] bool has_key() const { return settings_.grant == "jwt_bearer"; }
  [[nodiscard]] Result<Client> client_of(const Secret& real) const;
  [[nodiscard]] Result<crypto::JwsSigner> signer_of(const Secret& real) const;
  [[nodiscard]] Result<std::string> assertion(const Secret& real, UnixMillis now,
                                              std::string_view id) const;
  [[nodiscard]] http::Url url() const;

  OauthSettings settings_;
};

}  // namespace octroi::vault
