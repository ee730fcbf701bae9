#include "octroi/crypto/hash.h"

#include <gtest/gtest.h>

#include "octroi/crypto/compare.h"

namespace octroi::crypto {
namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";

TEST(Sha256, StartsAgainAfterFinish) {
  Sha256 h;
  h.update(as_bytes("first"));
  EXPECT_EQ(h.finish(), sha256(as_bytes("first")));
  EXPECT_EQ(h.update(as_bytes("second")).finish(), sha256(as_bytes("second")));
}

TEST(Sha256, TwiceIsTheHashOfTheHash) {
  EXPECT_EQ(sha256d(as_bytes("abc")), sha256(sha256(as_bytes("abc"))));
}

TEST(Hmac, KeyFromSecretIsTheSameKey) {
  EXPECT_EQ(HmacSha256Key(Secret(kKey)).mac(as_bytes("m")),
            HmacSha256Key(as_bytes(kKey)).mac(as_bytes("m")));
}

TEST(Hmac, OneKeyServesManyMessages) {
  const HmacSha256Key key{as_bytes(kKey)};
  const auto first = key.mac(as_bytes("a"));
  EXPECT_NE(first, key.mac(as_bytes("b")));
  EXPECT_EQ(first, key.mac(as_bytes("a")));
}

TEST(Hmac, KeyLengthsAroundTheBlock) {
  // 63, 64 and 65 bytes take different ways: padded, exact, hashed first.
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 200U}) {
    const std::string key(size, 'k');
    EXPECT_EQ(HmacSha256Key(as_bytes(key)).mac(as_bytes("m")),
              hmac_sha256(as_bytes(key), as_bytes("m")))
        << size;
  }
  const Sha256Digest hashed = sha256(as_bytes(std::string(65, 'k')));
  EXPECT_EQ(hmac_sha256(as_bytes(std::string(65, 'k')), as_bytes("m")),
            hmac_sha256(hashed, as_bytes("m")));
}

TEST(Hmac, VerifyWantsAllOfTheTag) {
  const HmacSha256Key key{as_bytes(kKey)};
  auto tag = key.mac(as_bytes("m"));
  EXPECT_TRUE(key.verify(as_bytes("m"), tag));
  EXPECT_FALSE(key.verify(as_bytes("n"), tag));
  EXPECT_FALSE(key.verify(as_bytes("m"), ByteView(tag).first(31)));
  EXPECT_FALSE(key.verify(as_bytes("m"), {}));
  tag[31] ^= 1;
  EXPECT_FALSE(key.verify(as_bytes("m"), tag));
}

TEST(Hmac, MovesWithItsKey) {
  HmacSha256Key a{as_bytes(kKey)};
  const auto tag = a.mac(as_bytes("m"));
  HmacSha256Key b = std::move(a);
  EXPECT_EQ(b.mac(as_bytes("m")), tag);
  HmacSha256Key c{as_bytes("other")};
  c = std::move(b);
  EXPECT_EQ(c.mac(as_bytes("m")), tag);
}

TEST(HmacDeathTest, KeyMovedFromEndsTheProcess) {
  HmacSha256Key a{as_bytes(kKey)};
  const HmacSha256Key b = std::move(a);
  EXPECT_DEATH((void)a.mac(as_bytes("m")), "");  // NOLINT(bugprone-use-after-move): the point
}

}  // namespace
}  // namespace octroi::crypto
