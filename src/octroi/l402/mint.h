// octroi/l402/mint.h: makes the macaroon of a challenge.
//
// Errors  Errc::bad_mint when a name or value cannot be written as a caveat without changing its
//         meaning (the configuration is checked with check_terms before that can happen).
// Thread  pure, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/l402/keys.h"

namespace octroi::l402 {

/// So many units of one kind.
struct Metered {
  std::string unit;  // a caveat name
  std::int64_t units = 0;
};

/// What is sold: becomes the caveats, in this order.
struct TokenTerms {
  ServiceName service{};
  std::uint8_t tier = 0;
  std::vector<std::string> capabilities{};           // empty: no capabilities caveat
  std::map<std::string, std::string> constraints{};  // condition to value
  std::optional<std::int64_t> max_requests{};        // empty: no such caveat
  std::optional<UnixMillis> valid_until{};           // whole seconds, rounded down; empty: for ever
  std::optional<Metered> meter{};                    // empty: nothing is counted
};

/// What `octroi check` asks of a service's token settings; the message names the field.
[[nodiscard]] Result<> check_terms(const TokenTerms& terms);

/// `id` from RootKeys::new_token_id.
[[nodiscard]] Result<Bytes> mint(const RootKeys& keys, const PaymentHash& hash, const TokenId& id,
                                 const TokenTerms& terms);

}  // namespace octroi::l402
