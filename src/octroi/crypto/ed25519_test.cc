#include "octroi/crypto/ed25519.h"

#include <gtest/gtest.h>

#include "octroi/crypto/errors.h"

namespace octroi::crypto {
namespace {

struct Vector {
  const char* name;
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};
// RFC 8032 section 7.1, tests 1 to 3.
constexpr Vector kVectors[] = {
    {"Empty", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"OneByte", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"TwoBytes", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
};

class Ed25519Vectors : public testing::TestWithParam<Vector> {};

TEST_P(Ed25519Vectors, SignsAsTheStandardDoes) {
  const Vector& v = GetParam();
  const Secret seed = Secret::take(from_hex(v.seed).value());
  const Bytes message = from_hex(v.message).value();
  EXPECT_EQ(to_hex(ed25519_public_key(seed).value()), v.public_key);
  EXPECT_EQ(to_hex(ed25519_sign(seed, message).value()), v.signature);
}

TEST_P(Ed25519Vectors, RefusesEveryFlippedBit) {
  const Vector& v = GetParam();
  const auto key = from_hex_exact<32>(v.public_key).value();
  const auto signature = from_hex_exact<64>(v.signature).value();
  const Bytes message = from_hex(v.message).value();
  EXPECT_TRUE(ed25519_verify(key, message, signature));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    auto bad = signature;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(ed25519_verify(key, message, bad)) << bit;
  }
  Bytes longer = message;
  longer.push_back(0);
  EXPECT_FALSE(ed25519_verify(key, longer, signature));
}

INSTANTIATE_TEST_SUITE_P(Rfc8032, Ed25519Vectors, testing::ValuesIn(kVectors),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Ed25519, ASeedHas32Bytes) {
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    const Secret seed(std::string_view(std::string(size, 'k')));
    EXPECT_TRUE(ed25519_public_key(seed).error().is(Errc::bad_key)) << size;
    EXPECT_TRUE(ed25519_sign(seed, {}).error().is(Errc::bad_key)) << size;
  }
}

}  // namespace
}  // namespace octroi::crypto
