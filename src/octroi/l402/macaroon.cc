#include "octroi/l402/macaroon.h"

#include <algorithm>
#include <optional>

namespace octroi::l402 {
namespace {

constexpr std::uint8_t kVersion = 2;

// The field numbers of the format.
enum class Tag : std::uint8_t { end = 0, location = 1, identifier = 2, vid = 4, signature = 6 };

/// Reads the format's pieces off the front of some bytes.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] ByteView rest() const { return rest_; }

  /// Takes a field of this tag, or nothing when another tag stands there. `failed` when it is cut
  /// off.
  std::optional<ByteView> field(Tag tag) {
    if (failed_ || rest_.empty() || rest_[0] != static_cast<std::uint8_t>(tag)) return std::nullopt;
    rest_ = rest_.subspan(1);
    const std::optional<std::size_t> size = varint();
    if (!size || *size > rest_.size()) {
      failed_ = true;
      return std::nullopt;
    }
    const ByteView data = rest_.first(*size);
    rest_ = rest_.subspan(*size);
    return data;
  }

  /// Takes one byte of this value.
  bool byte(std::uint8_t value) {
    if (failed_ || rest_.empty() || rest_[0] != value) return false;
    rest_ = rest_.subspan(1);
    return true;
  }
  bool end_of_section() { return byte(static_cast<std::uint8_t>(Tag::end)); }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  // Lengths here stay under 16 KiB, so three groups of seven bits are more than enough. A last
  // group of zero would be a second way to write a number.
  std::optional<std::size_t> varint() {
    std::size_t value = 0;
    for (std::size_t i = 0; i < 3 && i < rest_.size(); ++i) {
      const std::size_t group = rest_[i] & 0x7fU;
      value |= group << (7 * i);
      if ((rest_[i] & 0x80U) != 0) continue;
      if (i > 0 && group == 0) return std::nullopt;
      rest_ = rest_.subspan(i + 1);
      return value;
    }
    return std::nullopt;
  }

  ByteView rest_;
  bool failed_ = false;
};

enum class Section : std::uint8_t { head, caveat };

/// One section that is not the empty one: location, identifier, vid. An optional field that is
/// present but empty would be a second encoding of its absence; only in the head, where no
/// signature covers it, pymacaroons writes a location that way.
std::optional<CaveatView> read_section(Reader& in, Section section) {
  CaveatView out;
  if (auto location = in.field(Tag::location)) {
    if (location->empty() && section == Section::caveat) return std::nullopt;
    out.location = as_text(*location);
  }
  auto id = in.field(Tag::identifier);
  if (!id) return std::nullopt;
  out.id = as_text(*id);
  if (section == Section::caveat) {
    if (auto vid = in.field(Tag::vid)) {
      if (vid->empty()) return std::nullopt;
      out.vid = as_text(*vid);
    }
  }
  if (!in.end_of_section() || in.failed()) return std::nullopt;
  return out;
}

void put_varint(Bytes& out, std::size_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>((value & 0x7fU) | 0x80U));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_field(Bytes& out, Tag tag, ByteView data) {
  out.push_back(static_cast<std::uint8_t>(tag));
  put_varint(out, data.size());
  out.insert(out.end(), data.begin(), data.end());
}

void put_end(Bytes& out) { out.push_back(static_cast<std::uint8_t>(Tag::end)); }

/// The link that a caveat adds to the chain.
Signature next_signature(const Signature& previous, const CaveatView& caveat) {
  const ByteView id = as_bytes(caveat.id);
  if (caveat.vid.empty()) return crypto::hmac_sha256(previous, id);
  std::array<std::uint8_t, 64> both{};
  const Signature vid_mac = crypto::hmac_sha256(previous, as_bytes(caveat.vid));
  const Signature id_mac = crypto::hmac_sha256(previous, id);
  std::ranges::copy(vid_mac, both.begin());
  std::ranges::copy(id_mac, both.begin() + 32);
  return crypto::hmac_sha256(previous, both);
}

}  // namespace

CaveatRange::Iterator::Iterator(ByteView rest) : rest_(rest), done_(false) { ++*this; }

CaveatRange::Iterator& CaveatRange::Iterator::operator++() {
  Reader in(rest_);
  auto caveat = in.empty() ? std::nullopt : read_section(in, Section::caveat);
  if (!caveat) {
    done_ = true;
    return *this;
  }
  caveat_ = *caveat;
  rest_ = in.rest();
  return *this;
}

