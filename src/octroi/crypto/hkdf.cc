#include "octroi/crypto/hkdf.h"

#include <algorithm>
#include <cstring>

#include "octroi/crypto/hash.h"

namespace octroi::crypto {

// RFC 5869 section 2.2: the salt is the HMAC key; an absent one counts as zeros, which is what HMAC
// makes of an empty key anyway.
Secret hkdf_extract(ByteView salt, const Secret& input_key) {
  Sha256Digest prk = hmac_sha256(salt, input_key.reveal());
  Secret out{ByteView(prk)};
  secure_wipe(prk.data(), prk.size());
  return out;
}

// RFC 5869 section 2.3: block i is the MAC of the block before it, the info and the byte i.
Result<Secret> hkdf_expand(const Secret& extracted, ByteView info, std::size_t length) {
  if (length == 0 || length > kHkdfMaxLength)
    return fail(Errc::bad_parameters, "hkdf length must be 1 to 8160 bytes");
  const HmacSha256Key key(extracted);
  Bytes out(length);
  Sha256Digest block{};
  std::size_t done = 0;
  for (std::uint8_t counter = 1; done < length; ++counter) {
    HmacSha256 mac(key);
    if (counter > 1) mac.update(block);
    mac.update(info).update(ByteView(&counter, 1));
    block = mac.finish();
    const std::size_t n = std::min(block.size(), length - done);
    std::memcpy(out.data() + done, block.data(), n);
    done += n;
  }
  secure_wipe(block.data(), block.size());
  return Secret::take(std::move(out));
}

Result<Secret> hkdf_sha256(const Secret& input_key, ByteView salt, ByteView info,
                           std::size_t length) {
  return hkdf_expand(hkdf_extract(salt, input_key), info, length);
}

}  // namespace octroi::crypto
