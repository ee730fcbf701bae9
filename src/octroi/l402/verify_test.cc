#include "octroi/l402/verify.h"

#include <gtest/gtest.h>

#include "octroi/crypto/hash.h"
#include "octroi/l402/conformance.h"
#include "octroi/l402/macaroon.h"
#include "octroi/l402/mint.h"

namespace octroi::l402 {
namespace {

using Ring = std::vector<std::shared_ptr<const Secret>>;

struct VerifyTest : testing::Test {
  SeededRandom random{11};
  std::shared_ptr<const Secret> old_key = std::make_shared<const Secret>(random.secret(32));
  std::shared_ptr<const Secret> new_key = std::make_shared<const Secret>(random.secret(32));
  RootKeys keys = *RootKeys::make(Ring{new_key, old_key});
  std::array<std::uint8_t, 32> preimage = random.bytes<32>();
  PaymentHash hash{crypto::sha256(preimage)};
  UnixMillis now = from_unix_seconds(1000);
  RevocationSet none;

  Bytes minted(const RootKeys& by, TokenTerms terms = {.service = ServiceName("weather")}) {
    return *mint(by, hash, by.new_token_id(random), terms);
  }
  Credential credential(std::vector<Bytes> macaroons) {
    Credential out;
    out.id = *decode_identifier(decode_macaroon(macaroons.front())->identifier);
    out.macaroons = std::move(macaroons);
    out.preimage = Preimage(preimage);
    return out;
  }
  Result<Grant> check(const Credential& c, const RootKeys& with,
                      std::string_view service = "weather") {
    return verify({.credential = c, .service = {.name = service}, .now = now}, with, none);
  }
  Result<Grant> check(const Credential& c) { return check(c, keys); }
};

TEST_F(VerifyTest, WhatWeMintedIsGranted) {
  auto grant = check(credential({minted(keys, {.service = ServiceName("weather"),
                                               .tier = 2,
                                               .capabilities = {"read", "write"},
                                               .constraints = {{"max_size", "10"}},
                                               .valid_until = from_unix_seconds(2000)})}));
  ASSERT_TRUE(grant) << grant.error().message();
  EXPECT_EQ(grant->hash, hash);
  EXPECT_EQ(grant->tier, 2);
  EXPECT_EQ(grant->valid_until, from_unix_seconds(2000));
  EXPECT_EQ(grant->key_index, 0U);
}

TEST_F(VerifyTest, CaveatsStandInTheOrderOfTheField) {
  const Bytes bytes = minted(keys, {.service = ServiceName("weather"),
                                    .tier = 0,
                                    .capabilities = {"read", "write"},
                                    .constraints = {{"b", "2"}, {"a", "1"}},
                                    .valid_until = UnixMillis{2'000'999}});
  auto macaroon = decode_macaroon(bytes);
  EXPECT_EQ(macaroon->location, "lsat");
  std::vector<std::string> texts;
  for (const CaveatView& caveat : macaroon->caveats) texts.emplace_back(caveat.id);
  EXPECT_EQ(texts,
            (std::vector<std::string>{"services=weather:0", "weather_capabilities=read,write",
                                      "a=1", "b=2", "weather_valid_until=2000"}));
}

TEST_F(VerifyTest, AnOlderKeyOfTheRingStillVerifies) {
  const RootKeys before = *RootKeys::make(*old_key);
  auto grant = check(credential({minted(before)}));
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->key_index, 1U);
}

TEST_F(VerifyTest, TheNewestKeyIssues) {
  EXPECT_EQ(keys.find(keys.new_token_id(random)), std::size_t{0});
}

TEST_F(VerifyTest, Refusals) {
  const Bytes good = minted(keys);

  EXPECT_TRUE(
      check(credential({good}), *RootKeys::make(random.secret(32))).error().is(Errc::unknown_key));

  Credential wrong = credential({good});
  wrong.preimage = Preimage(random.bytes<32>());
  EXPECT_TRUE(check(wrong).error().is(Errc::wrong_preimage));

  EXPECT_TRUE(check(credential({good}), keys, "maps").error().is(Errc::caveat_denied));

  Bytes changed = good;
  changed.back() ^= 1;
  EXPECT_TRUE(check(credential({changed})).error().is(Errc::bad_signature));

  MacaroonWriter with_third(good, *decode_macaroon(good));
  with_third.add_third_party("https://x", "cid", "vid");
  EXPECT_TRUE(check(credential({*std::move(with_third).finish()})).error().is(Errc::third_party));

  const std::vector<std::string> past = {"weather_valid_until=999"};
  EXPECT_TRUE(check(credential({*attenuate(good, past)})).error().is(Errc::expired));

  const Credential c = credential({good});
  const RevocationSet revoked({c.id.token});
  auto refused =
      verify({.credential = c, .service = {.name = "weather"}, .now = now}, keys, revoked);
  EXPECT_TRUE(refused.error().is(Errc::revoked));

  EXPECT_TRUE(check(Credential{}).error().is(Errc::malformed));
}

TEST_F(VerifyTest, ARevokedIdIsNotBelievedBeforeItsSignature) {
  // Otherwise anybody could ask which tokens were revoked.
  Bytes forged = minted(keys);
  forged.back() ^= 1;
  const Credential c = credential({forged});
  const RevocationSet revoked({c.id.token});
  EXPECT_TRUE(verify({.credential = c, .service = {.name = "weather"}, .now = now}, keys, revoked)
                  .error()
                  .is(Errc::bad_signature));
}

TEST_F(VerifyTest, OfSeveralMacaroonsOneIsEnough) {
  const Bytes good = minted(keys);
  const std::vector<std::string> past = {"weather_valid_until=999"};
  const Bytes expired = *attenuate(good, past);
  EXPECT_TRUE(check(credential({expired, good})));
  EXPECT_TRUE(check(credential({good, expired})));
  EXPECT_TRUE(check(credential({expired, expired})).error().is(Errc::expired));
}

TEST_F(VerifyTest, ATokenOfAnotherHashUnderTheSameIdDoesNotVerify) {
  const TokenId id = keys.new_token_id(random);
  const Bytes a = *mint(keys, hash, id, {.service = ServiceName("weather")});
  Bytes b = a;
  // Move the signature to an identifier with a hash whose preimage the client chose.
  const auto own = random.bytes<32>();
  const auto forged = encode_identifier({.hash = PaymentHash(crypto::sha256(own)), .token = id});
  const auto at = std::search(b.begin(), b.end(), hash.raw().begin(), hash.raw().end());
  std::copy(forged.begin() + 2, forged.begin() + 34, at);
  Credential c = credential({b});
  c.preimage = Preimage(own);
  EXPECT_TRUE(check(c).error().is(Errc::bad_signature));
}

TEST(RootKeys, ShortOrRepeatedOrMissingKeysAreRefused) {
  SeededRandom random(1);
  EXPECT_TRUE(RootKeys::make(random.secret(31)).error().is(Errc::bad_key));
  EXPECT_TRUE(RootKeys::make(Ring{}).error().is(Errc::bad_key));
  const auto key = std::make_shared<const Secret>(random.secret(32));
  EXPECT_TRUE(RootKeys::make(Ring{key, key}).error().is(Errc::bad_key));
}

TEST(Mint, TermsThatWouldChangeTheirMeaningAreRefused) {
  const auto bad = [](TokenTerms terms) { return check_terms(terms).error().is(Errc::bad_mint); };
  for (const Metered& wrong : {Metered{"token", 0}, Metered{"token", -1}, Metered{"", 5},
                               Metered{"to:ken", 5}, Metered{"to ken", 5}}) {
    TokenTerms terms{.service = ServiceName("weather")};
    terms.meter = wrong;
    EXPECT_TRUE(bad(terms)) << wrong.unit << wrong.units;
  }
  EXPECT_TRUE(bad({.service = ServiceName("")}));
  EXPECT_TRUE(bad({.service = ServiceName("a,b")}));
  EXPECT_TRUE(bad({.service = ServiceName("a:0")}));
  EXPECT_TRUE(bad({.service = ServiceName("a"), .capabilities = {"read,write"}}));
  for (const char* condition :
       {"", "services", "preimage", "a_valid_until", "b_capabilities", "x=y"}) {
    EXPECT_TRUE(bad({.service = ServiceName("a"), .constraints = {{condition, "1"}}})) << condition;
  }
  EXPECT_TRUE(bad({.service = ServiceName("a"), .constraints = {{"x", ""}}}));
  EXPECT_TRUE(bad({.service = ServiceName("a"), .constraints = {{"x", "a\nb"}}}));
  EXPECT_TRUE(check_terms({.service = ServiceName("a"), .constraints = {{"x", "a b"}}}));
}

TEST(Mint, AnIdOfAnotherRingIsRefused) {
  SeededRandom random(5);
  const RootKeys ours = *RootKeys::make(random.secret(32));
  const RootKeys theirs = *RootKeys::make(random.secret(32));
  EXPECT_TRUE(mint(ours, PaymentHash{}, theirs.new_token_id(random), {.service = ServiceName("a")})
                  .error()
                  .is(Errc::unknown_key));
}

TEST(Identifier, OnlyVersionZeroOf66Bytes) {
  const auto good = encode_identifier({});
  EXPECT_TRUE(decode_identifier(good));
  EXPECT_FALSE(decode_identifier(ByteView(good).first(65)));
  auto newer = good;
  newer[1] = 1;
  EXPECT_FALSE(decode_identifier(newer));
}

TEST(Conformance, DecodeAndVerify) {
  const char* vector =
      "\"AgIHdGVzdC1pZAACDWFjY291bnQ9MTIzNDUAAAYgJ2gvpkTOG5SSK22E1X0RGh14QJO1SL6anW_bgJsGoAE\"";
  auto decoded = run_conformance_operation("macaroon.decode", vector);
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(
      *decoded,
      R"({"version":2,"location":"","identifier_hex":"746573742d6964","identifier":"test-id",)"
      R"("caveats":["account=12345"],"third_party":[],)"
      R"("signature_hex":"27682fa644ce1b94922b6d84d57d111a1d784093b548be9a9d6fdb809b06a001"})");
  const std::string input = std::string(R"({"macaroon":)") + vector + R"(,"root_key_hex":")";
  EXPECT_EQ(*run_conformance_operation("macaroon.verify", input + std::string(64, '0') + "\"}"),
            R"({"valid":true})");
  EXPECT_TRUE(run_conformance_operation("macaroon.verify", input + std::string(64, '1') + "\"}")
                  .error()
                  .is(Errc::bad_signature));
  EXPECT_FALSE(run_conformance_operation("macaroon.decode", "\"!\""));
  EXPECT_FALSE(run_conformance_operation("macaroon.decode", "{}"));
  EXPECT_FALSE(run_conformance_operation("macaroon.other", "{}"));
  EXPECT_TRUE(is_conformance_operation("macaroon.verify"));
}

}  // namespace
}  // namespace octroi::l402
