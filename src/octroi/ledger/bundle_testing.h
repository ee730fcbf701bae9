// octroi/ledger/bundle_testing.h: short ways to make and to compare what tests of counted tokens
// need. For tests only.
#pragma once

#include <string>

#include <fmt/format.h>

#include "octroi/ledger/bundles.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

inline constexpr UnixMillis kShown{kStart.value + 60'000};
inline constexpr UnixMillis kTokenEnds{kStart.value + 24LL * 3'600'000};

/// Token n of 50 requests, as its first presentation claims it.
inline OpenBundle bundle_of(std::uint32_t n) {
  OpenBundle r;
  r.proof = consume_of(n);
  r.proof.scheme = Scheme::l402;
  r.proof.token_id = token_of(static_cast<std::uint8_t>(n));
  r.proof.challenge_id = r.proof.token_id->hex();
  r.proof.payload = r.proof.token_id->raw();
  r.proof.idempotency_key = "l402";
  r.proof.now = kShown;
  r.unit = "request";
  r.granted = 50;
  r.keep_until = kTokenEnds;
  return r;
}

inline std::string describe(const Bundle& b) {
  return fmt::format("{} {} {} {} of {} used {} sold {} at {} last {} until {}", b.id.hex(),
                     b.hash.hex(), b.service, b.unit, b.granted, b.used,
                     b.sold.count() /* raw: shown by a test */, b.opened.value, b.last_used.value,
                     b.keep_until.value);
}

}  // namespace octroi::ledger
