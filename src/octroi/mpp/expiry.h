// octroi/mpp/expiry.h: when a challenge ends.
//
// The text of `expires` is bound by the id as it stands; any RFC 3339 form is understood. A moment
// equal to the expiry counts as expired. `skew` is how long after it a server is still lenient (0
// by default) or, negative, how early a client stops paying. Errors   bad_expires, expired. Thread:
// pure. Source   Payment core, `expires`; Lightning charge, "Challenge Expiry and Invoice Expiry".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

/// Seconds and "Z", the form we emit. Never later than `at`.
[[nodiscard]] std::string format_expires(UnixMillis at);
[[nodiscard]] Result<UnixMillis> parse_expires(std::string_view text);
[[nodiscard]] bool is_expired(UnixMillis expires, UnixMillis now, Millis skew = Millis(0));
/// The earlier of the challenge's and the invoice's end; the invoice's when the challenge has none.
[[nodiscard]] Result<UnixMillis> effective_expiry(const std::optional<std::string>& expires,
                                                  UnixMillis invoice_expiry);
/// bad_expires or expired.
[[nodiscard]] Result<> check_expires(std::string_view expires, UnixMillis now,
                                     Millis skew = Millis(0));

}  // namespace octroi::mpp
