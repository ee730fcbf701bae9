// octroi/mpp/accept_payment.h: what a client says it can pay with, and the order of our offers.
//
//   Accept-Payment: lightning/charge, lightning/*;q=0.5, tempo/session;q=0
//
// Rank     an offer takes the weight of the most specific range that matches it (of equals the
//          first); weight 0 and no match drop it; the rest by weight, ours first among equals.
// Ignored  the whole field when malformed.
// Thread   pure.   Source: Payment core, "Client Payment Preferences".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace octroi::mpp {

struct PaymentRange {
  std::string method;           // or "*"
  std::string intent;           // or "*"
  std::uint16_t weight = 1000;  // thousandths
};
struct Offer {
  std::string_view method;
  std::string_view intent;
};

/// Nothing when the field is absent, empty or malformed.
[[nodiscard]] std::optional<std::vector<PaymentRange>> parse_accept_payment(
    std::span<const std::string_view> field_values);

/// Indexes into `offers`, best first; may be empty.
[[nodiscard]] std::vector<std::size_t> rank_offers(std::span<const PaymentRange> ranges,
                                                   std::span<const Offer> offers);
/// As a server answers: without ranges, or when none of them matches, all offers in our own order.
[[nodiscard]] std::vector<std::size_t> choose_offers(
    const std::optional<std::vector<PaymentRange>>& ranges, std::span<const Offer> offers);
/// Whether some range names this intent itself (not through "*") with a weight above 0.
[[nodiscard]] bool asks_for(std::span<const PaymentRange> ranges, std::string_view method,
                            std::string_view intent);

}  // namespace octroi::mpp
