#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "octroi/base/bech32.h"
#include "octroi/bolt11/amount.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/bolt11/tags.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/writer.h"

namespace octroi::bolt11 {
namespace {

using Words = std::span<const std::uint8_t>;

constexpr std::array kNetworks = {Network::mainnet, Network::testnet, Network::signet,
                                  Network::regtest, Network::simnet};

// BOLT 9, context "9": var_onion_optin, payment_secret, basic_mpp, option_route_blinding,
// option_attribution_data, option_payment_metadata. Odd bits need no list: they are never required.
constexpr std::array<std::uint16_t, 6> kKnownRequired = {8, 14, 16, 24, 36, 48};

tl::unexpected<Error> bad_field(std::string why) { return fail(Errc::bad_field, std::move(why)); }

std::uint64_t big_endian(ByteView bytes) {
  std::uint64_t n = 0;
  for (const std::uint8_t b : bytes) n = n << 8 | b;
  return n;
}

Result<std::uint64_t> number(Words words, std::uint64_t max, std::string_view name) {
  // Reader rule for x and c: a first word of zero makes a second text of one value.
  if (!words.empty() && words.front() == 0)
    return bad_field(fmt::format("{}: must not start with zero", name));
  std::uint64_t n = 0;
  for (const std::uint8_t w : words) {
    if (n > (max - w) / 32) return bad_field(fmt::format("{}: is too large", name));
    n = n * 32 + w;
  }
  return n;
}

Result<Bytes> field_bytes(Words words, std::string_view name) {
  auto bytes = words_to_bytes(words);
  if (!bytes) return bad_field(fmt::format("{}: padding must be zero and under 5 bits", name));
  return bytes;
}

template <class Id>
Result<Id> field_id(Words words, std::string_view name) {
  OCTROI_TRY(const Bytes bytes, field_bytes(words, name));
  return Id::from_bytes(bytes);
}

/// Reads the fields between timestamp and signature into an invoice.
class FieldReader {
 public:
  explicit FieldReader(Invoice& out) : out_(out) {}

  Result<> read_all(Words words) {
    while (!words.empty()) {
      if (words.size() < 3) return fail(Errc::too_short, "field: ends before its type and length");
      const std::uint8_t type = words[0];
      const std::size_t size = std::size_t{words[1]} * 32 + words[2];
      if (words.size() - 3 < size)
        return fail(Errc::too_short, "field: ends before its length says");
      OCTROI_TRY(const bool used, read(type, words.subspan(3, size)));
      if (!used) {
        const Words rest = words.subspan(3, size);
        out_.other_fields.push_back({type, {rest.begin(), rest.end()}});
      }
      out_.field_order.push_back(used ? type : Invoice::kOtherField);
      words = words.subspan(3 + size);
    }
    return check_required();
  }

 private:
  // True when the field was understood, false when it is one to skip. Of a repeated field the first
  // counts, because writers put the preferred one first.
  Result<bool> read(std::uint8_t type, Words words) {
    switch (type) {
      case tag::kRoute:
        return read_route(words);
      case tag::kFallback:
        return read_fallback(words);
      default:  // not an enum of ours: types come from outside
        break;
    }
    if (std::find(out_.field_order.begin(), out_.field_order.end(), type) != out_.field_order.end())
      return false;
    switch (type) {
      case tag::kPaymentHash:
        return read_id(out_.payment_hash, words, "payment hash");
      case tag::kPaymentSecret:
        return read_id(out_.payment_secret, words, "payment secret");
      case tag::kDescriptionHash:
        return read_id(out_.description_hash, words, "description hash");
      case tag::kPayee:
        return read_payee(words);
      case tag::kDescription:
        return read_description(words);
      case tag::kMetadata: {
        OCTROI_TRY(out_.metadata, field_bytes(words, "metadata"));
        return true;
      }
      case tag::kExpiry: {
        OCTROI_TRY(const auto n, number(words, kMaxExpirySeconds, "expiry"));
        out_.expiry = Seconds(static_cast<std::int64_t>(n));
        return true;
      }
      case tag::kMinFinalCltv: {
        OCTROI_TRY(const auto n, number(words, std::numeric_limits<std::uint32_t>::max(),
                                        "min_final_cltv_expiry_delta"));
        out_.min_final_cltv = static_cast<std::uint32_t>(n);
        return true;
      }
      case tag::kFeatures:
        return read_features(words);
      default:
        return false;
    }
  }

