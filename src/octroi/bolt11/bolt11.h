// octroi/bolt11/bolt11.h: Lightning invoices: read, checked, made and signed.
//
//   OCTROI_TRY(const bolt11::Invoice invoice, bolt11::decode(text));   // signature already checked
//   OCTROI_TRY(std::string text, bolt11::encode(invoice, key));
//
// Strict   what a payer must refuse is an error: checksum, mixed case, a fraction of a
//          millisatoshi, no payment hash or secret, neither or both of description and its hash, a
//          required feature nobody assigned to invoices, numbers with leading zeros, non-zero
//          padding, a bad signature.
// Kept     what a reader must skip is kept in `other_fields`, and `field_order` remembers where all
//          stood, so that decode then encode with the same key gives the same text (when the amount
//          was in its shortest form).
// Secrets  none: an invoice is shown to whoever pays. The payment secret is only a guard against
// probing. Thread   pure, any thread. Source   BOLT 11; feature numbers of BOLT 9, context "9".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/crypto/secp256k1.h"
#include "octroi/money/money.h"

namespace octroi::bolt11 {

enum class Errc : std::uint8_t {
  bad_bech32,       // not bech32: separator, alphabet, mixed case, checksum, too long
  bad_prefix,       // not "ln" and a known network
  bad_amount,       // not a number and multiplier, zero, below a millisatoshi, over all bitcoin
  too_short,        // ends before its timestamp, a field or its signature does
  bad_field,        // a field whose content breaks its rule
  missing_field,    // no payment hash, no payment secret, or no description in either form
  conflict,         // both a description and a description hash
  unknown_feature,  // requires (even bit) what is not assigned to invoices
  bad_signature,    // does not fit the named payee, or no key can have made it
  wrong_key,        // encode: the invoice names another payee than the key
};
ErrorInfo error_info(Errc e);

/// Below lightning in the layers, so it has a list of its own with the same names.
enum class Network : std::uint8_t { mainnet, testnet, signet, regtest, simnet };
/// "mainnet", "testnet", "signet", "regtest", "simnet".
[[nodiscard]] std::string_view to_string(Network n);
/// "bc", "tb", "tbs", "bcrt", "sb": what follows "ln".
[[nodiscard]] std::string_view currency_prefix(Network n);

using PaymentSecret = BinaryId<struct PaymentSecretTag, 32>;
using DescriptionHash = BinaryId<struct DescriptionHashTag, 32>;

inline constexpr Seconds kDefaultExpiry{3600};
inline constexpr std::uint32_t kDefaultMinFinalCltv = 18;
inline constexpr std::size_t kMaxDescription = 639;  // bytes; describe more by hash

/// Feature bits that octroi's own invoices require: var_onion_optin and payment_secret.
inline constexpr std::array<std::uint16_t, 2> kOwnFeatures = {8, 14};

/// One channel of a private route: from `node` through the channel to the next entry or the payee.
struct RouteHop {
  crypto::PublicKey node;
  std::uint64_t short_channel_id = 0;  // block << 40 | transaction << 16 | output
  Msat fee_base;                       // at most 2^32 - 1 msat
  std::uint32_t fee_proportional_millionths = 0;
  std::uint16_t cltv_expiry_delta = 0;
  bool operator==(const RouteHop&) const = default;
};
/// "589390x3312x1".
[[nodiscard]] std::string short_channel_id_text(std::uint64_t id);

enum class FallbackKind : std::uint8_t {
  p2pkh,   // 20 bytes
  p2sh,    // 20 bytes
  p2wpkh,  // 20 bytes
  p2wsh,   // 32 bytes
  p2tr,    // 32 bytes
};
struct Fallback {
  FallbackKind kind = FallbackKind::p2wpkh;
  Bytes program;
  bool operator==(const Fallback&) const = default;
};
/// The on-chain address people know. REQUIRES a program of the kind's length.
[[nodiscard]] std::string address_text(Network network, const Fallback& fallback);

/// A field that the reader skips: unknown type or version, wrong fixed length, or a repetition.
struct OtherField {
  std::uint8_t type = 0;            // 0 to 31
  std::vector<std::uint8_t> words;  // of 5 bits, at most 1023
  bool operator==(const OtherField&) const = default;
};

struct Invoice {
  Network network = Network::mainnet;
  std::optional<Msat> amount;  // absent: the payer chooses. Never zero.
  UnixMillis created;          // whole seconds, below 2^35
  PaymentHash payment_hash;
  PaymentSecret payment_secret;
  std::optional<std::string> description;  // UTF-8; written by whoever asks for money: escape it
  std::optional<DescriptionHash> description_hash;  // exactly one of the two
  std::optional<Bytes> metadata;
  std::optional<Seconds> expiry;                // as written; see expires()
  std::optional<std::uint32_t> min_final_cltv;  // as written; see final_cltv()
  std::vector<Fallback> fallbacks;              // most preferred first
  std::vector<std::vector<RouteHop>> routes;
  std::vector<std::uint16_t> features{kOwnFeatures.begin(), kOwnFeatures.end()};  // ascending
  std::vector<OtherField> other_fields;

  crypto::PublicKey payee;   // after decode always set: named or recovered
  bool names_payee = false;  // whether the text carries the payee
  crypto::RecoverableSignature signature;

  /// Field types in the order of the text; kOtherField marks the next of `other_fields`. Fields
  /// that are not listed are written after those that are.
  std::vector<std::uint8_t> field_order;
  static constexpr std::uint8_t kOtherField = 0xff;

  /// First moment at which it must not be paid any more.
  [[nodiscard]] UnixMillis expires() const { return created + expiry.value_or(kDefaultExpiry); }
  [[nodiscard]] bool expired(UnixMillis now) const { return now >= expires(); }
  [[nodiscard]] std::uint32_t final_cltv() const {
    return min_final_cltv.value_or(kDefaultMinFinalCltv);
  }
  bool operator==(const Invoice&) const = default;
};

/// Upper or lower case, without a URI scheme; at most 8192 characters.
[[nodiscard]] Result<Invoice> decode(std::string_view text);

/// Lower case. `payee` may be empty; when it is set it must be the key's. `signature` is not looked
/// at.
[[nodiscard]] Result<std::string> encode(const Invoice& invoice, const crypto::PrivateKey& key);

}  // namespace octroi::bolt11
