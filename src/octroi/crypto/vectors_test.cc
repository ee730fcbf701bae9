// Published vectors, from tests/testdata/crypto.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/crypto/aead.h"
#include "octroi/crypto/hash.h"
#include "octroi/crypto/hkdf.h"
#include "octroi/crypto/jws.h"
#include "octroi/crypto/jws_signer.h"
#include "octroi/crypto/kdf.h"
#include "octroi/crypto/mac.h"
#include "octroi/crypto/secp256k1.h"
#include "octroi/json/value.h"

namespace octroi::crypto {
namespace {

std::string read_table(const std::string& name) {
  const char* const set = std::getenv("OCTROI_TESTDATA");
  const std::filesystem::path root = set != nullptr ? set : OCTROI_TESTDATA_DIR;
  std::ifstream in(root / "crypto" / name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Runs `row` for each vector of the table, under its name; an empty or missing table fails.
template <class Row>
void for_each_vector(const std::string& table, Row row) {
  const auto doc = json::parse(read_table(table));
  ASSERT_TRUE(doc) << table << ": " << doc.error().message();
  const auto vectors = doc->root().array("vectors");
  ASSERT_TRUE(vectors) << table;
  ASSERT_GT(vectors->size(), 0U) << table;
  for (const json::Value v : vectors->elements()) {
    SCOPED_TRACE(table + ": " + std::string(v.string("name").value()));
    row(v);
  }
}

Bytes hex(json::Value v, std::string_view key) { return from_hex(v.string(key).value()).value(); }
Bytes b64(json::Value v, std::string_view key) {
  return from_base64url(v.string(key).value()).value();
}
template <std::size_t N>
std::array<std::uint8_t, N> hex_array(json::Value v, std::string_view key) {
  return from_hex_exact<N>(v.string(key).value()).value();
}

TEST(Vectors, Sha256) {
  for_each_vector("sha256.json", [](json::Value v) {
    const Bytes message = hex(v, "message_hex");
    EXPECT_EQ(to_hex(sha256(message)), v.string("digest_hex").value());
    Sha256 pieces;  // the same, byte by byte
    for (const std::uint8_t b : message) pieces.update(ByteView(&b, 1));
    EXPECT_EQ(to_hex(pieces.finish()), v.string("digest_hex").value());
  });
}

TEST(Vectors, Sha256OfAMillionLetters) {
  const auto doc = json::parse(read_table("sha256.json"));
  ASSERT_TRUE(doc);
  Sha256 hash;
  const std::string part(1000, 'a');
  for (int i = 0; i < 1000; ++i) hash.update(as_bytes(part));
  EXPECT_EQ(to_hex(hash.finish()), doc->root().string("million_a").value());
}

TEST(Vectors, HmacSha256) {
  for_each_vector("hmac_sha256.json", [](json::Value v) {
    const Bytes key = hex(v, "key_hex");
    const Bytes message = hex(v, "message_hex");
    const auto expected = v.string("mac_hex").value();
    const HmacSha256Key kept(key);
    EXPECT_EQ(to_hex(kept.mac(message)).substr(0, expected.size()), expected);
    EXPECT_EQ(kept.mac(message), hmac_sha256(key, message));
    HmacSha256 pieces(kept);
    for (const std::uint8_t b : message) pieces.update(ByteView(&b, 1));
    EXPECT_EQ(pieces.finish(), kept.mac(message));
  });
}

TEST(Vectors, HmacByName) {
  for_each_vector("hmac.json", [](json::Value v) {
    const auto name = hash_from_string(v.string("hash").value());
    ASSERT_TRUE(name);
    EXPECT_EQ(to_string(*name), v.string("hash").value());
    EXPECT_EQ(to_hex(hmac(*name, hex(v, "key_hex"), hex(v, "message_hex"))),
              v.string("mac_hex").value());
  });
  EXPECT_FALSE(hash_from_string("md5"));
}

TEST(Vectors, HashesByNameAreThoseThatAreFixed) {
  for_each_vector("sha256.json", [](json::Value v) {
    EXPECT_EQ(to_hex(hash(HashName::sha256, hex(v, "message_hex"))),
              v.string("digest_hex").value());
  });
  // FIPS 180-4, examples of NIST.
  EXPECT_EQ(to_hex(hash(HashName::sha1, as_bytes("abc"))),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(hash(HashName::sha512, as_bytes("abc"))).substr(0, 32),
            "ddaf35a193617abacc417349ae204131");
  EXPECT_EQ(to_hex(hmac(HashName::sha256, {}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Vectors, HkdfSha256) {
  for_each_vector("hkdf_sha256.json", [](json::Value v) {
    const auto out = hkdf_sha256(Secret(hex(v, "ikm_hex")), hex(v, "salt_hex"), hex(v, "info_hex"),
                                 v.uint64("length").value());
    ASSERT_TRUE(out);
    EXPECT_EQ(to_hex(out->reveal()), v.string("okm_hex").value());
  });
}

/// Hands out the nonce of the vector.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(std::span<std::uint8_t> out) override {
    ASSERT_EQ(out.size(), bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), out.begin());
  }

 private:
  Bytes bytes_;
};

TEST(Vectors, Aes256Gcm) {
  for_each_vector("aes256_gcm.json", [](json::Value v) {
    const auto key = AeadKey::from_secret(Secret(hex(v, "key_hex")));
    ASSERT_TRUE(key);
    FixedRandom nonce(hex(v, "nonce_hex"));
    const auto sealed = key->seal(hex(v, "plain_hex"), hex(v, "associated_hex"), nonce);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(to_hex(*sealed), std::string(v.string("nonce_hex").value()) +
                                   std::string(v.string("cipher_hex").value()) +
                                   std::string(v.string("tag_hex").value()));
    const auto opened = key->open(*sealed, hex(v, "associated_hex"));
    ASSERT_TRUE(opened);
    EXPECT_EQ(to_hex(opened->reveal()), v.string("plain_hex").value());
  });
}

TEST(Vectors, Scrypt) {
  for_each_vector("scrypt.json", [](json::Value v) {
    const auto out =
        scrypt(Secret(v.string("password").value()), as_bytes(v.string("salt").value()),
               {.n = v.uint64("n").value(),
                .r = static_cast<std::uint32_t>(v.uint64("r").value()),
                .p = static_cast<std::uint32_t>(v.uint64("p").value())},
               64);
    ASSERT_TRUE(out);
    EXPECT_EQ(to_hex(out->reveal()), v.string("key_hex").value());
  });
}

TEST(Vectors, Argon2id) {
  for_each_vector("argon2id.json", [](json::Value v) {
    const auto expected = v.string("key_hex").value();
    const auto out =
        argon2id(Secret(v.string("password").value()), hex(v, "salt_hex"),
                 {.passes = static_cast<std::uint32_t>(v.uint64("passes").value()),
                  .memory_kib = static_cast<std::uint32_t>(v.uint64("memory_kib").value())},
                 expected.size() / 2);
    ASSERT_TRUE(out);
    EXPECT_EQ(to_hex(out->reveal()), expected);
  });
}

TEST(Vectors, Bip340) {
  for_each_vector("bip340.json", [](json::Value v) {
    const auto x = hex_array<32>(v, "public_key_hex");
    const Bytes message = hex(v, "message_hex");
    const auto signature = hex_array<64>(v, "signature_hex");
    EXPECT_EQ(verify_schnorr(x, message, signature), v.boolean("valid").value());
    if (!v.find("private_key_hex")) return;
    const auto key = PrivateKey::from_hex(v.string("private_key_hex").value());
    ASSERT_TRUE(key);
    EXPECT_EQ(key->public_key().x_only(), x);
    EXPECT_EQ(key->sign_schnorr(message, hex_array<32>(v, "aux_hex")), signature);
  });
}

Result<JwsKey> jws_key(json::Value v) {
  const auto name = v.string("algorithm").value();
  if (name == "RS256") return JwsKey::rsa(b64(v, "n"), b64(v, "e"));
  if (name == "ES256") return JwsKey::p256(b64(v, "x"), b64(v, "y"));
  if (name == "EdDSA") return JwsKey::ed25519(b64(v, "x"));
  return JwsKey::hmac(Secret(b64(v, "k")));
}

TEST(Vectors, Jws) {
  constexpr std::array kAll = {JwsAlgorithm::rs256, JwsAlgorithm::es256, JwsAlgorithm::eddsa,
                               JwsAlgorithm::hs256};
  for_each_vector("jws.json", [&](json::Value v) {
    const auto key = jws_key(v);
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(to_string(key->algorithm()), v.string("algorithm").value());
    const std::string token(v.string("token").value());
    auto parts = split_jws(token);
    ASSERT_TRUE(parts);
    for (const JwsAlgorithm asked : kAll) {
      const auto r = key->verify(asked, parts->signing_input, parts->signature);
      if (asked == key->algorithm())
        EXPECT_TRUE(r) << r.error().message();
      else
        EXPECT_TRUE(!r && r.error().is(Errc::wrong_algorithm));
    }
    // Any change of text or signature is seen.
    const std::string other = std::string(parts->signing_input) + "A";
    EXPECT_FALSE(key->verify(key->algorithm(), other, parts->signature));
    for (const std::size_t i : {std::size_t{0}, parts->signature.size() - 1}) {
      Bytes bent = parts->signature;
      bent[i] ^= 1;
      const auto r = key->verify(key->algorithm(), parts->signing_input, bent);
      EXPECT_TRUE(!r && r.error().is(Errc::bad_signature)) << i;
    }
    parts->signature.pop_back();
    EXPECT_FALSE(key->verify(key->algorithm(), parts->signing_input, parts->signature));
    EXPECT_FALSE(key->verify(key->algorithm(), parts->signing_input, {}));
  });
}

JwsAlgorithm algorithm_of(json::Value v) {
  for (const JwsAlgorithm a : {JwsAlgorithm::rs256, JwsAlgorithm::es256, JwsAlgorithm::hs256}) {
    if (to_string(a) == v.string("algorithm").value()) return a;
  }
  return JwsAlgorithm::eddsa;
}

TEST(Vectors, SignsAsPublished) {
  for_each_vector("jws_private.json", [](json::Value v) {
    const auto signer = JwsSigner::from_pem(algorithm_of(v), Secret(v.string("pem").value()));
    ASSERT_TRUE(signer) << signer.error().message();
    const auto published = split_jws(v.string("token").value());
    ASSERT_TRUE(published);
    const auto made = signer->sign(as_text(published->header), as_text(published->payload));
    ASSERT_TRUE(made) << made.error().message();
    // RSASSA-PKCS1-v1_5 has one signature for a message, ECDSA many.
    if (signer->algorithm() == JwsAlgorithm::rs256) EXPECT_EQ(*made, v.string("token").value());
    const auto parts = split_jws(*made);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->signing_input, published->signing_input);
    const auto key = jws_key(v);
    ASSERT_TRUE(key);
    EXPECT_TRUE(key->verify(signer->algorithm(), parts->signing_input, parts->signature));
  });
}

TEST(Vectors, RefusesOtherPrivateKeys) {
  const auto doc = json::parse(read_table("jws_private.json"));
  ASSERT_TRUE(doc);
  const json::Value refused = doc->root().array("refused").value();
  ASSERT_GT(refused.size(), 0U);
  for (const json::Value v : refused.elements()) {
    SCOPED_TRACE(v.string("name").value());
    const auto signer = JwsSigner::from_pem(algorithm_of(v), Secret(v.string("pem").value()));
    ASSERT_FALSE(signer);
    EXPECT_EQ(signer.error().code(), v.string("error").value());
  }
}

}  // namespace
}  // namespace octroi::crypto
