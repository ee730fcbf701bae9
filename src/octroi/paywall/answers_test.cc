#include "octroi/paywall/answers.h"

#include <gtest/gtest.h>

#include "octroi/json/value.h"
#include "octroi/mpp/binding.h"

namespace octroi::paywall {
namespace {

struct PrivateCase {
  const char* name;
  std::vector<const char*> before;
  const char* after;
};
class MakePrivate : public testing::TestWithParam<PrivateCase> {};

TEST_P(MakePrivate, KeepsWhatSharedCachesDoNotNeed) {
  http::Headers h;
  for (const char* line : GetParam().before) h.add("Cache-Control", line);
  make_private(h);
  std::string lines;
  for (auto line : h.all("Cache-Control")) lines += std::string(line) + "|";
  EXPECT_EQ(lines, std::string(GetParam().after) + "|");
}

INSTANTIATE_TEST_SUITE_P(
    Answers, MakePrivate,
    testing::Values(PrivateCase{"Nothing", {}, "private"},
                    PrivateCase{"MaxAge", {"max-age=60"}, "max-age=60, private"},
                    PrivateCase{"Public", {"public, max-age=60"}, "max-age=60, private"},
                    PrivateCase{"PublicInCapitals", {"PUBLIC"}, "private"},
                    PrivateCase{"Already", {"private, max-age=60"}, "private, max-age=60"},
                    PrivateCase{"Contradiction", {"public, private"}, "private"},
                    PrivateCase{"NoStore", {"no-store"}, "no-store"},
                    PrivateCase{"TwoLines", {"max-age=1", "public"}, "max-age=1, private"},
                    PrivateCase{
                        "FieldList", {"no-cache=\"a, b\", public"}, "no-cache=\"a, b\", private"},
                    PrivateCase{"PrivateForSomeFieldsOnly",
                                {"private=\"Set-Cookie\", max-age=9"},
                                "private=\"Set-Cookie\", max-age=9, private"}),
    [](const auto& i) { return i.param.name; });

TEST(Answers, RetryAfterIsWholeSecondsRoundedUp) {
  EXPECT_EQ(retry_after_seconds(Millis(0)), "1");
  EXPECT_EQ(retry_after_seconds(Millis(1)), "1");
  EXPECT_EQ(retry_after_seconds(Millis(1000)), "1");
  EXPECT_EQ(retry_after_seconds(Millis(1001)), "2");
  EXPECT_EQ(retry_after_seconds(Millis(900'000)), "900");
}

TEST(Answers, ProblemDocuments) {
  const auto plain = json::parse(to_json(Complaint{404, "no \"such\" thing"}));
  ASSERT_TRUE(plain);
  EXPECT_EQ(*plain->root().string("type"), "about:blank");
  EXPECT_EQ(*plain->root().string("title"), "Not Found");
  EXPECT_EQ(*plain->root().int64("status"), 404);
  EXPECT_EQ(*plain->root().string("detail"), "no \"such\" thing");
  const auto c = complaint({mpp::ProblemType::internal_payment_error, "later"}, 503);
  const auto payment = json::parse(to_json(c));
  ASSERT_TRUE(payment);
  EXPECT_EQ(*payment->root().string("type"),
            std::string(mpp::kProblemBase) + "internal-payment-error");
  EXPECT_EQ(*payment->root().int64("status"), 503);
}

TEST(Answers, WhatIsKeptOfAnAnswer) {
  for (const char* name : {"content-type", "ETag", "Last-Modified", "LOCATION", "Cache-Control",
                           "Content-Encoding", "Content-Language", "grpc-status", "grpc-message",
                           "grpc-status-details-bin", "grpc-encoding"}) {
    EXPECT_TRUE(is_kept_field(name)) << name;
  }
  for (const char* name : {"Set-Cookie", "Payment-Receipt", "WWW-Authenticate", "X-Request-Id",
                           "Content-Length", "Transfer-Encoding", "Date"}) {
    EXPECT_FALSE(is_kept_field(name)) << name;
  }
}

struct TargetCase {
  const char* name;
  const char* raw;
  const char* target;
  const char* base = "";
  const char* strip = nullptr;
  const char* prefix = nullptr;
};
class Target : public testing::TestWithParam<TargetCase> {};

TEST_P(Target, IsReadByTheUpstreamAsItWasJudged) {
  const auto& c = GetParam();
  ServiceSettings s;
  s.upstream.base_path = c.base;
  if (c.strip != nullptr) s.rewrite_strip = c.strip;
  if (c.prefix != nullptr) s.rewrite_prefix = c.prefix;
  const std::string_view raw = c.raw;
  const auto judged = mpp::normalise_path(raw.substr(0, raw.find('?')));
  ASSERT_TRUE(judged) << c.raw;
  EXPECT_EQ(upstream_target(s, raw, *judged), c.target);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, Target,
    testing::Values(
        TargetCase{"AsItIs", "/v1/a?b=c%20d&e", "/v1/a?b=c%20d&e"},
        TargetCase{"HarmlessEscapesAreKept", "/caf%c3%a9/a%20b", "/caf%c3%a9/a%20b"},
        TargetCase{"EmptyQuery", "/a?", "/a?"},
        TargetCase{"QueryWithDots", "/a?x=/../b", "/a?x=/../b"},
        TargetCase{"DotSegments", "/a/../b/./c", "/b/c"},
        TargetCase{"EncodedDots", "/a/%2e%2E/b", "/b"},
        TargetCase{"HalfEncodedDots", "/a/.%2e/b?q", "/b?q"},
        TargetCase{"EmptySegments", "//a///b", "/a/b"},
        TargetCase{"EncodedSlashIsASlash", "/a%2Fb", "/a/b"},
        TargetCase{"EncodedSlashWithSpace", "/a%2fb%20c", "/a/b%20c"},
        TargetCase{"DottedNamesAreEncodedAnew", "/.well-known/x%20y", "/.well-known/x%20y"},
        TargetCase{"EncodedPercent", "/a%252e%252e/b", "/a%252e%252e/b"},
        TargetCase{"EncodedPercentWithDots", "/x/../a%252e/b", "/a%252e/b"},
        TargetCase{"Base", "/a", "/base/a", "/base"},
        TargetCase{"Strip", "/api/v1/x?y", "/v1/x?y", "", "/api"},
        TargetCase{"StripWhole", "/api", "/", "", "/api"},
        TargetCase{"StripWithSlash", "/api/x", "/x", "", "/api/"},
        TargetCase{"StripOfSomethingElse", "/other/x", "/other/x", "", "/api"},
        TargetCase{"Prefix", "/x", "/internal/x", "", nullptr, "/internal"},
        TargetCase{"AllOfThem", "/api/x?y", "/base/v2/x?y", "/base", "/api", "/v2"},
        // Judged as /api/x, so stripped as /api/x: otherwise another resource would be sold.
        TargetCase{"StripOfAnEncodedBeginning", "/%61pi/x?y", "/x?y", "", "/api"}),
    [](const auto& i) { return i.param.name; });

/// However a path is written, what the upstream is sent normalises to what was judged.
TEST(Answers, SpellingsOfOnePathLeadToOneResource) {
  const std::vector<std::string> pieces = {"/",   "a",   "b",    ".",      "..",  "%2e", "%2F",
                                           "%61", "%20", "%25",  "%2e%2e", "//",  "/./", "/../",
                                           "%3F", "%23", "\xC3", ";",      "%5c", "+",   "%00"};
  std::uint64_t state = 42;
  const auto next = [&state] {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return state >> 33;
  };
  int judged_count = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string raw = "/";
    for (auto n = next() % 7; n-- > 0;) raw += pieces[next() % pieces.size()];
    const auto judged = mpp::normalise_path(raw);
    if (!judged) continue;
    ++judged_count;
    ServiceSettings s;
    const auto sent = upstream_target(s, raw + "?q", *judged);
    ASSERT_TRUE(sent.ends_with("?q")) << raw;
    const auto again = mpp::normalise_path(sent.substr(0, sent.size() - 2));
    ASSERT_TRUE(again) << raw << " -> " << sent;
    ASSERT_EQ(*again, *judged) << raw << " -> " << sent;
  }
  EXPECT_GT(judged_count, 10'000);
}

}  // namespace
}  // namespace octroi::paywall
