// octroi/crypto/compare.h: comparison whose time depends on the lengths only; it lives in base so
// that Secret can use it, and is named again here because whoever checks a MAC looks for it in
// crypto.
#pragma once

#include "octroi/base/secret.h"

namespace octroi::crypto {
using octroi::constant_time_equal;
}  // namespace octroi::crypto
