#include "octroi/base/bech32.h"

#include <gtest/gtest.h>

#include "octroi/base/lru.h"
#include "octroi/base/random.h"

namespace octroi {
namespace {

struct Row {
  const char* name;
  std::string text;
  Bech32Kind kind;
};

// Texts of the two specifications' lists (BIP 173 and BIP 350, "Test vectors").
TEST(Bech32, AcceptsThePublishedVectors) {
  const std::vector<Row> rows = {
      {"upper case", "A12UEL5L", Bech32Kind::bech32},
      {"lower case", "a12uel5l", Bech32Kind::bech32},
      {"every word", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", Bech32Kind::bech32},
      {"separator in the words' place",
       "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", Bech32Kind::bech32},
      {"odd prefix", "?1ezyfcl", Bech32Kind::bech32},
      {"m, upper case", "A1LQFN3A", Bech32Kind::bech32m},
      {"m, lower case", "a1lqfn3a", Bech32Kind::bech32m},
      {"m, every word", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", Bech32Kind::bech32m},
      {"m, words of a sentence", "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
       Bech32Kind::bech32m},
      {"m, odd prefix", "?1v759aa", Bech32Kind::bech32m},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto decoded = bech32_decode(row.text);
    ASSERT_TRUE(decoded) << decoded.error().code();
    EXPECT_EQ(decoded->kind, row.kind);
    std::string lower = row.text;
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(bech32_encode(row.kind, decoded->prefix, decoded->words).value(), lower);
  }
}

struct BadRow {
  const char* name;
  std::string text;
  const char* code;
};

TEST(Bech32, Refuses) {
  for (const auto& row : std::vector<BadRow>{
           {"empty", "", "base.bech32_bad_prefix"},
           {"no separator", "pzry9x0s0muk", "base.bech32_bad_prefix"},
           {"empty prefix", "1pzry9x0s0muk", "base.bech32_bad_prefix"},
           {"word outside the alphabet", "x1b4n0q5v", "base.bech32_bad_char"},
           {"checksum too short", "li1dgmt3", "base.bech32_bad_checksum"},
           {"control character",
            "\x7f"
            "1axkwrx",
            "base.bech32_bad_char"},
           {"high byte",
            "\x80"
            "1eym55h",
            "base.bech32_bad_char"},
           {"space", " 1nwldj5", "base.bech32_bad_char"},
           {"checksum of the prefix in upper case", "A1G7SGD8", "base.bech32_bad_checksum"},
           {"mixed case", "a12UEL5L", "base.bech32_bad_char"},
           {"one letter changed", "a12uel5m", "base.bech32_bad_checksum"},
           {"no checksum", "de1lg7wt\xff", "base.bech32_bad_char"}}) {
    SCOPED_TRACE(row.name);
    const auto decoded = bech32_decode(row.text);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code(), row.code);
  }
  EXPECT_EQ(bech32_decode("a12uel5l", 7).error().code(), "base.bech32_too_long");
  EXPECT_EQ(bech32_encode(Bech32Kind::bech32, "A", {}).error().code(), "base.bech32_bad_prefix");
  EXPECT_EQ(bech32_encode(Bech32Kind::bech32, "", {}).error().code(), "base.bech32_bad_prefix");
  const std::vector<std::uint8_t> big = {32};
  EXPECT_EQ(bech32_encode(Bech32Kind::bech32, "a", big).error().code(), "base.bech32_bad_char");
  EXPECT_EQ(words_to_bytes(big).error().code(), "base.bech32_bad_char");
}

TEST(Bech32, EveryLengthReturns) {
  SeededRandom random(3);
  for (std::size_t n = 0; n < 300; ++n) {
    Bytes bytes(n);
    random.fill(bytes);
    const auto words = bytes_to_words(bytes);
    EXPECT_EQ(words.size(), (n * 8 + 4) / 5);
    EXPECT_EQ(words_to_bytes(words).value(), bytes);
    const auto text = bech32_encode(Bech32Kind::bech32m, "lnbcrt", words).value();
    EXPECT_EQ(bech32_decode(text)->words, words);
  }
}

TEST(Bech32, TailBits) {
  const std::vector<std::uint8_t> clean = {31, 28};       // 11111 111|00
  const std::vector<std::uint8_t> dirty = {31, 29};       // 11111 111|01
  const std::vector<std::uint8_t> useless = {31, 28, 0};  // 7 bits left
  EXPECT_EQ(words_to_bytes(clean).value(), Bytes{0xff});
  EXPECT_EQ(words_to_bytes(dirty).error().code(), "base.bech32_bad_padding");
  EXPECT_EQ(words_to_bytes(useless).error().code(), "base.bech32_bad_padding");
  EXPECT_EQ(words_to_bytes(dirty, Bech32Tail::drop).value(), Bytes{0xff});
  EXPECT_EQ(words_to_bytes(dirty, Bech32Tail::pad).value(), (Bytes{0xff, 0x40}));
  EXPECT_EQ(words_to_bytes({}, Bech32Tail::pad).value(), Bytes{});
}

TEST(LruCache, ForgetsWhatWasUsedLongestAgo) {
  LruCache<std::string, int> cache(2);
  cache.put("a", 1);
  cache.put("b", 2);
  ASSERT_NE(cache.find("a"), nullptr);
  cache.put("c", 3);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(*cache.find("a"), 1);
  EXPECT_EQ(*cache.find("c"), 3);
  cache.put("a", 4);
  EXPECT_EQ(*cache.find("a"), 4);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(
      cache.erase_if([](const std::string& key, int value) { return key == "a" && value == 4; }),
      1U);
  EXPECT_TRUE(cache.erase("c"));
  EXPECT_FALSE(cache.erase("c"));
  EXPECT_EQ(cache.size(), 0U);
  LruCache<int, int> none(0);
  none.put(1, 1);
  EXPECT_EQ(none.find(1), nullptr);
}

}  // namespace
}  // namespace octroi
