#include "octroi/vault/sigv4_chunks.h"

#include <gmock/gmock.h>

#include "octroi/base/bytes.h"
#include "octroi/vault/sigv4.h"

namespace octroi::vault {
namespace {

using ::testing::HasSubstr;

// The key, time and body of the examples that Amazon S3 publishes for chunks.
const Secret& example_secret() {
  static const Secret secret(std::string_view("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
  return secret;
}
const UnixMillis kThen = *from_rfc3339("2013-05-24T00:00:00Z");
constexpr std::string_view kSigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
constexpr std::string_view kSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
constexpr std::string_view kUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

struct Example {
  std::string_view way;
  std::string fields;
  std::string seed;
  std::vector<std::string> chunks;  // signatures of 64 KiB, of 1 KiB, and of the last
  std::string trailer;              // and of the checksum
};
const Example kPlain = {kSigned,
                        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
                        "x-amz-decoded-content-length;x-amz-storage-class",
                        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                        {"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                         "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                         "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
                        ""};
const Example kWithTrailer = {
    kSignedTrailer,
    "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
    "x-amz-storage-class;x-amz-trailer",
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    {"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
     "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
     "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"};

http::RequestHead head_of(const Example& example) {
  http::RequestHead head;
  head.method = "PUT";
  head.target = "/examplebucket/chunkObject.txt";
  head.authority = "s3.amazonaws.com";
  http::Headers& h = head.headers;
  h.add("x-amz-date", "20130524T000000Z");
  h.add("x-amz-storage-class", "REDUCED_REDUNDANCY");
  h.add("x-amz-content-sha256", example.way);
  h.add("Content-Encoding", "aws-chunked");
  h.add("x-amz-decoded-content-length", "66560");
  if (example.trailer.empty()) h.add("Content-Length", "66824");
  if (!example.trailer.empty()) h.add("x-amz-trailer", "x-amz-checksum-crc32c");
  h.add("Authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=" +
            example.fields + ",Signature=" + example.seed);
  return head;
}

const std::string kBig(65'536, 'a');
const std::string kSmall(1'024, 'a');

std::string wire_of(const Example& e) {
  std::string out = "10000;chunk-signature=" + e.chunks[0] + "\r\n" + kBig + "\r\n";
  out += "400;chunk-signature=" + e.chunks[1] + "\r\n" + kSmall + "\r\n";
  out += "0;chunk-signature=" + e.chunks[2] + "\r\n";
  if (!e.trailer.empty())
    out += "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" + e.trailer + "\r\n";
  return out + "\r\n";
}

Result<JoinedBody> join(const Example& example, std::string_view wire) {
  OCTROI_TRY(const auto claim, read_signature(head_of(example)));
  OCTROI_CHECK(check_signature(*claim, example_secret(), crypto::sha256(as_bytes(wire)), kThen));
  ChunkSigner signer = chunk_signer(*claim, example_secret());
  return join_chunks(claim->chunks, signer, wire);
}

TEST(Sigv4Chunks, AreThoseThatS3Publishes) {
  const std::string wire = wire_of(kPlain);
  EXPECT_EQ(wire.size(), 66'824U);
  const auto joined = join(kPlain, wire);
  ASSERT_TRUE(joined) << joined.error().message();
  EXPECT_EQ(joined->body, std::string(66'560, 'a'));
  EXPECT_EQ(joined->checksum, "");
  const std::string with_trailer = wire_of(kWithTrailer);
  EXPECT_EQ(with_trailer.size(), 66'946U);
  const auto checked = join(kWithTrailer, with_trailer);
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->body, std::string(66'560, 'a'));
  EXPECT_EQ(checked->checksum, "sOO8/Q==");
}

/// `wire` with the first `from` as `to`.
std::string with(std::string wire, std::string_view from, std::string_view to) {
  const std::size_t at = wire.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return wire.replace(at, from.size(), to);
}

TEST(Sigv4Chunks, TakesTheTrailerAsSomeClientsEndIt) {
  EXPECT_TRUE(join(kWithTrailer, with(wire_of(kWithTrailer), "sOO8/Q==\r\n", "sOO8/Q==\n\r\n")));
}

TEST(Sigv4Chunks, AreOfTheirRequestAndInTheirOrder) {
  const auto refused = [](const Example& example, std::string_view wire) {
    const auto got = join(example, wire);
    return got ? std::string("taken") : got.error().is(Errc::no_key) ? "signature" : "unreadable";
  };
  const std::string good = wire_of(kPlain);
  EXPECT_EQ(refused(kPlain, with(good, "aaaa", "aaab")), "signature");
  EXPECT_EQ(refused(kPlain, with(good, "ad80c7", "ad80c8")), "signature");
  EXPECT_EQ(refused(kPlain, with(good, "b6c6ea", "b6c6eb")), "signature");
  const std::string good_trailer = wire_of(kWithTrailer);
  EXPECT_EQ(refused(kWithTrailer, with(good_trailer, "sOO8", "sOO9")), "signature");
  EXPECT_EQ(refused(kWithTrailer, with(good_trailer, "d81f82", "d81f83")), "signature");
  // Chunks of one request are no chunks of another.
  Example other = kPlain;
  other.chunks = kWithTrailer.chunks;
  EXPECT_EQ(refused(kPlain, wire_of(other)), "signature");
  std::swap(other.chunks[0], other.chunks[1]);
  EXPECT_EQ(refused(kPlain, wire_of(other)), "signature");
  // Without the second chunk, the end is not that of what is there.
  const std::string second = "400;chunk-signature=" + kPlain.chunks[1] + "\r\n" + kSmall + "\r\n";
  EXPECT_EQ(refused(kPlain, with(good, second, "")), "signature");
}

TEST(Sigv4Chunks, AreReadInOneWayOnly) {
  const std::string good = wire_of(kPlain);
  const std::string trailer = wire_of(kWithTrailer);
  const std::vector<std::pair<const Example*, std::string>> rows = {
      {&kPlain, ""},
      {&kPlain, good.substr(0, good.size() - 2)},
      {&kPlain, good.substr(0, 70'000 - 66'560)},
      {&kPlain, good + "\r\n"},
      {&kPlain, good + "0"},
      {&kPlain, with(good, "10000;", ";")},
      {&kPlain, with(good, "10000;", "0x10000;")},
      {&kPlain, with(good, "10000;", "-10000;")},
      {&kPlain, with(good, "10000;", "000010000;")},
      {&kPlain, with(good, "10000;", "ffffffff;")},
      {&kPlain, with(good, "10000;", "fffffffffffffffff;")},
      {&kPlain, with(good, "10000;", "10000 ;")},
      {&kPlain, with(good, "10000;", "10000;name=value;")},
      {&kPlain, with(good, ";chunk-signature=" + kPlain.chunks[0], "")},
      {&kPlain, with(good, kPlain.chunks[0] + "\r\n", kPlain.chunks[0] + "\n")},
      {&kPlain, with(good, "a\r\n400;", "a400;")},
      {&kPlain, trailer},
      {&kWithTrailer, with(trailer, "x-amz-checksum-crc32c:", "x-amz-checksum-crc32:")},
      {&kWithTrailer, with(trailer, "sOO8/Q==", "sOO8/Q=")},
      {&kWithTrailer, with(trailer, "sOO8/Q==", "")},
      {&kWithTrailer, with(trailer, "sOO8/Q==\r\n", "sOO8/Q==\n")},
      {&kWithTrailer, with(trailer, "x-amz-checksum-crc32c:sOO8/Q==\r\n", "")},
      {&kWithTrailer,
       with(trailer, "x-amz-trailer-signature:" + kWithTrailer.trailer + "\r\n", "")},
  };
  for (const auto& [example, wire] : rows) {
    const auto got = join(*example, wire);
    EXPECT_FALSE(got) << wire.substr(0, 30) << " of " << wire.size();
  }
}

Result<JoinedBody> join_unsigned(std::string_view wire, std::uint64_t length) {
  const Chunks chunks{Chunks::Is::unsigned_trailer, length, "x-amz-checksum-crc32"};
  ChunkSigner nobody(crypto::HmacSha256Key(as_bytes("nobody")), "", "", "");
  return join_chunks(chunks, nobody, wire);
}

TEST(Sigv4Chunks, MayBeUnsigned) {
  const auto joined = join_unsigned(
      "5\r\nhello\r\nA\r\n, you there\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 15);
  EXPECT_FALSE(joined);  // eleven bytes where ten are said
  const auto good = join_unsigned(
      "5\r\nhello\r\nA\r\n, you: all\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 15);
  ASSERT_TRUE(good) << good.error().message();
  EXPECT_EQ(good->body, "hello, you: all");
  EXPECT_EQ(good->checksum, "AAAAAA==");
  const auto empty = join_unsigned("0\r\nX-Amz-Checksum-Crc32:AAAAAA==\r\n\r\n", 0);
  ASSERT_TRUE(empty) << empty.error().message();
  EXPECT_EQ(empty->body, "");
  for (const char* bad :
       {"5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AA AA\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-acl:private\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\n\r\n\r\n",
        "5;chunk-signature=a\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"})
    EXPECT_FALSE(join_unsigned(bad, 5)) << bad;
  EXPECT_FALSE(join_unsigned("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 6));
}

struct Head {
  const char* name;
  std::string_view way;
  std::vector<std::pair<const char*, const char*>> fields;
  std::string service = "s3";
};
class Sigv4ChunkHeads : public ::testing::TestWithParam<Head> {};
TEST_P(Sigv4ChunkHeads, AreRefused) {
  http::Headers headers;
  for (const auto& [name, value] : GetParam().fields) headers.add(std::string(name), value);
  const auto got = read_chunk_fields(headers, GetParam().service, GetParam().way);
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::ambiguous) || got.error().is(Errc::unsupported_body));
}
const std::pair<const char*, const char*> kLength{"x-amz-decoded-content-length", "5"};
const std::pair<const char*, const char*> kCrc{"x-amz-trailer", "x-amz-checksum-crc32"};
INSTANTIATE_TEST_SUITE_P(
    All, Sigv4ChunkHeads,
    ::testing::Values(
        Head{"another_service", kSigned, {kLength}, "dynamodb"},
        Head{"another_way", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", {kLength}},
        Head{"events", "STREAMING-AWS4-HMAC-SHA256-EVENTS", {kLength}},
        Head{"no_length", kSigned, {}}, Head{"two_lengths", kSigned, {kLength, kLength}},
        Head{"a_sign", kSigned, {{"x-amz-decoded-content-length", "+5"}}},
        Head{"too_long", kSigned, {{"x-amz-decoded-content-length", "1234567890123456789"}}},
        Head{"another_coding", kSigned, {kLength, {"content-encoding", "gzip"}}},
        Head{"two_codings", kSigned, {kLength, {"content-encoding", "aws-chunked,gzip"}}},
        Head{"coded_twice",
             kSigned,
             {kLength, {"content-encoding", "aws-chunked"}, {"content-encoding", "aws-chunked"}}},
        Head{"trailer_not_in_the_way", kSigned, {kLength, kCrc}},
        Head{"no_trailer", kSignedTrailer, {kLength}},
        Head{"two_trailers", kUnsignedTrailer, {kLength, kCrc, kCrc}},
        Head{"list_of_trailers",
             kUnsignedTrailer,
             {kLength, {"x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1"}}},
        Head{"no_checksum", kUnsignedTrailer, {kLength, {"x-amz-trailer", "x-amz-acl"}}},
        Head{"of_its_kind", kUnsignedTrailer, {kLength, {"x-amz-trailer", "x-amz-checksum-type"}}},
        Head{"in_front_too",
             kUnsignedTrailer,
             {kLength, kCrc, {"X-Amz-Checksum-Crc32", "AAAAAA=="}}}),
    [](const auto& row) { return row.param.name; });

TEST(Sigv4Chunks, SayHowTheyCome) {
  http::Headers headers;
  EXPECT_EQ(read_chunk_fields(headers, "s3", "UNSIGNED-PAYLOAD")->is, Chunks::Is::none);
  headers.add("X-Amz-Decoded-Content-Length", "66560");
  headers.add("X-Amz-Trailer", "X-Amz-Checksum-SHA256");
  const auto got = read_chunk_fields(headers, "s3", kUnsignedTrailer);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->is, Chunks::Is::unsigned_trailer);
  EXPECT_EQ(got->length, 66'560U);
  EXPECT_EQ(got->trailer, "x-amz-checksum-sha256");
  headers.add("Content-Encoding", "aws-chunked");
  headers.add("Content-Type", "text/plain");
  remove_chunk_fields(headers);
  EXPECT_EQ(headers.count("content-type"), 1U);
  for (const char* gone : {"content-encoding", "x-amz-decoded-content-length", "x-amz-trailer"})
    EXPECT_FALSE(headers.has(gone)) << gone;
}

TEST(Sigv4Chunks, WhatIsSaidOfThemIsSigned) {
  const auto claim = read_signature(head_of(kWithTrailer));
  ASSERT_TRUE(claim && *claim);
  EXPECT_THAT((*claim)->canonical, HasSubstr("x-amz-trailer:x-amz-checksum-crc32c\n"));
  http::RequestHead longer = head_of(kWithTrailer);
  longer.headers.set("x-amz-decoded-content-length", "66561");
  const auto changed = read_signature(longer);
  ASSERT_TRUE(changed && *changed);
  EXPECT_FALSE(check_signature(**changed, example_secret(), {}, kThen));
}

}  // namespace
}  // namespace octroi::vault
