// octroi/mpp/lightning/wire.h: what the messages of both Lightning intents have in common: amounts,
// hashes and preimages as text. Internal to octroi/mpp/lightning.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/json/value.h"
#include "octroi/money/money.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp::lightning::detail {

inline constexpr std::size_t kMaxRequestBytes = 16 * 1024;

/// Decimal digits.
[[nodiscard]] std::string sat_text(Sat amount);
/// A positive amount in satoshi from a decimal string.
[[nodiscard]] Result<Sat> positive_sat(json::Value object, std::string_view key);
/// As JSON number; never negative.
[[nodiscard]] Result<Sat> sat_number(json::Value object, std::string_view key);
/// `currency` must be "sat".
[[nodiscard]] Result<> check_currency(json::Value object);
/// 64 lower-case hex digits.
[[nodiscard]] Result<PaymentHash> payment_hash(json::Value object, std::string_view key, Errc code);
[[nodiscard]] Result<std::string> required(json::Value object, std::string_view key, Errc code);
[[nodiscard]] Result<std::optional<std::string>> optional(json::Value object, std::string_view key,
                                                          Errc code);
/// {"<member>":"<64 hex>"…} pieces: the hex of a preimage, to be wiped by the caller.
[[nodiscard]] std::string preimage_hex(const Secret& preimage);

}  // namespace octroi::mpp::lightning::detail
