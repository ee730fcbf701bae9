#include "octroi/l402/macaroon.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "octroi/l402/testdata.h"

namespace octroi::l402 {
namespace {

TEST(Macaroon, ValidVectorsDecodeVerifyAndAreWrittenTheSame) {
  const json::Document data = load_testdata("macaroon.json");
  for (const json::Value row : data.root().array("valid")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const Bytes bytes = *from_hex(*row.string("hex"));
    const Bytes root = *from_hex(*row.string("root_key_hex"));
    auto macaroon = decode_macaroon(bytes);
    ASSERT_TRUE(macaroon) << macaroon.error().message();
    EXPECT_EQ(macaroon->location, *row.string("location"));
    EXPECT_EQ(as_text(macaroon->identifier), *row.string("identifier"));
    EXPECT_TRUE(signature_matches(*macaroon, root));
    EXPECT_FALSE(signature_matches(*macaroon, as_bytes("another key")));
    MacaroonWriter writer(root, *row.string("location"), as_bytes(*row.string("identifier")));
    for (const json::Value caveat : row.array("caveats")->elements())
      writer.add(*caveat.as_string());
    EXPECT_EQ(*std::move(writer).finish(), bytes);
  }
}

TEST(Macaroon, MalformedVectorsAreRefused) {
  const json::Document data = load_testdata("macaroon.json");
  for (const json::Value row : data.root().array("malformed")->elements()) {
    auto macaroon = decode_macaroon(*from_hex(*row.string("hex")));
    ASSERT_FALSE(macaroon) << *row.string("name");
    EXPECT_TRUE(macaroon.error().is(Errc::malformed)) << *row.string("name");
  }
}

Bytes sample() {
  MacaroonWriter writer(as_bytes("root"), kLocation, as_bytes("id"));
  writer.add("services=a:0").add("a_valid_until=10").add_third_party("https://x", "cid", "vid");
  return *std::move(writer).finish();
}

TEST(Macaroon, EveryChangedBitBreaksFormOrSignature) {
  const Bytes good = sample();
  ASSERT_TRUE(signature_matches(*decode_macaroon(good), as_bytes("root")));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[i] = static_cast<std::uint8_t>(bad[i] ^ (1U << bit));
      auto macaroon = decode_macaroon(bad);
      if (!macaroon) continue;
      // Locations are hints that no signature covers.
      const bool same_but_location =
          macaroon->location != kLocation ||
          (*std::ranges::next(macaroon->caveats.begin(), 2)).location != "https://x";
      EXPECT_TRUE(same_but_location || !signature_matches(*macaroon, as_bytes("root")))
          << i << " " << bit;
    }
  }
}

TEST(Macaroon, EveryPrefixIsRefused) {
  const Bytes good = sample();
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(decode_macaroon(ByteView(good).first(n))) << n;
}

TEST(Macaroon, AnEmptyFirstLocationIsTheSameAsNone) {
  Bytes bytes = *MacaroonWriter(as_bytes("root"), {}, as_bytes("id")).finish();
  bytes.insert(bytes.begin() + 1, {1, 0});
  auto macaroon = decode_macaroon(bytes);
  ASSERT_TRUE(macaroon);
  EXPECT_TRUE(signature_matches(*macaroon, as_bytes("root")));
  const std::vector<std::string> one = {"x=y"};
  EXPECT_TRUE(signature_matches(*decode_macaroon(*attenuate(bytes, one)), as_bytes("root")));
}

TEST(Macaroon, ThirdPartyCaveatsAreReadAndSaid) {
  const Bytes bytes = sample();
  auto macaroon = decode_macaroon(bytes);
  ASSERT_TRUE(macaroon);
  EXPECT_TRUE(macaroon->has_third_party);
  EXPECT_EQ(macaroon->caveat_count, 3U);
  auto it = std::ranges::next(macaroon->caveats.begin(), 2);
  EXPECT_EQ(it->id, "cid");
  EXPECT_EQ(it->vid, "vid");
  EXPECT_TRUE(it->third_party());
}

TEST(Macaroon, LimitsHoldBothWays) {
  MacaroonWriter many(as_bytes("root"), {}, as_bytes("id"));
  for (std::size_t i = 0; i < kMaxCaveats; ++i) many.add("x");
  MacaroonWriter more = many;
  auto full = std::move(many).finish();
  ASSERT_TRUE(full);
  EXPECT_EQ(decode_macaroon(*full)->caveat_count, kMaxCaveats);
  more.add("x");
  EXPECT_TRUE(std::move(more).finish().error().is(Errc::too_large));
  const std::vector<std::string> one = {"y"};
  EXPECT_TRUE(attenuate(*full, one).error().is(Errc::too_large));

  MacaroonWriter big(as_bytes("root"), {}, as_bytes("id"));
  big.add(std::string(kMaxMacaroonSize, 'x'));
  EXPECT_TRUE(std::move(big).finish().error().is(Errc::too_large));
  EXPECT_TRUE(decode_macaroon(Bytes(kMaxMacaroonSize + 1, 2)).error().is(Errc::too_large));
}

TEST(Macaroon, AttenuatingIsWhatTheMinterWouldHaveWritten) {
  MacaroonWriter writer(as_bytes("root"), kLocation, as_bytes("id"));
  writer.add("services=a:0");
  MacaroonWriter longer = writer;
  const Bytes base = *std::move(writer).finish();
  longer.add("a_valid_until=10").add("a_capabilities=read");
  const std::vector<std::string> more = {"a_valid_until=10", "a_capabilities=read"};
  EXPECT_EQ(*attenuate(base, more), *std::move(longer).finish());
  EXPECT_EQ(*attenuate(base, {}), base);
  EXPECT_FALSE(attenuate(as_bytes("nonsense"), more));
}

}  // namespace
}  // namespace octroi::l402
