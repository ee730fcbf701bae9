// The low-level SHA256_* functions are deprecated in OpenSSL 3 and yet used here on purpose: they
// cost 180 ns for a short HMAC where the one-shot EVP calls cost 960 ns, because those look the
// algorithm up every time, and this runs several times in every paid request.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "octroi/crypto/hash.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include <openssl/sha.h>

namespace octroi::crypto {
namespace {

using detail::Sha256State;

static_assert(sizeof(SHA256_CTX) <= sizeof(Sha256State) &&
              alignof(SHA256_CTX) <= alignof(Sha256State));
static_assert(std::is_trivially_copyable_v<SHA256_CTX>);

constexpr std::size_t kBlock = 64;

SHA256_CTX* ctx(Sha256State& s) {
  return std::launder(reinterpret_cast<SHA256_CTX*>(s.raw.data()));
}

void init(Sha256State& s) { SHA256_Init(::new (s.raw.data()) SHA256_CTX); }

void absorb(Sha256State& s, ByteView data) { SHA256_Update(ctx(s), data.data(), data.size()); }

Sha256Digest close(Sha256State& s) {
  Sha256Digest out;
  SHA256_Final(out.data(), ctx(s));
  return out;
}

void wipe(Sha256State& s) { secure_wipe(s.raw.data(), s.raw.size()); }

// The state after the key, padded to one block and mixed with `pad`.
void absorb_pad(Sha256State& s, const std::array<std::uint8_t, kBlock>& key, std::uint8_t pad) {
  std::array<std::uint8_t, kBlock> block;
  for (std::size_t i = 0; i < kBlock; ++i) block[i] = static_cast<std::uint8_t>(key[i] ^ pad);
  init(s);
  absorb(s, block);
  secure_wipe(block.data(), block.size());
}

// RFC 2104 section 2: a key longer than a block is hashed first, a shorter one is filled with
// zeros.
void make_pads(ByteView key, Sha256State& inner, Sha256State& outer) {
  std::array<std::uint8_t, kBlock> block{};
  if (key.size() > kBlock) {
    Sha256Digest hashed = sha256(key);
    std::memcpy(block.data(), hashed.data(), hashed.size());
    secure_wipe(hashed.data(), hashed.size());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  absorb_pad(inner, block, 0x36);
  absorb_pad(outer, block, 0x5c);
  secure_wipe(block.data(), block.size());
}

// Finishes copies or originals alike; afterwards neither state tells anything about the key.
Sha256Digest close_hmac(Sha256State& inner, Sha256State& outer) {
  absorb(outer, close(inner));
  return close(outer);
}

}  // namespace

Sha256Digest sha256(ByteView data) noexcept {
  Sha256State s;
  init(s);
  absorb(s, data);
  return close(s);
}

Sha256Digest sha256d(ByteView data) noexcept { return sha256(sha256(data)); }

Sha256::Sha256() noexcept { init(state_); }

Sha256& Sha256::update(ByteView data) noexcept {
  absorb(state_, data);
  return *this;
}

Sha256Digest Sha256::finish() noexcept {
  const Sha256Digest out = close(state_);
  init(state_);
  return out;
}

HmacSha256Key::HmacSha256Key(ByteView key) noexcept { make_pads(key, inner_, outer_); }

HmacSha256Key::HmacSha256Key(HmacSha256Key&& other) noexcept
    : inner_(other.inner_), outer_(other.outer_), live_(std::exchange(other.live_, false)) {
  wipe(other.inner_);
  wipe(other.outer_);
}

HmacSha256Key& HmacSha256Key::operator=(HmacSha256Key&& other) noexcept {
  if (this != &other) {
    inner_ = other.inner_;
    outer_ = other.outer_;
    live_ = std::exchange(other.live_, false);
    wipe(other.inner_);
    wipe(other.outer_);
  }
  return *this;
}

void HmacSha256Key::check_live() const noexcept {
  if (!live_) [[unlikely]]
    std::abort();
}

HmacSha256Key::~HmacSha256Key() {
  wipe(inner_);
  wipe(outer_);
}

Sha256Digest HmacSha256Key::mac(ByteView message) const noexcept {
  check_live();
  Sha256State inner = inner_;
  Sha256State outer = outer_;
  absorb(inner, message);
  return close_hmac(inner, outer);
}

bool HmacSha256Key::verify(ByteView message, ByteView tag) const noexcept {
  return constant_time_equal(mac(message), tag);
}

HmacSha256::HmacSha256(const HmacSha256Key& key) noexcept
    : inner_(key.inner_), outer_(key.outer_) {}

HmacSha256::~HmacSha256() {
  wipe(inner_);
  wipe(outer_);
}

HmacSha256& HmacSha256::update(ByteView data) noexcept {
  absorb(inner_, data);
  return *this;
}

Sha256Digest HmacSha256::finish() noexcept { return close_hmac(inner_, outer_); }

Sha256Digest hmac_sha256(ByteView key, ByteView message) noexcept {
  Sha256State inner;
  Sha256State outer;
  make_pads(key, inner, outer);
  absorb(inner, message);
  return close_hmac(inner, outer);
}

}  // namespace octroi::crypto
