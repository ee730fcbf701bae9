// octroi/bolt11/amount.h: the amount in an invoice's human-readable part: a number of bitcoin with
// an optional multiplier m, u, n or p. Internal to octroi/bolt11.
//
// Errors   bad_amount.   Thread: pure.
// Source   BOLT 11, "Human-Readable Part".
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/money/money.h"

namespace octroi::bolt11 {

/// REQUIRES text that is not empty.
[[nodiscard]] Result<Msat> parse_amount(std::string_view text);
/// The shortest form. REQUIRES an amount that is not zero.
[[nodiscard]] std::string format_amount(Msat amount);

}  // namespace octroi::bolt11
