// octroi/mpp/binding.h: ties a challenge to the place it was issued for, without storing anything.
//
// The key under which a challenge's id is made is derived from the ring's key and from what the
// server itself knows again when the credential comes back. A credential presented elsewhere is
// then simply one whose id does not verify. The ids themselves keep their standard form
// (octroi/mpp/ids.h).
//
// Fields   each with its length before it, so that no two sets of fields give one text.
// Cost     one MAC a derivation and one an id, with the pads of the ring's keys hashed beforehand.
// Errors   bad_path.   Thread: pure.
// Source   architecture 3.7 "Binding without storage"; Payment core on binding a challenge to its
//          resource.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/crypto/hash.h"
#include "octroi/mpp/errc.h"
#include "octroi/mpp/ids.h"

namespace octroi::mpp {

struct BindingFields {
  std::string_view scheme;   // "payment", "l402"
  std::string_view service;  // its name in the configuration
  std::string_view method;   // HTTP method; HEAD counts as GET. Empty: any (sessions)
  std::string_view scope;  // normalised path, price rule, path and query; empty: the whole service
};

/// The key for ids of challenges issued for these fields.
[[nodiscard]] crypto::HmacSha256Key derive_binding_key(const crypto::HmacSha256Key& ring_key,
                                                       const BindingFields& fields);

/// The id of a new challenge, under the ring's current key.
[[nodiscard]] std::string bound_challenge_id(const KeyRing& ring, const BindingFields& fields,
                                             const IdSlots& slots);
/// The ring version under which the id was issued for these fields and slots; nothing when none.
[[nodiscard]] std::optional<std::size_t> verify_bound_id(const KeyRing& ring,
                                                         const BindingFields& fields,
                                                         const IdSlots& slots, std::string_view id);

/// One spelling for every path that servers read as the same: percent-escapes decoded, "//" and "."
/// and ".." segments resolved, a trailing "/" kept.
/// Refused: no leading "/", a "?" or "#" (split the query off first), an invalid escape, NUL and
/// other controls, ".." above the root, and a dot or empty segment that only appears when "%2F" is
/// decoded, because upstreams differ on whether that is a separator.
[[nodiscard]] Result<std::string> normalise_path(std::string_view raw_path);

}  // namespace octroi::mpp