  // The text of BOLT 11 asks to fail on a wrong fixed length, its example "fields which must be
  // ignored" to skip them, as lnd does. Skipping is safe: the required ones are asked for at the
  // end.
  template <class Target>
  Result<bool> read_id(Target& target, Words words, std::string_view name) {
    if (words.size() != kHashWords) return false;
    if constexpr (requires { target.reset(); }) {
      OCTROI_TRY(target, field_id<typename Target::value_type>(words, name));
    } else {
      OCTROI_TRY(target, field_id<Target>(words, name));
    }
    return true;
  }

  Result<bool> read_payee(Words words) {
    if (words.size() != kPayeeWords) return false;
    OCTROI_TRY(const Bytes bytes, field_bytes(words, "payee"));
    auto key = crypto::PublicKey::from_bytes(bytes);
    if (!key) return bad_field("payee: must be a public key of secp256k1");
    out_.payee = *key;
    out_.names_payee = true;
    return true;
  }

  Result<bool> read_description(Words words) {
    OCTROI_TRY(const Bytes bytes, field_bytes(words, "description"));
    if (!json::is_utf8(as_text(bytes))) return bad_field("description: must be UTF-8");
    out_.description.emplace(as_text(bytes));
    return true;
  }

  Result<bool> read_features(Words words) {
    // Writers leave the field out when nothing is set; an empty one says nothing and is kept aside,
    // so that it does not stand before a later one when the invoice is written again.
    if (words.empty()) return false;
    if (words.front() == 0) return bad_field("features: must not start with zero");
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::uint8_t word = words[words.size() - 1 - i];
      for (std::size_t bit = 0; bit < 5; ++bit)
        if ((word >> bit & 1) != 0)
          out_.features.push_back(static_cast<std::uint16_t>(i * 5 + bit));
    }
    for (const std::uint16_t f : out_.features)
      if (f % 2 == 0 &&
          std::find(kKnownRequired.begin(), kKnownRequired.end(), f) == kKnownRequired.end())
        return fail(Errc::unknown_feature, fmt::format("features: requires unknown feature {}", f));
    return true;
  }

  Result<bool> read_fallback(Words words) {
    if (words.empty()) return bad_field("fallback: must start with a version");
    const std::uint8_t version = words.front();
    // Witness versions from 2 up have no meaning yet; a version 1 program that is not 32 bytes
    // neither.
    if (version != 0 && version != 1 && version != kVersionP2pkh && version != kVersionP2sh)
      return false;
    OCTROI_TRY(Bytes program, field_bytes(words.subspan(1), "fallback"));
    if (version == 1 && program.size() != 32) return false;
    const bool hash20 = program.size() == 20;
    if (!hash20 && (program.size() != 32 || version > 1))
      return bad_field("fallback: program has the wrong length for its version");
    out_.fallbacks.push_back({version == 1               ? FallbackKind::p2tr
                              : version == kVersionP2pkh ? FallbackKind::p2pkh
                              : version == kVersionP2sh  ? FallbackKind::p2sh
                              : hash20                   ? FallbackKind::p2wpkh
                                                         : FallbackKind::p2wsh,
                              std::move(program)});
    return true;
  }

  Result<bool> read_route(Words words) {
    OCTROI_TRY(const Bytes bytes, field_bytes(words, "route"));
    if (bytes.empty() || bytes.size() % kHopBytes != 0)
      return bad_field("route: must be one or more hops of 51 bytes");
    std::vector<RouteHop> route;
    for (ByteView rest = bytes; !rest.empty(); rest = rest.subspan(kHopBytes)) {
      OCTROI_TRY(RouteHop hop, read_hop(rest.first(kHopBytes)));
      route.push_back(hop);
    }
    out_.routes.push_back(std::move(route));
    return true;
  }

  static Result<RouteHop> read_hop(ByteView b) {
    auto node = crypto::PublicKey::from_bytes(b.first(33));
    if (!node) return bad_field("route: node must be a public key of secp256k1");
    RouteHop hop;
    hop.node = *node;
    hop.short_channel_id = big_endian(b.subspan(33, 8));
    OCTROI_TRY(hop.fee_base,
               Msat::from_raw(static_cast<std::int64_t>(big_endian(b.subspan(41, 4)))));
    hop.fee_proportional_millionths = static_cast<std::uint32_t>(big_endian(b.subspan(45, 4)));
    hop.cltv_expiry_delta = static_cast<std::uint16_t>(big_endian(b.subspan(49, 2)));
    return hop;
  }

