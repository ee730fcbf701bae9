#include "octroi/l402/verify.h"

#include "octroi/l402/macaroon.h"

namespace octroi::l402 {
namespace {

bool signed_by_root(const MacaroonView& macaroon, const RootKeys& keys, std::size_t index,
                    const TokenId& token) {
  crypto::Sha256Digest root = keys.root_of(index, token);
  const bool good = signature_matches(macaroon, root);
  secure_wipe(root.data(), root.size());
  return good;
}

Result<Grant> verify_one(ByteView encoded, const VerifyInput& in, const RootKeys& keys,
                         std::size_t key_index, const RevocationSet& revoked) {
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(encoded));
  OCTROI_TRY(const Identifier id, decode_identifier(macaroon.identifier));
  if (id != in.credential.id)
    return fail(Errc::two_credentials, "credential: its macaroons belong to different tokens");
  if (macaroon.has_third_party)
    return fail(Errc::third_party, "macaroon: third-party caveats are not accepted");
  if (!signed_by_root(macaroon, keys, key_index, id.token)) {
    return fail(Errc::bad_signature, "macaroon: the signature does not verify");
  }
  if (revoked.contains(id.token)) return fail(Errc::revoked, "macaroon: the token was revoked");
  OCTROI_TRY(const CaveatGrant caveats, check_caveats(macaroon.caveats, in.service, in.now));
  return Grant{.token = id.token,
               .hash = id.hash,
               .tier = caveats.tier,
               .valid_until = caveats.valid_until,
               .max_requests = caveats.max_requests,
               .meter = caveats.meter,
               .key_index = key_index};
}

}  // namespace

Result<Grant> verify(const VerifyInput& in, const RootKeys& keys, const RevocationSet& revoked) {
  const Credential& credential = in.credential;
  if (credential.macaroons.empty())
    return fail(Errc::malformed, "credential: it holds no macaroon");
  if (!credential.preimage.opens(credential.id.hash)) {
    return fail(Errc::wrong_preimage,
                "credential: the preimage does not belong to the token's payment hash");
  }
  const auto key_index = keys.find(credential.id.token);
  if (!key_index)
    return fail(Errc::unknown_key,
                "macaroon: made by somebody else, or under a key that was retired");

  Result<Grant> first = verify_one(credential.macaroons.front(), in, keys, *key_index, revoked);
  for (std::size_t i = 1; !first && i < credential.macaroons.size(); ++i) {
    Result<Grant> next = verify_one(credential.macaroons[i], in, keys, *key_index, revoked);
    if (next) return next;
  }
  return first;
}

}  // namespace octroi::l402
