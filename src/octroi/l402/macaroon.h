// octroi/l402/macaroon.h: the version 2 binary form of a macaroon and its chain of HMACs.
//
//   02  [01 location] 02 identifier 00   ([01 location] 02 caveat [04 vid] 00)*   00   06 20
//   signature
//
// Numbers are base-128 varints. Decoding is strict: minimal varints, fields in this order, no empty
// optional field (but for the first location, which pymacaroons writes empty), a 32-byte signature,
// nothing after it; so but for that location encode(decode(x)) is x for every x that decodes. Field
// numbers and the derived root key are those of the macaroon libraries in use (libmacaroons and its
// Go and Python ports), which the L402 draft's own text gets wrong.
//
// Errors   Errc::malformed, Errc::too_large.
// Secrets  a macaroon is half of a bearer credential: never in a message or log.
// Thread   pure, any thread. A MacaroonView points into the bytes it was decoded from.
// Source   L402 "macaroon-spec", sections on binary format and on verification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"
#include "octroi/crypto/hash.h"
#include "octroi/l402/error.h"

namespace octroi::l402 {

inline constexpr std::size_t kMaxMacaroonSize = 16 * 1024;
inline constexpr std::size_t kMaxCaveats = 100;
/// What the field's minters write as location; it authenticates nothing.
inline constexpr std::string_view kLocation = "lsat";

using Signature = std::array<std::uint8_t, 32>;

struct CaveatView {
  std::string_view location;  // empty when absent; third-party only
  std::string_view id;        // a first-party caveat's text
  std::string_view vid;       // empty for a first-party caveat
  [[nodiscard]] bool third_party() const { return !vid.empty() || !location.empty(); }
};

/// The caveats of a decoded macaroon, in order, read from its bytes without copying.
class CaveatRange {
 public:
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = CaveatView;
    Iterator() = default;
    explicit Iterator(ByteView rest);
    const CaveatView& operator*() const { return caveat_; }
    const CaveatView* operator->() const { return &caveat_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return done_; }

   private:
    ByteView rest_;
    CaveatView caveat_;
    bool done_ = true;
  };
  CaveatRange() = default;
  /// Bytes that decode_macaroon has checked.
  explicit CaveatRange(ByteView checked) : bytes_(checked) {}
  [[nodiscard]] Iterator begin() const { return Iterator(bytes_); }
  [[nodiscard]] static std::default_sentinel_t end() { return {}; }

 private:
  ByteView bytes_;
};

struct MacaroonView {
  std::string_view location;
  ByteView identifier;
  CaveatRange caveats;
  std::size_t caveat_count = 0;
  bool has_third_party = false;
  Signature signature{};
};

/// Refuses anything but exactly one macaroon.
[[nodiscard]] Result<MacaroonView> decode_macaroon(ByteView bytes);

/// The key that signs the identifier: HMAC of the root key under the libraries' common constant.
[[nodiscard]] crypto::Sha256Digest derive_macaroon_key(ByteView root_key);

/// Whether the chain that starts at `root_key` ends in the signature. Constant time in the
/// signature. Third-party caveats are part of the chain; refusing them is the caller's.
[[nodiscard]] bool signature_matches(const MacaroonView& macaroon, ByteView root_key);

/// Builds a macaroon: signs the identifier, then each caveat, in order.
class MacaroonWriter {
 public:
  MacaroonWriter(ByteView root_key, std::string_view location, ByteView identifier);
  /// Goes on where another left off; the macaroon must have been decoded from `encoded`.
  MacaroonWriter(ByteView encoded, const MacaroonView& macaroon);
  MacaroonWriter& add(std::string_view caveat);
  MacaroonWriter& add_third_party(std::string_view location, std::string_view id,
                                  std::string_view vid);
  /// The encoded macaroon; Errc::too_large beyond the limits that decoding has.
  [[nodiscard]] Result<Bytes> finish() &&;

 private:
  Bytes out_;
  Signature signature_{};
  std::size_t caveats_ = 0;
};

/// What a holder does to delegate less than it has: the same macaroon with more caveats.
[[nodiscard]] Result<Bytes> attenuate(ByteView encoded, std::span<const std::string> caveats);

}  // namespace octroi::l402
