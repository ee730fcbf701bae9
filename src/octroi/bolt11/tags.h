// octroi/bolt11/tags.h: the field types of an invoice, by the value of their letter, and the sizes
// that reader and writer share. Internal to octroi/bolt11. Source: BOLT 11, "Tagged Fields".
#pragma once

#include <cstddef>
#include <cstdint>

namespace octroi::bolt11::tag {

inline constexpr std::uint8_t kPaymentHash = 1;       // p
inline constexpr std::uint8_t kRoute = 3;             // r
inline constexpr std::uint8_t kFeatures = 5;          // 9
inline constexpr std::uint8_t kExpiry = 6;            // x
inline constexpr std::uint8_t kFallback = 9;          // f
inline constexpr std::uint8_t kDescription = 13;      // d
inline constexpr std::uint8_t kPaymentSecret = 16;    // s
inline constexpr std::uint8_t kPayee = 19;            // n
inline constexpr std::uint8_t kDescriptionHash = 23;  // h
inline constexpr std::uint8_t kMinFinalCltv = 24;     // c
inline constexpr std::uint8_t kMetadata = 27;         // m

}  // namespace octroi::bolt11::tag

namespace octroi::bolt11 {

inline constexpr std::size_t kTimestampWords = 7;
inline constexpr std::size_t kSignatureWords = 104;
inline constexpr std::size_t kMaxFieldWords = 1023;
inline constexpr std::size_t kHashWords = 52;
inline constexpr std::size_t kPayeeWords = 53;
inline constexpr std::size_t kHopBytes = 51;
inline constexpr std::uint8_t kVersionP2pkh = 17;
inline constexpr std::uint8_t kVersionP2sh = 18;
// Far beyond any honest value, and small enough that milliseconds cannot overflow.
inline constexpr std::uint64_t kMaxExpirySeconds = std::uint64_t{1} << 50;

}  // namespace octroi::bolt11
