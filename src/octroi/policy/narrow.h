// octroi/policy/narrow.h: one call judged by several policies: that of a key and those of the keys
// that it is narrower than. What one of them refuses is refused, and caps of all are held.
//
// Thread   pure.
// Source   issue 6 "Keys": child keys that are narrower than their parent.
#pragma once

#include "octroi/policy/decide.h"

namespace octroi::policy {

/// The stricter of two judgements of one call. A cap that is in both counts once, with the lower
/// limit.
[[nodiscard]] Decision narrow(Decision inner, Decision outer);

}  // namespace octroi::policy
