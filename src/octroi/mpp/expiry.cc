#include "octroi/mpp/expiry.h"

#include <algorithm>

namespace octroi::mpp {

std::string format_expires(UnixMillis at) { return to_rfc3339(from_unix_seconds(at.seconds())); }

Result<UnixMillis> parse_expires(std::string_view text) {
  auto parsed = from_rfc3339(text);
  if (!parsed)
    return fail(Errc::bad_expires,
                "expires: must be an RFC 3339 date-time such as 2026-01-15T12:05:00Z");
  return *parsed;
}

bool is_expired(UnixMillis expires, UnixMillis now, Millis skew) { return now >= expires + skew; }

// Lightning charge: whichever end comes first. rule: MPP-41
Result<UnixMillis> effective_expiry(const std::optional<std::string>& expires,
                                    UnixMillis invoice_expiry) {
  if (!expires) return invoice_expiry;
  OCTROI_TRY(const UnixMillis challenge_expiry, parse_expires(*expires));
  return std::min(challenge_expiry, invoice_expiry);
}

// Payment core -01: an expired challenge is told apart from an unknown one. rule: MPP-40
Result<> check_expires(std::string_view expires, UnixMillis now, Millis skew) {
  OCTROI_TRY(const UnixMillis end, parse_expires(expires));
  if (is_expired(end, now, skew))
    return fail(Errc::expired, "the challenge has expired: ask for a new one");
  return {};
}

}  // namespace octroi::mpp
