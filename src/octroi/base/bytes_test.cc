#include "octroi/base/bytes.h"

#include <gtest/gtest.h>

#include "octroi/base/little_endian.h"
#include "octroi/base/random.h"
#include "octroi/base/scan.h"

namespace octroi {
namespace {

struct DecodeRow {
  const char* name;
  std::string text;
  const char* code;  // null: decodes
  std::string hex;
};

template <class Decode>
void check(const std::vector<DecodeRow>& rows, Decode decode) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const Result<Bytes> got = decode(row.text);
    if (row.code == nullptr) {
      ASSERT_TRUE(got) << got.error().message();
      EXPECT_EQ(to_hex(*got), row.hex);
    } else {
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().code(), row.code);
    }
  }
}

TEST(Hex, Decodes) {
  check({{"empty", "", nullptr, ""},
         {"lower", "00ff7a", nullptr, "00ff7a"},
         {"upper", "00FF7A", nullptr, "00ff7a"},
         {"odd length", "00f", "base.bad_hex", ""},
         {"not hex", "0g", "base.bad_hex", ""},
         {"line break", "00\nf", "base.bad_hex", ""},
         {"prefix", "0xff", "base.bad_hex", ""},
         {"high bit", "\xc3\xb0", "base.bad_hex", ""},
         {"between 9 and A", "0:", "base.bad_hex", ""},
         {"NUL", std::string("0\0", 2), "base.bad_hex", ""}},
        [](std::string_view t) { return from_hex(t); });
}

TEST(Hex, LowerRefusesUpperCase) {
  EXPECT_TRUE(from_hex("ab", HexCase::lower));
  EXPECT_FALSE(from_hex("aB", HexCase::lower));
  EXPECT_FALSE(from_hex("Ab", HexCase::lower));
}

TEST(Hex, ExactTellsLengthFromCharacters) {
  EXPECT_EQ(from_hex_exact<2>("00ff").value()[1], 0xff);
  EXPECT_EQ(from_hex_exact<2>("00ff00").error().code(), "base.bad_length");
  EXPECT_EQ(from_hex_exact<2>("00f").error().code(), "base.bad_hex");
  EXPECT_EQ(from_hex_exact<2>("00fx").error().code(), "base.bad_hex");
}

TEST(Base64, Rfc4648Vectors) {
  const std::vector<std::pair<std::string, std::string>> rows = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : rows) {
    SCOPED_TRACE(plain);
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    const std::string bare = encoded.substr(0, encoded.find('='));
    EXPECT_EQ(to_base64url(as_bytes(plain)), bare);
    for (const std::string& text : {encoded, bare}) {
      EXPECT_EQ(as_text(from_base64(text).value()), plain);
      EXPECT_EQ(as_text(from_base64url(text).value()), plain);
      EXPECT_EQ(as_text(from_base64_any(text).value()), plain);
    }
  }
}

TEST(Base64, Refuses) {
  check({{"single character", "A", "base.bad_base64", ""},
         {"five characters", "AAAAA", "base.bad_base64", ""},
         {"tail bits of one byte", "Zh", "base.bad_base64", ""},
         {"tail bits of one byte, padded", "Zh==", "base.bad_base64", ""},
         {"tail bits of two bytes", "Zm9", "base.bad_base64", ""},
         {"too little padding", "Zg=", "base.bad_base64", ""},
         {"too much padding", "Zm8==", "base.bad_base64", ""},
         {"padding on a whole text", "Zm9v=", "base.bad_base64", ""},
         {"four padding characters", "Zm9v====", "base.bad_base64", ""},
         {"three padding characters", "Z===", "base.bad_base64", ""},
         {"padding alone", "====", "base.bad_base64", ""},
         {"padding inside", "Zg==Zg==", "base.bad_base64", ""},
         {"line feed inside", "Zm\n9v", "base.bad_base64", ""},
         {"line feed at the end", "Zm9v\n", "base.bad_base64", ""},
         {"space", "Zm9 ", "base.bad_base64", ""},
         {"NUL", std::string("Zm9\0", 4), "base.bad_base64", ""},
         {"high byte", "Zm9\xff", "base.bad_base64", ""},
         {"url alphabet", "-_-_", "base.bad_base64", ""}},
        [](std::string_view t) { return from_base64(t); });
}