  [[nodiscard]] bool has(std::uint8_t type) const {
    return std::find(out_.field_order.begin(), out_.field_order.end(), type) !=
           out_.field_order.end();
  }

  Result<> check_required() const {
    if (!has(tag::kPaymentHash)) return fail(Errc::missing_field, "payment hash (p): is missing");
    if (!has(tag::kPaymentSecret))
      return fail(Errc::missing_field, "payment secret (s): is missing");
    if (out_.description && out_.description_hash)
      return fail(Errc::conflict,
                  "description: must be given as text (d) or as hash (h), not both");
    if (!out_.description && !out_.description_hash)
      return fail(Errc::missing_field, "description: neither text (d) nor hash (h) is given");
    return {};
  }

  Invoice& out_;
};

Result<> read_prefix(std::string_view prefix, Invoice& out) {
  const auto unknown = [] {
    return fail(Errc::bad_prefix, "invoice must start with lnbc, lntb, lntbs, lnbcrt or lnsb");
  };
  if (!prefix.starts_with("ln")) return unknown();
  prefix.remove_prefix(2);
  const std::size_t letters = std::min(prefix.find_first_of("0123456789"), prefix.size());
  const std::string_view currency = prefix.substr(0, letters);
  const auto* const network = std::find_if(kNetworks.begin(), kNetworks.end(), [&](Network n) {
    return currency_prefix(n) == currency;
  });
  if (network == kNetworks.end()) return unknown();
  out.network = *network;
  if (letters == prefix.size()) return {};
  OCTROI_TRY(out.amount, parse_amount(prefix.substr(letters)));
  return {};
}

// The hash covers the human-readable part and everything before the signature, filled to a byte.
Result<crypto::Sha256Digest> signed_hash(std::string_view prefix, Words unsigned_words) {
  OCTROI_TRY(const Bytes data, words_to_bytes(unsigned_words, Bech32Tail::pad));
  return crypto::Sha256().update(as_bytes(prefix)).update(data).finish();
}

// With a named payee the signature must be that key's and in its low-S form; without one the key is
// recovered, and both forms give one.
Result<> check_signature(std::string_view prefix, Words words, Invoice& out) {
  const std::size_t unsigned_size = words.size() - kSignatureWords;
  OCTROI_TRY(const Bytes raw, words_to_bytes(words.subspan(unsigned_size)));
  std::copy_n(raw.begin(), out.signature.compact.size(), out.signature.compact.begin());
  out.signature.recovery_id = raw.back();
  if (out.signature.recovery_id > 3)
    return fail(Errc::bad_signature, "signature: recovery id must be 0 to 3");
  OCTROI_TRY(const auto hash, signed_hash(prefix, words.first(unsigned_size)));
  if (out.names_payee) {
    if (!crypto::verify_ecdsa(out.payee, hash, out.signature.compact))
      return fail(Errc::bad_signature, "signature: is not the named payee's, or not low-S");
    return {};
  }
  auto key = crypto::recover(hash, out.signature);
  if (!key) return fail(Errc::bad_signature, "signature: no key can have made it");
  out.payee = *key;
  return {};
}

}  // namespace

Result<Invoice> decode(std::string_view text) {
  auto parts = bech32_decode(text);
  if (!parts) return fail(Errc::bad_bech32, fmt::format("invoice: {}", parts.error().message()));
  if (parts->kind != Bech32Kind::bech32)
    return fail(Errc::bad_bech32, "invoice: checksum is bech32m, must be bech32");

  Invoice out;
  OCTROI_CHECK(read_prefix(parts->prefix, out));
  const Words words(parts->words);
  if (words.size() < kTimestampWords + kSignatureWords)
    return fail(Errc::too_short, "invoice: ends before its timestamp and signature");
  std::int64_t seconds = 0;
  for (const std::uint8_t w : words.first(kTimestampWords)) seconds = seconds * 32 + w;
  out.created = from_unix_seconds(seconds);

  out.features.clear();
  OCTROI_CHECK(FieldReader(out).read_all(
      words.subspan(kTimestampWords, words.size() - kTimestampWords - kSignatureWords)));
  OCTROI_CHECK(check_signature(parts->prefix, words, out));
  return out;
}

}  // namespace octroi::bolt11
