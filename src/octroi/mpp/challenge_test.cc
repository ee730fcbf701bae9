#include "octroi/mpp/challenge.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/json/writer.h"

namespace octroi::mpp {
namespace {

const std::string kRequest = "eyJhbW91bnQiOiIxMDAifQ";  // {"amount":"100"}

Challenge sample() {
  Challenge c;
  c.id = "x7Tg2pLqR9mKvNwY3hBcZa";
  c.realm = "api.example.com";
  c.method = "lightning";
  c.intent = "charge";
  c.request = kRequest;
  return c;
}
Challenge full_sample() {
  Challenge c = sample();
  c.expires = "2026-03-15T12:05:00Z";
  c.digest = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
  c.description = "a \"quoted\" \\ thing, café";
  c.opaque = "eyJvcmRlcklkIjoiMTIzIn0";
  c.header = "Payment-Authorization";
  return c;
}

Result<std::vector<Challenge>> parse(std::vector<std::string_view> values) {
  return parse_challenges(values);
}

// rule: MPP-11
TEST(Challenge, FormatStartsWithTheId) {
  EXPECT_EQ(
      format_challenge(sample()).value(),
      "Payment id=\"x7Tg2pLqR9mKvNwY3hBcZa\", realm=\"api.example.com\", method=\"lightning\", "
      "intent=\"charge\", request=\"eyJhbW91bnQiOiIxMDAifQ\"");
}

TEST(Challenge, ComesBackAsItWasWritten) {
  for (const Challenge& c : {sample(), full_sample()}) {
    const std::string text = format_challenge(c).value();
    EXPECT_EQ(parse({text}).value(), std::vector<Challenge>{c});
  }
}

// rule: MPP-12 MPP-13 MPP-14
TEST(Challenge, FormatRefusesWhatMayNotBeSent) {
  const auto refused = [](auto change) {
    Challenge c = full_sample();
    change(c);
    const auto text = format_challenge(c);
    return !text && text.error().is(Errc::malformed_challenge);
  };
  EXPECT_TRUE(refused([](Challenge& c) { c.id.clear(); }));
  EXPECT_TRUE(refused([](Challenge& c) { c.method = "Lightning"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.method = ""; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.intent = "a b"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.request = ""; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.request = "a+b"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.opaque = "{}"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.expires = "tomorrow"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.header = "Authorization"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.realm = "a\r\nSet-Cookie: b"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.description = "a\nb"; }));
  EXPECT_TRUE(refused([](Challenge& c) { c.description = std::string(1, '\0'); }));
  EXPECT_TRUE(refused([](Challenge& c) { c.realm = "\xFF"; }));
}

struct Skip {
  const char* name;
  std::string value;
};
class SkippedChallenge : public testing::TestWithParam<Skip> {};

/// Alone it is an error; beside a good one it is passed over.
TEST_P(SkippedChallenge, IsPassedOver) {
  const auto alone = parse({GetParam().value});
  ASSERT_FALSE(alone.has_value());
  EXPECT_TRUE(alone.error().is(Errc::no_challenge));
  const std::string good = format_challenge(sample()).value();
  EXPECT_EQ(parse({GetParam().value, good}).value(), std::vector<Challenge>{sample()});
  EXPECT_EQ(parse({good + ", " + GetParam().value}).value(), std::vector<Challenge>{sample()});
}

std::string with(std::string_view params) {
  return fmt::format("Payment id=\"i\", realm=\"r\", method=\"lightning\", intent=\"charge\", {}",
                     params);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SkippedChallenge,
    testing::Values(
        Skip{"no_parameters", "Payment"},
        Skip{"no_id", "Payment realm=\"r\", method=\"a\", intent=\"b\", request=\"e30\""},
        Skip{"empty_id",
             "Payment id=\"\", realm=\"r\", method=\"a\", intent=\"b\", request=\"e30\""},
        Skip{"no_realm", "Payment id=\"i\", method=\"a\", intent=\"b\", request=\"e30\""},
        Skip{"no_method", "Payment id=\"i\", realm=\"r\", intent=\"b\", request=\"e30\""},
        Skip{"no_intent", "Payment id=\"i\", realm=\"r\", method=\"a\", request=\"e30\""},
        Skip{"no_request", "Payment id=\"i\", realm=\"r\", method=\"a\", intent=\"b\""},
        Skip{"upper_case_method",
             "Payment id=\"i\", realm=\"r\", method=\"A\", intent=\"b\", request=\"e30\""},
        Skip{"repeated_parameter", with("request=\"e30\", request=\"e30\"")},
        Skip{"repeated_id", with("request=\"e30\", id=\"j\"")},
        Skip{"request_not_base64url", with("request=\"a+b/\"")},
        Skip{"request_with_stray_bits", with("request=\"e31\"")},
        Skip{"request_not_json", with("request=\"YWJj\"")},
        Skip{"request_not_an_object", with("request=\"W10\"")},
        Skip{"request_with_duplicate_keys",
             with("request=\"" + to_base64url(as_bytes(R"({"a":1,"a":2})")) + "\"")},
        Skip{"other_header", with("request=\"e30\", header=\"Authorization\"")},
        Skip{"empty_header", with("request=\"e30\", header=\"\"")},
        Skip{"bad_expires", with("request=\"e30\", expires=\"soon\"")},
        Skip{"unescaped_quotes_before_other_parameters",
             with(R"(description="a "b" c", request="e30")")}),
    [](const auto& info) { return info.param.name; });

TEST(Challenge, UnterminatedStringSpoilsOnlyItsOwnLine) {
  const std::string good = format_challenge(sample()).value();
  const std::string bad = with("request=\"e30");
  EXPECT_EQ(parse({bad, good}).value(), std::vector<Challenge>{sample()});
  EXPECT_EQ(parse({good + ", " + bad}).value(), std::vector<Challenge>{sample()});
  EXPECT_TRUE(parse({bad + ", " + good}).error().is(Errc::no_challenge));
}

TEST(Challenge, UnescapedQuotesAtTheEndCutTheDescription) {
  const auto parsed = parse({with(R"(request="e30", description="Say "hello" now")")});
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->front().description, "Say ");
  EXPECT_FALSE(parse({with(R"(description="x", request="e30"x")")}).has_value());
}

TEST(Challenge, UnknownParametersAreIgnored) {
  EXPECT_TRUE(parse({with(R"(request="e30", x-new="1", other=2)")}).has_value());
}

TEST(Challenge, SchemeAndNamesAreWithoutCase) {
  const auto parsed =
      parse({R"(pAYMENT Id="i", REALM="r", method="lightning", intent="charge", request="e30")"});
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->front().realm, "r");
}

TEST(Challenge, UnquotedValuesAreUnderstood) {
  EXPECT_EQ(
      parse({"Payment id=i,realm=r,method=lightning,intent=charge,request=e30"}).value().front().id,
      "i");
}

TEST(Challenge, TheInteroperationShapes) {
  const std::string charge = format_challenge(sample()).value();
  Challenge session = sample();
  session.id = "second";
  session.intent = "session";
  const std::string second = format_challenge(session).value();
  const std::string l402 =
      "L402 macaroon=\"AGIAJE==\", invoice=\"lnbc1\", version=\"0\", token=\"AGIAJE==\"";
  const std::vector<Challenge> both = {sample(), session};
  EXPECT_EQ(parse({charge, second}).value(), both) << "two lines";
  EXPECT_EQ(parse({charge + ", " + second}).value(), both) << "folded in one line";
  EXPECT_EQ(parse({l402, charge, second}).value(), both) << "L402 first";
  EXPECT_EQ(parse({charge, l402, second}).value(), both) << "L402 between";
  EXPECT_EQ(parse({l402 + ", " + charge + ", " + second}).value(), both) << "all in one";
  EXPECT_TRUE(parse({l402}).error().is(Errc::no_challenge)) << "no Payment at all";
}

TEST(Challenge, DescriptionInAnotherEncodingIsDropped) {
  const auto parsed = parse({with("request=\"e30\", description=\"caf\xE9\"")});
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->front().description, std::nullopt);
}

}  // namespace
}  // namespace octroi::mpp
