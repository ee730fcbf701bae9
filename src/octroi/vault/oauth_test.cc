#include "octroi/vault/oauth.h"

#include <gmock/gmock.h>

#include "octroi/json/value.h"
#include "octroi/vault/form.h"

namespace octroi::vault {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The key of RFC 7515 appendix A.3.
constexpr std::string_view kPem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
    "-----END PRIVATE KEY-----\n";

TEST(ReadToken, Answers) {
  struct Row {
    const char* name;
    int status;
    std::string body;
    const char* token;  // null: it is none
    Millis lifetime;    // or
    std::string says;   // a part of the error
    Errc code = Errc::upstream_failed;
  };
  const Row rows[] = {
      {"as the RFC shows it",
       200,
       R"({"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600})",
       nullptr,
       {},
       "token_type"},
      {"bearer", 200, R"({"access_token":"abc","token_type":"Bearer","expires_in":3600,"x":1})",
       "abc", Seconds(3600), ""},
      {"any case", 201, R"({"access_token":"abc","token_type":"bEARER","expires_in":0})", "abc",
       Seconds(0), ""},
      {"without a type", 200, R"({"access_token":"abc"})", "abc", Seconds(300), ""},
      {"null is unsaid", 200, R"({"access_token":"abc","expires_in":null})", "abc", Seconds(300),
       ""},
      {"digits as text", 200, R"({"access_token":"abc","expires_in":"3599"})", "abc", Seconds(3599),
       ""},
      {"a real", 200, R"({"access_token":"abc","expires_in":3600.0})", "abc", Seconds(3600), ""},
      {"over before", 200, R"({"access_token":"abc","expires_in":-5})", "abc", Seconds(0), ""},
      {"for ever", 200, R"({"access_token":"abc","expires_in":9223372036854775807})", "abc",
       Seconds(365 * 86'400), ""},
      {"no number",
       200,
       R"({"access_token":"abc","expires_in":"soon"})",
       nullptr,
       {},
       "expires_in"},
      {"no token", 200, R"({"token_type":"Bearer"})", nullptr, {}, "no access_token"},
      {"an empty one", 200, R"({"access_token":""})", nullptr, {}, "that is none"},
      {"a line break", 200, R"({"access_token":"a\nb"})", nullptr, {}, "that is none"},
      {"a space", 200, R"({"access_token":"a b"})", nullptr, {}, "that is none"},
      {"not ASCII", 200, R"({"access_token":"a\u00e9"})", nullptr, {}, "that is none"},
      {"too long",
       200,
       R"({"access_token":")" + std::string(20'000, 'a') + R"("})",
       nullptr,
       {},
       "that is none"},
      {"a number", 200, R"({"access_token":5})", nullptr, {}, "no access_token"},
      {"two tokens", 200, R"({"access_token":"a","access_token":"b"})", nullptr, {}, "no JSON"},
      {"a list", 200, R"(["abc"])", nullptr, {}, "no JSON object"},
      {"a page", 200, "<html>", nullptr, {}, "no JSON object"},
      {"a proof of possession",
       200,
       R"({"access_token":"abc","token_type":"DPoP"})",
       nullptr,
       {},
       "token_type"},
      {"a redirect", 302, R"({"access_token":"abc"})", nullptr, {}, "302", Errc::token_refused},
      {"refused",
       401,
       R"({"error":"invalid_client","error_description":"S3cret"})",
       nullptr,
       {},
       "401 (invalid_client)",
       Errc::token_refused},
      {"a word that is not registered",
       400,
       R"({"error":"hunter2hunter2"})",
       nullptr,
       {},
       "400 (another error)",
       Errc::token_refused},
      {"in trouble",
       400,
       R"({"error":"temporarily_unavailable"})",
       nullptr,
       {},
       "(temporarily_unavailable)"},
      {"too many", 429, "", nullptr, {}, "429"},
      {"broken", 503, "", nullptr, {}, "503"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto got = read_token(row.status, row.body);
    if (row.token != nullptr) {
      ASSERT_TRUE(got) << got.error().message();
      EXPECT_TRUE(got->text.equals(row.token));
      EXPECT_EQ(got->lifetime, row.lifetime);
      continue;
    }
    ASSERT_FALSE(got);
    EXPECT_THAT(std::string(got.error().message()), HasSubstr(row.says));
    EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("S3cret")));
    EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("hunter2")));
    EXPECT_TRUE(got.error().is(row.code));
  }
}

TEST(BadToken, WhatVendorsSay) {
  struct Row {
    const char* name;
    const char* challenge;  // null: none
    const char* body;
    bool bad;
  };
  const Row rows[] = {
      {"RFC 6750 section 3",
       R"(Bearer realm="example", error="invalid_token", error_description="The access token expired")",
       "", true},
      {"unquoted", "bearer error=invalid_token", "", true},
      {"with spaces", R"(Bearer error = "invalid_token")", "", true},
      {"scope is missing", R"(Bearer realm="example", error="insufficient_scope")", "", false},
      {"only described", R"(Bearer error_description="invalid_token")", "", false},
      {"no error", R"(Bearer realm="example")", "", false},
      {"another scheme", R"(Basic realm="x", error="invalid_token")", "", false},
      {"in the body", nullptr, R"({"error":"invalid_token"})", true},
      {"as a code", nullptr, R"({"error":{"code":"token_expired","message":"x"}})", true},
      {"in a list", nullptr, R"([{"errorCode":"INVALID_SESSION_ID"}])", true},
      {"a message is no code", nullptr, R"({"message":"invalid_token"})", false},
      {"another error", nullptr, R"({"error":"invalid_api_key"})", false},
      {"no JSON", nullptr, "invalid_token", false},
      {"nothing", nullptr, "", false},
  };
  for (const Row& row : rows) {
    http::Headers headers;
    if (row.challenge != nullptr) headers.add("WWW-Authenticate", row.challenge);
    EXPECT_EQ(says_token_is_bad(headers, row.body), row.bad) << row.name;
  }
}

