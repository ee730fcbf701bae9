#include "octroi/vault/inflate.h"

#include <optional>
#include <vector>

#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "octroi/base/random.h"

namespace octroi::vault {
namespace {

/// `bits` as deflateInit2 takes them: 15 zlib, -15 raw, 31 gzip.
std::string deflated(const std::string& text, int bits) {
  z_stream s{};
  ::deflateInit2(&s, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 1024, '\0');
  s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  s.avail_in = static_cast<uInt>(text.size());
  s.next_out = reinterpret_cast<Bytef*>(out.data());
  s.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&s, Z_FINISH), Z_STREAM_END);
  out.resize(s.total_out);
  ::deflateEnd(&s);
  return out;
}

std::string brotli(const std::string& text) {
  std::size_t size = text.size() + 1024;
  std::string out(size, '\0');
  EXPECT_TRUE(::BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, text.size(),
                                      reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                      reinterpret_cast<std::uint8_t*>(out.data())));
  out.resize(size);
  return out;
}

/// Fed in pieces of that size; nothing when it is damaged or does not end.
std::optional<std::string> inflated(std::string_view coding, std::string_view body,
                                    std::size_t piece) {
  const auto inflater = Inflater::make(coding);
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
    inflater->give(body.substr(0, piece));
    for (;;) {
      const auto plain = inflater->take();
      if (!plain) return std::nullopt;
      if (plain->empty()) break;
      out += *plain;
    }
  }
  return inflater->complete() ? std::optional(out) : std::nullopt;
}

/// Text that is about as large compressed, so that pieces end anywhere in it.
std::string text_of(std::size_t size) {
  SeededRandom random(size);
  std::vector<std::uint8_t> bytes(size);
  random.fill(bytes);
  std::string out;
  for (const std::uint8_t b : bytes) out += static_cast<char>('a' + b % 6);
  return out;
}

TEST(Inflate, EveryCodingInPiecesOfEverySize) {
  const std::string text = text_of(3000);
  for (const auto& [coding, body] : {std::pair{"gzip", deflated(text, 31)},
                                     {"deflate", deflated(text, 15)},
                                     {"deflate", deflated(text, -15)},
                                     {"br", brotli(text)}}) {
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U, 100'000U})
      EXPECT_EQ(inflated(coding, body, piece), text) << coding << " " << piece;
  }
}

TEST(Inflate, WhatFillsItsPiecesExactlyEndsToo) {
  for (std::size_t size = 65'400; size < 65'700; size += 3) {
    const std::string text = text_of(size);
    EXPECT_EQ(inflated("deflate", deflated(text, -15), 100'000), text) << size;
    EXPECT_EQ(inflated("gzip", deflated(text, 31), 100'000), text) << size;
  }
}

TEST(Inflate, AFileOfSeveralMembersIsOneText) {
  const std::string two = deflated("one", 31) + deflated("", 31) + deflated("two", 31);
  for (const std::size_t piece : {1U, 5U, 1000U}) EXPECT_EQ(inflated("gzip", two, piece), "onetwo");
  EXPECT_FALSE(inflated("deflate", deflated("one", 15) + deflated("two", 15), 1000));
}

TEST(Inflate, DamageIsSeen) {
  const std::string text = text_of(1000);
  for (const auto& [coding, body] : {std::pair{"gzip", deflated(text, 31)},
                                     {"deflate", deflated(text, 15)},
                                     {"deflate", deflated(text, -15)},
                                     {"br", brotli(text)}}) {
    EXPECT_FALSE(inflated(coding, std::string_view(body).substr(0, body.size() - 1), 100))
        << coding;
    EXPECT_FALSE(inflated(coding, body + "x", 100)) << coding;
  }
  EXPECT_FALSE(inflated("deflate", "\xff\xff\xff\xff", 1));
  EXPECT_FALSE(inflated("gzip", "no gzip at all", 3));
}

}  // namespace
}  // namespace octroi::vault
