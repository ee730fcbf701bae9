#include "octroi/crypto/secp256k1.h"

#include <gtest/gtest.h>

namespace octroi::crypto {
namespace {

// Order of the group, as in SEC 2.
constexpr std::string_view kOrder =
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
// The signer of the examples in BOLT 11.
constexpr std::string_view kPrivate =
    "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734";
constexpr std::string_view kPublic =
    "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad";

PrivateKey key() { return PrivateKey::from_hex(kPrivate).value(); }

// order - s: the other valid form of a signature.
CompactSignature flip_s(const CompactSignature& in) {
  const auto order = from_hex_exact<32>(kOrder).value();
  CompactSignature out = in;
  int borrow = 0;
  for (std::size_t i = 32; i-- > 0;) {
    int d = order[i] - in[32 + i] - borrow;
    borrow = d < 0 ? 1 : 0;
    out[32 + i] = static_cast<std::uint8_t>(d + borrow * 256);
  }
  return out;
}

TEST(PrivateKey, GivesItsPublicKey) { EXPECT_EQ(key().public_key().hex(), kPublic); }

TEST(PrivateKey, RefusesWhatIsNoKey) {
  for (const std::string& bad : {std::string(64, '0'), std::string(kOrder), std::string(64, 'f'),
                                 std::string(62, '1'), std::string(66, '1'), std::string()})
    EXPECT_FALSE(PrivateKey::from_hex(bad)) << bad;
}

TEST(PrivateKey, GeneratesDifferentKeys) {
  EXPECT_NE(PrivateKey::generate(system_random()).public_key(),
            PrivateKey::generate(system_random()).public_key());
}

TEST(PublicKey, RefusesWhatIsNoPoint) {
  const std::string off_curve = "02" + std::string(62, '0') + "05";
  for (const std::string& bad :
       {off_curve, "04" + std::string(64, '1'), "02" + std::string(64, 'f'), std::string(66, '0'),
        std::string(kPublic.substr(0, 64)), std::string()})
    EXPECT_FALSE(PublicKey::from_hex(bad)) << bad;
  EXPECT_TRUE(PublicKey().empty());
  EXPECT_FALSE(PublicKey::from_hex(kPublic)->empty());
}

TEST(Ecdsa, SignsDeterministicallyVerifiesAndRecovers) {
  for (int i = 0; i < 16; ++i) {
    const Sha256Digest hash = sha256(as_bytes("message " + std::to_string(i)));
    const RecoverableSignature s = key().sign_recoverable(hash);
    EXPECT_EQ(s, key().sign_recoverable(hash));
    EXPECT_EQ(s.compact, key().sign(hash));
    EXPECT_TRUE(is_low_s(s.compact));
    EXPECT_TRUE(verify_ecdsa(key().public_key(), hash, s.compact));
    const auto recovered = recover(hash, s);
    ASSERT_TRUE(recovered);
    EXPECT_EQ(*recovered, key().public_key());
  }
}

TEST(Ecdsa, HighSIsRefusedByVerifyAndAcceptedByRecover) {
  const Sha256Digest hash = sha256(as_bytes("m"));
  RecoverableSignature s = key().sign_recoverable(hash);
  s.compact = flip_s(s.compact);
  s.recovery_id ^= 1;
  EXPECT_FALSE(is_low_s(s.compact));
  EXPECT_FALSE(verify_ecdsa(key().public_key(), hash, s.compact));
  EXPECT_EQ(recover(hash, s).value(), key().public_key());
}

TEST(Ecdsa, RefusesWhatDoesNotFit) {
  const Sha256Digest hash = sha256(as_bytes("m"));
  const RecoverableSignature good = key().sign_recoverable(hash);
  EXPECT_FALSE(verify_ecdsa(key().public_key(), sha256(as_bytes("n")), good.compact));
  EXPECT_FALSE(verify_ecdsa(PublicKey(), hash, good.compact));
  EXPECT_FALSE(verify_ecdsa(key().public_key(), hash, CompactSignature{}));
  EXPECT_FALSE(recover(hash, {good.compact, 4}));
  EXPECT_FALSE(recover(hash, {CompactSignature{}, 0}));
  CompactSignature all_ones;
  all_ones.fill(0xff);
  EXPECT_FALSE(recover(hash, {all_ones, 0}));
  EXPECT_FALSE(is_low_s(all_ones));
}

TEST(Schnorr, SignsMessagesOfAnyLength) {
  for (const std::size_t size : {0U, 1U, 32U, 100U}) {
    const std::string message(size, 'm');
    const auto s = key().sign_schnorr(as_bytes(message));
    EXPECT_TRUE(verify_schnorr(key().public_key().x_only(), as_bytes(message), s)) << size;
    EXPECT_FALSE(verify_schnorr(key().public_key().x_only(), as_bytes(message + "!"), s)) << size;
  }
}

TEST(Schnorr, LiftedKeyHasAnEvenY) {
  const auto point = lift_x(key().public_key().x_only());
  ASSERT_TRUE(point);
  EXPECT_EQ(point->hex(), "02" + std::string(kPublic.substr(2)));
  XOnlyKey none;
  none.fill(0xff);
  EXPECT_FALSE(lift_x(none));
}

TEST(Ecdh, BothSidesAgree) {
  SeededRandom random(5);
  const PrivateKey a = PrivateKey::generate(random);
  const PrivateKey b = PrivateKey::generate(random);
  const auto ab = a.shared_x(b.public_key());
  const auto ba = b.shared_x(a.public_key());
  ASSERT_TRUE(ab && ba);
  EXPECT_TRUE(ab->equals(*ba));
  EXPECT_FALSE(a.shared_x(PublicKey()));
}

TEST(Ecdh, OneTimesAPointIsItsX) {
  const auto one = PrivateKey::from_hex(std::string(63, '0') + "1");
  const auto x = one->shared_x(key().public_key());
  ASSERT_TRUE(x);
  EXPECT_EQ(to_hex(x->reveal()), kPublic.substr(2));
}

}  // namespace
}  // namespace octroi::crypto