OauthSettings endpoint() {
  OauthSettings s;
  s.scheme = "https";
  s.host = "login.example";
  s.port = 443;
  s.target = "/token";
  return s;
}

TEST(TokenGrant, ShowsTheClientInAHeader) {
  // RFC 6749 section 2.3.1: encoded as in a form before it is Basic.
  OauthSettings s = endpoint();
  s.client_id = "s6Bhd RkqT3";
  s.scope = "read write";
  s.audience = "https://api.example";
  const TokenGrant grant(s);
  const auto request = grant.request(Secret("gX1f:BaT3bV%"), {0}, "id");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->url.str(), "https://login.example/token");
  EXPECT_EQ(request->headers.get("authorization"),
            "Basic " + to_base64(as_bytes("s6Bhd+RkqT3:gX1f%3ABaT3bV%25")));
  EXPECT_EQ(request->body,
            "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example&scope=read+write");
}

TEST(TokenGrant, ShowsTheClientInTheForm) {
  OauthSettings s = endpoint();
  s.client_auth = "post";
  const TokenGrant grant(s);
  const auto request = grant.request(Secret("me:se:cret&1"), {0}, "id");
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->headers.has("authorization"));
  EXPECT_EQ(request->body,
            "grant_type=client_credentials&client_id=me&client_secret=se%3Acret%261");
  EXPECT_TRUE(grant.spellings(Secret("me:se:cret&1")).at(0).equals("se:cret&1"));
}

TEST(TokenGrant, ChecksWhatIsStored) {
  struct Row {
    const char* name;
    const char* grant;
    const char* client_id;
    const char* algorithm;
    std::string secret;
    const char* says;  // empty: it is good
  };
  const Row rows[] = {
      {"a secret", "client_credentials", "me", "RS256", "12345678", ""},
      {"id and secret", "client_credentials", "", "RS256", "me:12345678", ""},
      {"no id", "client_credentials", "", "RS256", "12345678", "ID:SECRET"},
      {"an empty id", "client_credentials", "", "RS256", ":12345678", "ID:SECRET"},
      {"too short", "client_credentials", "me", "RS256", "1234567", "too short"},
      {"two lines", "client_credentials", "me", "RS256", "12345678\n9", "one line"},
      {"a key", "jwt_bearer", "", "ES256", std::string(kPem), ""},
      {"a key of another kind", "jwt_bearer", "", "RS256", std::string(kPem), "RS256"},
      {"no key", "jwt_bearer", "", "ES256", "12345678", "private key as PEM"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    OauthSettings s = endpoint();
    s.grant = row.grant;
    s.client_id = row.client_id;
    s.algorithm = row.algorithm;
    const auto good = TokenGrant(s).check_credential(Secret(row.secret));
    EXPECT_EQ(good.has_value(), std::string_view(row.says).empty());
    if (!good) EXPECT_THAT(std::string(good.error().message()), HasSubstr(row.says));
    if (!good) EXPECT_THAT(std::string(good.error().message()), Not(HasSubstr("12345678")));
  }
}

TEST(TokenGrant, SignsAnAssertion) {
  OauthSettings s = endpoint();
  s.grant = "jwt_bearer";
  s.algorithm = "ES256";
  s.issuer = "robot@example";
  s.key_id = "k1";
  s.scope = "all";
  s.lifetime = Seconds(60);
  const TokenGrant grant(s);
  const Secret pem{kPem};
  const auto request = grant.request(pem, {1'700'000'000'500}, "j1");
  ASSERT_TRUE(request) << request.error().message();
  const auto form = Form::parse(request->body);
  ASSERT_TRUE(form);
  EXPECT_EQ(*form->value("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
  EXPECT_EQ(*form->value("scope"), "all");
  const std::string token(form->value("assertion")->value());
  const auto parts = crypto::split_jws(token);
  ASSERT_TRUE(parts);
  EXPECT_EQ(as_text(parts->header), R"({"alg":"ES256","typ":"JWT","kid":"k1"})");
  EXPECT_EQ(as_text(parts->payload),
            R"({"iss":"robot@example","sub":"robot@example","aud":"https://login.example/token",)"
            R"("iat":1700000000,"exp":1700000060,"jti":"j1","scope":"all"})");
  const auto key =
      crypto::JwsKey::p256(*from_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                           *from_base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->verify(crypto::JwsAlgorithm::es256, parts->signing_input, parts->signature));
  // However its lines are broken, the key is found by what they hold.
  const auto spelt = grant.spellings(pem);
  ASSERT_EQ(spelt.size(), 1U);
  EXPECT_THAT(to_base64(spelt[0].reveal()), StartsWith("MIGHAgEAMBMGByqGSM49"));
}

TEST(TokenGrant, IsOneWithItsCredential) {
  OauthSettings s = endpoint();
  s.client_id = "me";
  const std::string mine = TokenGrant(s).identity(Secret("12345678"));
  EXPECT_EQ(mine, TokenGrant(s).identity(Secret("12345678")));
  EXPECT_NE(mine, TokenGrant(s).identity(Secret("12345679")));
  s.scope = "more";
  EXPECT_NE(mine, TokenGrant(s).identity(Secret("12345678")));
}

}  // namespace
}  // namespace octroi::vault
