// octroi/crypto/hash.h: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104).
//
// A key that is used more than once is kept as HmacSha256Key, which has already hashed its two
// pads: a short message then costs two compressions instead of four, and nothing is allocated or
// fetched.
//
// Errors   none: hashing cannot fail.
// Secrets  keys and intermediate states of keys are wiped when they die. Digests are plain bytes:
//          compare those that authenticate with constant_time_equal (octroi/crypto/compare.h).
// Thread   Sha256 and HmacSha256 belong to one thread at a time; HmacSha256Key::mac is const and
//          may be called from any number of threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "octroi/base/bytes.h"
#include "octroi/base/secret.h"

namespace octroi::crypto {

using Sha256Digest = std::array<std::uint8_t, 32>;

namespace detail {
/// Room for the hash library's state, so that its header stays out of ours (checked in hash.cc).
struct Sha256State {
  alignas(8) std::array<unsigned char, 112> raw;
};
}  // namespace detail

[[nodiscard]] Sha256Digest sha256(ByteView data) noexcept;
/// SHA-256 of the SHA-256, as Bitcoin uses it.
[[nodiscard]] Sha256Digest sha256d(ByteView data) noexcept;

/// SHA-256 of a message that arrives in pieces.
class Sha256 {
 public:
  Sha256() noexcept;
  Sha256& update(ByteView data) noexcept;
  /// The digest; the object is then ready for a new message.
  [[nodiscard]] Sha256Digest finish() noexcept;

 private:
  detail::Sha256State state_;
};

/// A key ready to authenticate. Keys of any length are accepted; use 32 random bytes.
/// A key that was moved from ends the process when used: any answer would be a MAC that outsiders
/// can compute too.
class HmacSha256Key {
 public:
  explicit HmacSha256Key(ByteView key) noexcept;
  explicit HmacSha256Key(const Secret& key) noexcept : HmacSha256Key(key.reveal()) {}
  HmacSha256Key(HmacSha256Key&& other) noexcept;
  HmacSha256Key& operator=(HmacSha256Key&& other) noexcept;
  HmacSha256Key(const HmacSha256Key&) = delete;
  HmacSha256Key& operator=(const HmacSha256Key&) = delete;
  ~HmacSha256Key();

  [[nodiscard]] Sha256Digest mac(ByteView message) const noexcept;
  /// Whether `tag` is the whole 32-byte MAC of the message; the time taken does not depend on the
  /// tag.
  [[nodiscard]] bool verify(ByteView message, ByteView tag) const noexcept;

 private:
  friend class HmacSha256;
  void check_live() const noexcept;

  detail::Sha256State inner_;
  detail::Sha256State outer_;
  bool live_ = true;
};

/// HMAC of a message that arrives in pieces. Copies what it needs of the key.
class HmacSha256 {
 public:
  explicit HmacSha256(const HmacSha256Key& key) noexcept;
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;
  ~HmacSha256();

  HmacSha256& update(ByteView data) noexcept;
  /// The MAC. Call once, last.
  [[nodiscard]] Sha256Digest finish() noexcept;

 private:
  detail::Sha256State inner_;
  detail::Sha256State outer_;
};

/// One MAC under a key that is not used again (macaroon chains).
[[nodiscard]] Sha256Digest hmac_sha256(ByteView key, ByteView message) noexcept;

}  // namespace octroi::crypto
