#include "octroi/crypto/mac.h"

#include <array>
#include <cstdlib>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace octroi::crypto {

namespace {

const EVP_MD* digest_of(HashName name) {
  switch (name) {
    case HashName::sha1:
      return EVP_sha1();
    case HashName::sha256:
      return EVP_sha256();
    case HashName::sha384:
      return EVP_sha384();
    case HashName::sha512:
      return EVP_sha512();
  }
  return EVP_sha256();
}

}  // namespace

std::string_view to_string(HashName name) {
  switch (name) {
    case HashName::sha1:
      return "sha1";
    case HashName::sha256:
      return "sha256";
    case HashName::sha384:
      return "sha384";
    case HashName::sha512:
      return "sha512";
  }
  return "unknown";
}

std::optional<HashName> hash_from_string(std::string_view text) {
  for (const HashName name :
       {HashName::sha1, HashName::sha256, HashName::sha384, HashName::sha512}) {
    if (text == to_string(name)) return name;
  }
  return std::nullopt;
}

Bytes hash(HashName name, ByteView data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  // Without memory for one state nothing goes on; a wrong digest would be signed with.
  if (EVP_Digest(data.data(), data.size(), out.data(), &size, digest_of(name), nullptr) != 1)
    std::abort();
  return {out.begin(), out.begin() + size};
}

Bytes hmac(HashName name, ByteView key, ByteView message) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  // A null key would mean "the one from before" to the library.
  static constexpr unsigned char kNothing = 0;
  const unsigned char* begin = key.empty() ? &kNothing : key.data();
  if (HMAC(digest_of(name), begin, static_cast<int>(key.size()), message.data(), message.size(),
           out.data(), &size) == nullptr)
    std::abort();
  return {out.begin(), out.begin() + size};
}

}  // namespace octroi::crypto