TEST(Base64, AnyTakesEitherAlphabetButNotBoth) {
  check({{"url", "-_-_", nullptr, "fbffbf"},
         {"standard", "+/+/", nullptr, "fbffbf"},
         {"minus and slash", "-/-/", "base.bad_base64", ""},
         {"plus and underscore", "+_AA", "base.bad_base64", ""}},
        [](std::string_view t) { return from_base64_any(t); });
  EXPECT_FALSE(from_base64url("+/+/"));
}

TEST(Base64, EveryLengthReturns) {
  SeededRandom random(7);
  for (std::size_t n = 0; n < 200; ++n) {
    Bytes bytes(n);
    random.fill(bytes);
    EXPECT_EQ(from_base64(to_base64(bytes)).value(), bytes);
    EXPECT_EQ(from_base64url(to_base64url(bytes)).value(), bytes);
    EXPECT_EQ(from_base64_any(to_base64url(bytes)).value(), bytes);
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    EXPECT_LE(n, base64_decoded_bound(to_base64url(bytes).size()));
  }
}

// Two texts of one value would let a signed text be changed: among all four-character texts over a
// sample of characters, those that decode are exactly what encoding gives back.
TEST(Base64, OneTextForEachValue) {
  const std::string sample = "AQZaz09+/-_=\n ";
  std::string text(4, 'A');
  for (const char a : sample) {
    for (const char b : sample) {
      for (const char c : sample) {
        for (const char d : sample) {
          text = {a, b, c, d};
          if (const auto bytes = from_base64(text)) {
            EXPECT_EQ(to_base64(*bytes), text);
          }
          if (const auto bytes = from_base64url(text); bytes && d != '=') {
            EXPECT_EQ(to_base64url(*bytes), text);
          }
        }
      }
    }
  }
}

/// What the text means, character by character and bit by bit.
std::optional<Bytes> plainly_decoded(std::string_view text, std::string_view alphabet) {
  Bytes out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffffU;
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out.push_back(static_cast<std::uint8_t>(bits >> have));
  }
  return out;
}

// Long texts are decoded sixteen characters at a time: every byte at every place of one, both
// alphabets.
TEST(Base64, EveryByteAtEveryPlace) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (const bool url : {false, true}) {
    const std::string alphabet = letters + (url ? "-_" : "+/");
    for (const std::size_t size : {16U, 20U, 24U, 40U, 64U}) {
      for (std::size_t at = 0; at < size; ++at) {
        for (unsigned byte = 0; byte < 256; ++byte) {
          std::string text;
          for (std::size_t i = 0; i < size; ++i) text += alphabet[(i * 7 + at) % 64];
          text[at] = static_cast<char>(byte);
          if (byte == '=' && at + 2 >= size) continue;  // padding is another test's
          const auto got = url ? from_base64url(text) : from_base64(text);
          const auto expected = plainly_decoded(text, alphabet);
          ASSERT_EQ(got.has_value(), expected.has_value())
              << byte << " at " << at << " of " << size;
          if (expected) ASSERT_EQ(*got, *expected);
        }
      }
    }
  }
}

TEST(Scan, StopsAtTheFirstByteThatNeedsCare) {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        std::string text(size, 'x');
        if (at < size) text[at] = static_cast<char>(byte);
        const bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        ASSERT_EQ(plain_prefix(text), plain ? size : at) << byte;
        ASSERT_EQ(ascii_prefix(text), byte < 0x80 ? size : at) << byte;
      }
    }
  }
}

TEST(LittleEndian, LeastByteFirst) {
  std::string out;
  append_little_endian(out, std::uint32_t{0x01020304});
  append_little_endian(out, std::uint64_t{0xfffffffffffffffe});
  EXPECT_EQ(to_hex(as_bytes(out)), "04030201feffffffffffffff");
  EXPECT_EQ(little_endian(as_bytes(out).first(4)), 0x01020304U);
  EXPECT_EQ(little_endian(as_bytes(out).subspan(4)), 0xfffffffffffffffeU);
  EXPECT_EQ(little_endian({}), 0U);
}

}  // namespace
}  // namespace octroi
