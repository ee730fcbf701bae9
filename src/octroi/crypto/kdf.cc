#include "octroi/crypto/kdf.h"

#include <bit>

#include <sodium.h>

namespace octroi::crypto {
namespace {

constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 30;
constexpr std::uint32_t kMaxPasses = 64;

static_assert(kArgon2SaltSize == crypto_pwhash_argon2id_SALTBYTES);

bool library_ready() {
  static const bool ready = sodium_init() >= 0;
  return ready;
}

Result<> check_length(std::size_t length) {
  if (length < 16 || length > 64)
    return fail(Errc::bad_parameters, "derived key length must be 16 to 64 bytes");
  return {};
}

// The library's arguments must not be null, even of length nothing.
const std::uint8_t* start(ByteView b) {
  static constexpr std::uint8_t kNothing = 0;
  return b.empty() ? &kNothing : b.data();
}

tl::unexpected<Error> out_of_memory() {
  return fail(Errc::unavailable, "not enough memory for the key derivation's memory cost");
}

}  // namespace

Result<Secret> argon2id(const Secret& password, ByteView salt, Argon2Cost cost,
                        std::size_t length) {
  OCTROI_CHECK(check_length(length));
  if (salt.size() != kArgon2SaltSize)
    return fail(Errc::bad_parameters, "argon2id salt must be 16 bytes");
  if (cost.passes < 1 || cost.passes > kMaxPasses)
    return fail(Errc::bad_parameters, "argon2id passes must be 1 to 64");
  const std::uint64_t memory = std::uint64_t{cost.memory_kib} * 1024;
  if (memory < crypto_pwhash_argon2id_MEMLIMIT_MIN || memory > kMaxMemory)
    return fail(Errc::bad_parameters, "argon2id memory must be 8 KiB to 1 GiB");
  if (!library_ready()) return fail(Errc::unavailable, "libsodium could not start");
  Bytes out(length);
  if (crypto_pwhash_argon2id(out.data(), out.size(),
                             as_text({start(password.reveal()), password.size()}).data(),
                             password.size(), salt.data(), cost.passes, memory,
                             crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
    return out_of_memory();
  return Secret::take(std::move(out));
}

Result<Secret> scrypt(const Secret& password, ByteView salt, ScryptCost cost, std::size_t length) {
  OCTROI_CHECK(check_length(length));
  if (cost.n < 2 || !std::has_single_bit(cost.n))
    return fail(Errc::bad_parameters, "scrypt n must be a power of two over 1");
  if (cost.r < 1 || cost.p < 1 || cost.p > 64)
    return fail(Errc::bad_parameters, "scrypt r must be at least 1 and p 1 to 64");
  if (cost.n > kMaxMemory / 128 || cost.r > kMaxMemory / 128 / cost.n)
    return fail(Errc::bad_parameters, "scrypt memory (128 * n * r) must be at most 1 GiB");
  if (!library_ready()) return fail(Errc::unavailable, "libsodium could not start");
  Bytes out(length);
  if (crypto_pwhash_scryptsalsa208sha256_ll(start(password.reveal()), password.size(), start(salt),
                                            salt.size(), cost.n, cost.r, cost.p, out.data(),
                                            out.size()) != 0)
    return out_of_memory();
  return Secret::take(std::move(out));
}

}  // namespace octroi::crypto
