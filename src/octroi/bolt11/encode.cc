#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "octroi/base/bech32.h"
#include "octroi/bolt11/amount.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/bolt11/tags.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/writer.h"

namespace octroi::bolt11 {
namespace {

using WordList = std::vector<std::uint8_t>;

tl::unexpected<Error> bad_field(std::string why) { return fail(Errc::bad_field, std::move(why)); }

void put_big_endian(Bytes& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

// The fewest words that hold the number; none for zero.
WordList number_words(std::uint64_t n) {
  WordList out;
  for (; n != 0; n /= 32) out.push_back(static_cast<std::uint8_t>(n % 32));
  std::reverse(out.begin(), out.end());
  return out;
}

WordList feature_words(const std::vector<std::uint16_t>& features) {
  if (features.empty()) return {};
  const std::size_t top = *std::max_element(features.begin(), features.end());
  WordList out(top / 5 + 1, 0);
  for (const std::uint16_t f : features) {
    std::uint8_t& word = out[out.size() - 1 - f / 5];
    word = static_cast<std::uint8_t>(word | 1U << (f % 5));
  }
  return out;
}

std::uint8_t version_of(FallbackKind kind) {
  switch (kind) {
    case FallbackKind::p2pkh:
      return kVersionP2pkh;
    case FallbackKind::p2sh:
      return kVersionP2sh;
    case FallbackKind::p2wpkh:
    case FallbackKind::p2wsh:
      return 0;
    case FallbackKind::p2tr:
      return 1;
  }
  return 31;
}

std::size_t program_size(FallbackKind kind) {
  switch (kind) {
    case FallbackKind::p2pkh:
    case FallbackKind::p2sh:
    case FallbackKind::p2wpkh:
      return 20;
    case FallbackKind::p2wsh:
    case FallbackKind::p2tr:
      return 32;
  }
  return 0;
}

Result<> check(const Invoice& in, const crypto::PrivateKey& key) {
  if (!in.payee.empty() && in.payee != key.public_key())
    return fail(Errc::wrong_key, "payee: is not the key that signs");
  if (in.amount && in.amount->is_zero())
    return fail(Errc::bad_amount, "amount: leave it out instead of asking for zero");
  if (in.created.value < 0 || in.created.value % 1000 != 0 ||
      in.created.seconds() >= std::int64_t{1} << 35)
    return bad_field("created: must be whole seconds between 1970 and the year 3058");
  if (in.description && in.description_hash)
    return fail(Errc::conflict, "description: give the text or its hash, not both");
  if (!in.description && !in.description_hash)
    return fail(Errc::missing_field, "description: give the text or its hash");
  if (in.description && !json::is_utf8(*in.description))
    return bad_field("description: must be UTF-8");
  if (in.description && in.description->size() > kMaxDescription)
    return bad_field("description: is over 639 bytes; give its hash instead");
  if (in.metadata && in.metadata->size() > kMaxDescription)
    return bad_field("metadata: is over 639 bytes");
  if (in.expiry && (in.expiry->count() < 0 ||
                    static_cast<std::uint64_t>(in.expiry->count()) > kMaxExpirySeconds))
    return bad_field("expiry: must be 0 to 2^50 seconds");
  return {};
}

/// Writes the fields of one invoice, each once, in the order asked for.
class FieldWriter {
 public:
  FieldWriter(const Invoice& in, const crypto::PrivateKey& key, WordList& out)
      : in_(in), key_(key), out_(out) {}

  Result<> write_all() {
    for (const std::uint8_t type : in_.field_order) OCTROI_CHECK(write_next(type));
    constexpr std::array kRest = {tag::kPaymentHash,     tag::kPaymentSecret, tag::kDescription,
                                  tag::kDescriptionHash, tag::kPayee,         tag::kMetadata,
                                  tag::kExpiry,          tag::kMinFinalCltv,  tag::kFallback,
                                  tag::kRoute,           tag::kFeatures,      Invoice::kOtherField};
    for (const std::uint8_t type : kRest)
      while (left(type)) OCTROI_CHECK(write_next(type));
    return {};
  }

 private:
  // How many fields of this type the invoice has.
  [[nodiscard]] std::size_t count(std::uint8_t type) const {
    switch (type) {
      case tag::kPaymentHash:
      case tag::kPaymentSecret:
        return 1;
      case tag::kDescription:
        return in_.description ? 1 : 0;
      case tag::kDescriptionHash:
        return in_.description_hash ? 1 : 0;
      case tag::kPayee:
        return in_.names_payee ? 1 : 0;
      case tag::kMetadata:
        return in_.metadata ? 1 : 0;
      case tag::kExpiry:
        return in_.expiry ? 1 : 0;
      case tag::kMinFinalCltv:
        return in_.min_final_cltv ? 1 : 0;
      case tag::kFeatures:
        return in_.features.empty() ? 0 : 1;
      case tag::kFallback:
        return in_.fallbacks.size();
      case tag::kRoute:
        return in_.routes.size();
      case Invoice::kOtherField:
        return in_.other_fields.size();
      default:  // not an enum of ours
        return 0;
    }
  }
  [[nodiscard]] bool left(std::uint8_t type) const { return written_[type] < count(type); }

  // The next field of the type, if one is left.
  Result<> write_next(std::uint8_t type) {
    if (!left(type)) return {};
    const std::size_t i = written_[type]++;
    switch (type) {
      case tag::kPaymentHash:
        return put_bytes(type, in_.payment_hash.bytes());
      case tag::kPaymentSecret:
        return put_bytes(type, in_.payment_secret.bytes());
      case tag::kDescription:
        return put_bytes(type, as_bytes(*in_.description));
      case tag::kDescriptionHash:
        return put_bytes(type, in_.description_hash->bytes());
      case tag::kPayee:
        return put_bytes(type, key_.public_key().bytes());
      case tag::kMetadata:
        return put_bytes(type, *in_.metadata);
      case tag::kExpiry:
        return put(type, number_words(static_cast<std::uint64_t>(in_.expiry->count())));
      case tag::kMinFinalCltv:
        return put(type, number_words(*in_.min_final_cltv));
      case tag::kFeatures:
        return put(type, feature_words(in_.features));
      case tag::kFallback:
        return put_fallback(in_.fallbacks[i]);
      case tag::kRoute:
        return put_route(in_.routes[i]);
      default:
        return put_other(in_.other_fields[i]);
    }
  }

  Result<> put(std::uint8_t type, const WordList& words) {
    if (words.size() > kMaxFieldWords)
      return bad_field("a field is over 1023 words; split routes, shorten the rest");
    out_.push_back(type);
    out_.push_back(static_cast<std::uint8_t>(words.size() / 32));
    out_.push_back(static_cast<std::uint8_t>(words.size() % 32));
    out_.insert(out_.end(), words.begin(), words.end());
    return {};
  }
  Result<> put_bytes(std::uint8_t type, ByteView bytes) { return put(type, bytes_to_words(bytes)); }

  Result<> put_fallback(const Fallback& f) {
    if (f.program.size() != program_size(f.kind))
      return bad_field("fallback: program has the wrong length for its kind");
    WordList words = bytes_to_words(f.program);
    words.insert(words.begin(), version_of(f.kind));
    return put(tag::kFallback, words);
  }

  Result<> put_route(const std::vector<RouteHop>& route) {
    if (route.empty()) return bad_field("route: must have a hop");
    Bytes bytes;
    for (const RouteHop& hop : route) {
      const std::int64_t base = hop.fee_base.count(); /* raw: four bytes on the wire */
      if (hop.node.empty() || base > 0xffff'ffff)
        return bad_field("route: hop must have a node and a base fee below 2^32 msat");
      bytes.insert(bytes.end(), hop.node.bytes().begin(), hop.node.bytes().end());
      put_big_endian(bytes, hop.short_channel_id, 8);
      put_big_endian(bytes, static_cast<std::uint64_t>(base), 4);
      put_big_endian(bytes, hop.fee_proportional_millionths, 4);
      put_big_endian(bytes, hop.cltv_expiry_delta, 2);
    }
    return put_bytes(tag::kRoute, bytes);
  }

  Result<> put_other(const OtherField& f) {
    if (f.type > 31 || std::any_of(f.words.begin(), f.words.end(), [](auto w) { return w > 31; }))
      return bad_field("other field: type and words must be 0 to 31");
    return put(f.type, f.words);
  }

  const Invoice& in_;
  const crypto::PrivateKey& key_;
  WordList& out_;
  std::array<std::size_t, 256> written_{};
};

void put_timestamp(WordList& out, std::int64_t seconds) {
  for (int shift = 30; shift >= 0; shift -= 5)
    out.push_back(static_cast<std::uint8_t>(seconds >> shift & 31));
}

}  // namespace

Result<std::string> encode(const Invoice& invoice, const crypto::PrivateKey& key) {
  OCTROI_CHECK(check(invoice, key));
  std::string prefix = "ln";
  prefix += currency_prefix(invoice.network);
  if (invoice.amount) prefix += format_amount(*invoice.amount);

  WordList words;
  put_timestamp(words, invoice.created.seconds());
  OCTROI_CHECK(FieldWriter(invoice, key, words).write_all());

  OCTROI_TRY(const Bytes data, words_to_bytes(words, Bech32Tail::pad));
  const auto hash = crypto::Sha256().update(as_bytes(prefix)).update(data).finish();
  const crypto::RecoverableSignature signature = key.sign_recoverable(hash);
  Bytes raw(signature.compact.begin(), signature.compact.end());
  raw.push_back(signature.recovery_id);
  const WordList signature_words = bytes_to_words(raw);
  words.insert(words.end(), signature_words.begin(), signature_words.end());
  auto text = bech32_encode(Bech32Kind::bech32, prefix, words);
  if (text && text->size() > kBech32MaxSize)
    return bad_field("invoice: is over 8192 characters; give fewer routes");
  return text;
}

}  // namespace octroi::bolt11
