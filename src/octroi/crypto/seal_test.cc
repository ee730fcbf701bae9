// Keys from secrets and sealed values: what must be refused. Vectors are in vectors_test.cc.
#include <gtest/gtest.h>

#include "octroi/crypto/aead.h"
#include "octroi/crypto/hkdf.h"
#include "octroi/crypto/kdf.h"

namespace octroi::crypto {
namespace {

AeadKey key(char fill = 'k') { return AeadKey::from_secret(Secret(std::string(32, fill))).value(); }

TEST(Aead, RoundTripOfEverySize) {
  SeededRandom random(1);
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 4096U}) {
    const std::string plain(size, 'p');
    const auto sealed = key().seal(as_bytes(plain), as_bytes("row 7"), random);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->size(), size + kAeadOverhead);
    const auto opened = key().open(*sealed, as_bytes("row 7"));
    ASSERT_TRUE(opened) << size;
    EXPECT_TRUE(opened->equals(plain)) << size;
  }
}

TEST(Aead, EveryChangedByteIsRefused) {
  SeededRandom random(2);
  const Bytes sealed = key().seal(as_bytes("secret"), as_bytes("row"), random).value();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes bent = sealed;
    bent[i] ^= 0x80;
    const auto r = key().open(bent, as_bytes("row"));
    EXPECT_TRUE(!r && r.error().is(Errc::bad_ciphertext)) << i;
  }
}

TEST(Aead, OtherKeyPlaceOrLengthIsRefused) {
  SeededRandom random(3);
  const Bytes sealed = key().seal(as_bytes("secret"), as_bytes("row"), random).value();
  EXPECT_FALSE(key('x').open(sealed, as_bytes("row")));
  EXPECT_FALSE(key().open(sealed, as_bytes("other row")));
  EXPECT_FALSE(key().open(sealed, {}));
  for (std::size_t n = 0; n < sealed.size(); ++n)
    EXPECT_FALSE(key().open(ByteView(sealed).first(n), as_bytes("row"))) << n;
}

TEST(Aead, NoncesDiffer) {
  const auto a = key().seal(as_bytes("x"), {}, system_random()).value();
  const auto b = key().seal(as_bytes("x"), {}, system_random()).value();
  EXPECT_NE(a, b);
}

TEST(Aead, KeyMustBe32Bytes) {
  for (const std::size_t size : {0U, 16U, 31U, 33U}) {
    const auto r = AeadKey::from_secret(Secret(std::string(size, 'k')));
    EXPECT_TRUE(!r && r.error().is(Errc::bad_key)) << size;
  }
}

TEST(Hkdf, NamesGiveUnrelatedKeysAndLengthsAreBounded) {
  const Secret root(std::string(32, 'r'));
  const auto a = hkdf_sha256(root, {}, as_bytes("a"));
  const auto b = hkdf_sha256(root, {}, as_bytes("b"));
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(a->equals(*b));
  EXPECT_EQ(hkdf_sha256(root, {}, {}, kHkdfMaxLength)->size(), kHkdfMaxLength);
  for (const std::size_t bad : {std::size_t{0}, kHkdfMaxLength + 1}) {
    const auto r = hkdf_sha256(root, {}, {}, bad);
    EXPECT_TRUE(!r && r.error().is(Errc::bad_parameters)) << bad;
  }
}

struct KdfRow {
  const char* name;
  Result<Secret> (*run)();
};
Secret password() { return Secret(std::string_view("pw")); }
const std::array<std::uint8_t, 16> kSalt{};

TEST(Kdf, AbsurdCostsAreRefused) {
  const KdfRow rows[] = {
      {"argon2: short salt",
       [] { return argon2id(password(), ByteView(kSalt).first(15), {1, 64}); }},
      {"argon2: no pass", [] { return argon2id(password(), kSalt, {0, 64}); }},
      {"argon2: too many passes", [] { return argon2id(password(), kSalt, {65, 64}); }},
      {"argon2: too little memory", [] { return argon2id(password(), kSalt, {1, 4}); }},
      {"argon2: too much memory", [] { return argon2id(password(), kSalt, {1, 1U << 21}); }},
      {"argon2: short key", [] { return argon2id(password(), kSalt, {1, 64}, 15); }},
      {"argon2: long key", [] { return argon2id(password(), kSalt, {1, 64}, 65); }},
      {"scrypt: n not a power of two", [] { return scrypt(password(), kSalt, {1000, 8, 1}); }},
      {"scrypt: n of one", [] { return scrypt(password(), kSalt, {1, 8, 1}); }},
      {"scrypt: no r", [] { return scrypt(password(), kSalt, {16, 0, 1}); }},
      {"scrypt: no p", [] { return scrypt(password(), kSalt, {16, 8, 0}); }},
      {"scrypt: too much p", [] { return scrypt(password(), kSalt, {16, 8, 65}); }},
      {"scrypt: over 1 GiB", [] { return scrypt(password(), kSalt, {1U << 21, 8, 1}); }},
      {"scrypt: n beyond all memory",
       [] { return scrypt(password(), kSalt, {std::uint64_t{1} << 63, 1, 1}); }},
  };
  for (const KdfRow& row : rows) {
    const auto r = row.run();
    EXPECT_TRUE(!r && r.error().is(Errc::bad_parameters)) << row.name;
  }
}

}  // namespace
}  // namespace octroi::crypto
