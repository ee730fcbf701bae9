// What keys and tokens must be refused. Vectors are in vectors_test.cc.
#include "octroi/crypto/jws.h"

#include <gtest/gtest.h>

namespace octroi::crypto {
namespace {

TEST(JwsKey, RefusesWeakAndMalformedKeys) {
  const Bytes even(256, 0xfe);
  const Bytes short_modulus(128, 0xff);
  const Bytes huge(2000, 0xff);
  const Bytes odd(256, 0xff);
  const Bytes three{3};
  const Bytes zeros(32, 0);
  const Bytes ones(32, 1);
  struct Row {
    const char* name;
    Result<JwsKey> key;
    Errc error;
  };
  const Row rows[] = {
      {"RSA 1024", JwsKey::rsa(short_modulus, three), Errc::weak_key},
      {"RSA even modulus", JwsKey::rsa(even, three), Errc::bad_key},
      {"RSA no modulus", JwsKey::rsa({}, three), Errc::bad_key},
      {"RSA too large", JwsKey::rsa(huge, three), Errc::bad_key},
      {"RSA exponent 1", JwsKey::rsa(odd, Bytes{1}), Errc::bad_key},
      {"RSA exponent even", JwsKey::rsa(odd, Bytes{4}), Errc::bad_key},
      {"RSA no exponent", JwsKey::rsa(odd, {}), Errc::bad_key},
      {"P-256 off the curve", JwsKey::p256(ones, ones), Errc::bad_key},
      {"P-256 zero", JwsKey::p256(zeros, zeros), Errc::bad_key},
      {"P-256 short", JwsKey::p256(ByteView(ones).first(31), ones), Errc::bad_key},
      {"Ed25519 short", JwsKey::ed25519(ByteView(ones).first(31)), Errc::bad_key},
      {"HMAC short", JwsKey::hmac(Secret(std::string(31, 'k'))), Errc::weak_key},
      {"HMAC empty", JwsKey::hmac(Secret()), Errc::weak_key},
  };
  for (const Row& row : rows) EXPECT_TRUE(!row.key && row.key.error().is(row.error)) << row.name;
}

TEST(SplitJws, TakesThreeParts) {
  const std::string token = "eyJhIjoxfQ.e30.AQID";
  const auto parts = split_jws(token);
  ASSERT_TRUE(parts);
  EXPECT_EQ(as_text(parts->header), R"({"a":1})");
  EXPECT_EQ(as_text(parts->payload), "{}");
  EXPECT_EQ(parts->signature, (Bytes{1, 2, 3}));
  EXPECT_EQ(parts->signing_input, "eyJhIjoxfQ.e30");
}

TEST(SplitJws, AllowsAnEmptyPayload) { EXPECT_TRUE(split_jws("eyJhIjoxfQ..AQID")); }

TEST(SplitJws, RefusesEverythingElse) {
  for (const char* bad : {"", ".", "..", "a", "e30.e30", "e30.e30.", ".e30.AQID",
                          "e30.e30.AQID.AQID", "e30.e30.AQ==", "e30=.e30.AQID", "e30.e3 0.AQID",
                          "e30.e30.AQ\nID", "e30.e30.A", "e31.e30.AQID", "e30.e30.AQI+"})
    EXPECT_FALSE(split_jws(bad)) << bad;
}

}  // namespace
}  // namespace octroi::crypto