Result<MacaroonView> decode_macaroon(ByteView bytes) {
  if (bytes.size() > kMaxMacaroonSize) return fail(Errc::too_large, "macaroon: over 16 KiB");
  Reader in(bytes);
  if (!in.byte(kVersion)) return fail(Errc::malformed, "macaroon: not of version 2");
  auto head = read_section(in, Section::head);
  if (!head)
    return fail(Errc::malformed, "macaroon: the first section is not a location and an identifier");

  MacaroonView out;
  out.location = head->location;
  out.identifier = as_bytes(head->id);
  const ByteView start = in.rest();
  while (!in.end_of_section()) {
    auto caveat = read_section(in, Section::caveat);
    if (!caveat)
      return fail(Errc::malformed, "macaroon: a caveat section is cut off or out of order");
    if (++out.caveat_count > kMaxCaveats)
      return fail(Errc::too_large, "macaroon: more than 100 caveats");
    if (caveat->third_party()) out.has_third_party = true;
  }
  out.caveats = CaveatRange(start.first(start.size() - in.rest().size() - 1));
  auto signature = in.field(Tag::signature);
  if (!signature || signature->size() != out.signature.size() || !in.empty()) {
    return fail(Errc::malformed, "macaroon: it must end with a signature of 32 bytes");
  }
  std::ranges::copy(*signature, out.signature.begin());
  return out;
}

crypto::Sha256Digest derive_macaroon_key(ByteView root_key) {
  static const crypto::HmacSha256Key generator(as_bytes("macaroons-key-generator"));
  return generator.mac(root_key);
}

bool signature_matches(const MacaroonView& macaroon, ByteView root_key) {
  crypto::Sha256Digest key = derive_macaroon_key(root_key);
  Signature expected = crypto::hmac_sha256(key, macaroon.identifier);
  secure_wipe(key.data(), key.size());
  for (const CaveatView& caveat : macaroon.caveats) expected = next_signature(expected, caveat);
  const bool equal = constant_time_equal(expected, macaroon.signature);
  // The right signature of a wrong macaroon is a credential: it must not stay behind.
  secure_wipe(expected.data(), expected.size());
  return equal;
}

MacaroonWriter::MacaroonWriter(ByteView root_key, std::string_view location, ByteView identifier) {
  out_.reserve(256);
  out_.push_back(kVersion);
  if (!location.empty()) put_field(out_, Tag::location, as_bytes(location));
  put_field(out_, Tag::identifier, identifier);
  put_end(out_);
  crypto::Sha256Digest key = derive_macaroon_key(root_key);
  signature_ = crypto::hmac_sha256(key, identifier);
  secure_wipe(key.data(), key.size());
}

MacaroonWriter::MacaroonWriter(ByteView encoded, const MacaroonView& macaroon)
    : signature_(macaroon.signature), caveats_(macaroon.caveat_count) {
  // Everything but the empty section that ends the caveats, and the signature field.
  constexpr std::size_t kTail = 1 + 2 + 32;
  const ByteView kept = encoded.first(encoded.size() - kTail);
  out_.assign(kept.begin(), kept.end());
}

MacaroonWriter& MacaroonWriter::add(std::string_view caveat) {
  return add_third_party({}, caveat, {});
}

MacaroonWriter& MacaroonWriter::add_third_party(std::string_view location, std::string_view id,
                                                std::string_view vid) {
  ++caveats_;
  if (!location.empty()) put_field(out_, Tag::location, as_bytes(location));
  put_field(out_, Tag::identifier, as_bytes(id));
  if (!vid.empty()) put_field(out_, Tag::vid, as_bytes(vid));
  put_end(out_);
  signature_ = next_signature(signature_, {.location = location, .id = id, .vid = vid});
  return *this;
}

Result<Bytes> MacaroonWriter::finish() && {
  put_end(out_);
  put_field(out_, Tag::signature, signature_);
  if (caveats_ > kMaxCaveats) return fail(Errc::too_large, "macaroon: more than 100 caveats");
  if (out_.size() > kMaxMacaroonSize) return fail(Errc::too_large, "macaroon: over 16 KiB");
  return std::move(out_);
}

Result<Bytes> attenuate(ByteView encoded, std::span<const std::string> caveats) {
  OCTROI_TRY(const MacaroonView macaroon, decode_macaroon(encoded));
  MacaroonWriter writer(encoded, macaroon);
  for (const std::string& caveat : caveats) writer.add(caveat);
  return std::move(writer).finish();
}

}  // namespace octroi::l402
