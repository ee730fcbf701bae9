// octroi/l402/verify.h: checks a presented L402 credential. Pure; callable on any thread; nothing
// is allocated on success.
//
// Order    preimage, key, signature, revocation, caveats: what is cheap to forge is refused first,
//          and nothing a caveat says is believed before the signature holds.
// Time     valid_until is exclusive.
// Errors   every Errc of error.h but two_credentials; the door answers 402 with a fresh challenge.
// Not here whether our node ever made the invoice: that is one look-up at a token's first sight on
// a
//          worker (ledger::Store::find_invoice), and whether it is settled (strict services).
// Source   L402 "protocol specification", verification.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/l402/caveat.h"
#include "octroi/l402/header.h"
#include "octroi/l402/keys.h"

namespace octroi::l402 {

/// Token ids that the operator revoked. Immutable: a change publishes a new set to every worker.
class RevocationSet {
 public:
  RevocationSet() = default;
  explicit RevocationSet(const std::vector<TokenId>& ids) : ids_(ids.begin(), ids.end()) {}
  [[nodiscard]] bool contains(const TokenId& id) const {
    return !ids_.empty() && ids_.contains(id);
  }
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

 private:
  std::unordered_set<TokenId> ids_;
};

struct VerifyInput {
  const Credential& credential;
  ServiceView service;
  UnixMillis now;
};

struct Grant {
  TokenId token;
  PaymentHash hash;
  std::uint8_t tier = 0;
  std::optional<UnixMillis> valid_until;
  std::optional<std::int64_t> max_requests;  // the caller counts
  std::optional<MeterGrant> meter;           // likewise; its unit within the credential
  std::size_t key_index = 0;  // 0: the newest ring key; for octroi_verifications_total{key_version}
};

/// Of several macaroons with the same identifier the first that is good enough is taken; when none
/// is, the first one's error is told.
[[nodiscard]] Result<Grant> verify(const VerifyInput& in, const RootKeys& keys,
                                   const RevocationSet& revoked);

}  // namespace octroi::l402
