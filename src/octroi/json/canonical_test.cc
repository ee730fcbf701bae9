#include "octroi/json/canonical.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "octroi/json/test_vectors.h"
#include "octroi/json/writer.h"

namespace octroi::json {
namespace {

std::string number(double value) {
  std::string out;
  append_number(out, value);
  return out;
}

// rule: MPP-4 MPP-5
TEST(Canonical, MatchesTheExamples) {
  const Document table = read_test_table("json/canonical.json");
  int rows = 0;
  for (const Value row : table.root().array("vectors")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const auto text = canonicalize(*row.string("input"));
    ASSERT_TRUE(text.has_value()) << text.error().message();
    EXPECT_EQ(*text, *row.string("output"));
    EXPECT_EQ(canonicalize(*text).value(), *text) << "not idempotent";
    ++rows;
  }
  EXPECT_GE(rows, 15);
}

// rule: MPP-6
TEST(Canonical, PrintsNumbersAsEcmaScriptDoes) {
  const Document table = read_test_table("json/rfc8785_numbers.json");
  int rows = 0;
  for (const Value row : table.root().array("vectors")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const std::string_view hex = *row.string("bits");
    std::uint64_t bits = 0;
    std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
    EXPECT_EQ(number(std::bit_cast<double>(bits)), *row.string("text"));
    ++rows;
  }
  EXPECT_EQ(rows, 24);
}

TEST(Canonical, NumbersRoundTripAndAreShortest) {
  std::mt19937_64 random(8785);
  for (int i = 0; i < 50'000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const std::string text = number(value);
    const double back = parse(text).value().root().as_double().value();
    ASSERT_EQ(back, value) << text;
    // One significant digit fewer must not be enough.
    const auto digits = static_cast<int>(std::count_if(
        text.begin(),
        text.begin() + static_cast<std::ptrdiff_t>(std::min(text.find('e'), text.size())),
        [](char c) { return c >= '0' && c <= '9'; }));
    if (text.find('e') != std::string::npos && digits > 1) {
      ASSERT_NE(std::strtod(fmt::format("{:.{}e}", value, digits - 2).c_str(), nullptr), value)
          << text;
    }
  }
}

TEST(Canonical, OrderIsThatOfUtf16) {
  const auto utf16 = [](char32_t c) {
    std::u16string out;
    if (c < 0x10000) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(0xD800 + ((c - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
    return out;
  };
  const auto utf8 = [](char32_t c) {
    std::string out;
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xC0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xE0 | (c >> 12));
      out += static_cast<char>(0x80 | ((c >> 6) & 63));
      out += static_cast<char>(0x80 | (c & 63));
    } else {
      out += static_cast<char>(0xF0 | (c >> 18));
      out += static_cast<char>(0x80 | ((c >> 12) & 63));
      out += static_cast<char>(0x80 | ((c >> 6) & 63));
      out += static_cast<char>(0x80 | (c & 63));
    }
    return out;
  };
  std::mt19937 random(3);
  const std::vector<char32_t> edges = {0,      0x7F,   0x80,   0x7FF,   0x800,    0xD7FF,  0xE000,
                                       0xEFFF, 0xF000, 0xFFFF, 0x10000, 0x10FFFF, 0x1F600, 0xFB33};
  const auto pick = [&]() -> char32_t {
    if (random() % 2 == 0) return edges[random() % edges.size()];
    const auto c = static_cast<char32_t>(random() % 0x110000);
    return c >= 0xD800 && c < 0xE000 ? U'x' : c;
  };
  for (int i = 0; i < 20'000; ++i) {
    std::string a8;
    std::string b8;
    std::u16string a16;
    std::u16string b16;
    for (std::size_t n = random() % 3; n > 0; --n) {
      const char32_t c = pick();
      a8 += utf8(c);
      b8 += utf8(c);
      a16 += utf16(c);
      b16 += utf16(c);
    }
    for (std::size_t n = random() % 3; n > 0; --n) {
      const char32_t c = pick();
      a8 += utf8(c);
      a16 += utf16(c);
    }
    for (std::size_t n = random() % 3; n > 0; --n) {
      const char32_t c = pick();
      b8 += utf8(c);
      b16 += utf16(c);
    }
    ASSERT_EQ(canonical_less(a8, b8), a16 < b16);
    ASSERT_EQ(canonical_less(b8, a8), b16 < a16);
  }
}

TEST(Canonical, RefusesDuplicatesAndDepth) {
  EXPECT_TRUE(canonicalize(R"({"a":1,"a":1})").error().is(Errc::duplicate_key));
  EXPECT_TRUE(canonicalize(std::string(33, '[') + std::string(33, ']')).error().is(Errc::too_deep));
}

/// The data set of the RFC's authors, where a Go module cache on this machine holds it.
TEST(Canonical, AgreesWithTheReferenceData) {
  namespace fs = std::filesystem;
  const char* const cache = std::getenv("GOMODCACHE");
  const char* const home = std::getenv("HOME");
  const fs::path root =
      (cache != nullptr ? fs::path(cache) : fs::path(home != nullptr ? home : "/") / "go/pkg/mod") /
      "github.com/cyberphone";
  int files = 0;
  std::error_code ignored;
  for (const fs::directory_entry& version : fs::directory_iterator(root, ignored)) {
    const fs::path input = version.path() / "testdata/input";
    if (!fs::is_directory(input)) continue;
    for (const fs::directory_entry& file : fs::directory_iterator(input)) {
      SCOPED_TRACE(file.path().filename().string());
      const auto text = canonicalize(read_test_file(file.path()));
      ASSERT_TRUE(text.has_value()) << text.error().message();
      EXPECT_EQ(*text, read_test_file(version.path() / "testdata/output" / file.path().filename()));
      ++files;
    }
  }
  if (files == 0)
    GTEST_SKIP() << "github.com/cyberphone/json-canonicalization is not in the Go module cache";
}

}  // namespace
}  // namespace octroi::json
