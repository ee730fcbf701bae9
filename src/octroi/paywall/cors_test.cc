#include "octroi/paywall/cors.h"

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

http::RequestHead preflight(std::string origin = "https://app.example") {
  http::RequestHead r;
  r.method = "OPTIONS";
  r.headers.add("Origin", origin);
  r.headers.add("Access-Control-Request-Method", "POST");
  return r;
}
std::string value(const http::Headers& h, std::string_view name) {
  return std::string(h.get(name).value_or(""));
}

TEST(Cors, WhatAPreflightIs) {
  EXPECT_TRUE(is_preflight(preflight()));
  auto r = preflight();
  r.method = "GET";
  EXPECT_FALSE(is_preflight(r));
  r = preflight();
  r.headers.remove("Origin");
  EXPECT_FALSE(is_preflight(r));
  r = preflight();
  r.headers.remove("Access-Control-Request-Method");
  EXPECT_FALSE(is_preflight(r));
}

TEST(Cors, PreflightLetsBrowsersPay) {
  const auto head = preflight_answer({}, preflight());
  EXPECT_EQ(head.status, 204);
  EXPECT_EQ(value(head.headers, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(value(head.headers, "Access-Control-Max-Age"), "600");
  for (const char* name : {"Authorization", "Payment-Authorization", "Payment-Receipt",
                           "Accept-Payment", "Idempotency-Key"}) {
    EXPECT_TRUE(head.headers.has_token("Access-Control-Allow-Headers", name)) << name;
  }
  EXPECT_FALSE(head.headers.has("Access-Control-Allow-Credentials"));
  EXPECT_FALSE(head.headers.has("Vary"));
}

TEST(Cors, ListedOriginsOnly) {
  CorsPolicy policy;
  policy.origins = {"https://app.example", "https://other.example"};
  auto head = preflight_answer(policy, preflight());
  EXPECT_EQ(head.status, 204);
  EXPECT_EQ(value(head.headers, "Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(value(head.headers, "Vary"), "Origin");
  for (const char* origin : {"https://evil.example", "https://app.example.evil", "null",
                             "http://app.example", "https://app.example:8443"}) {
    head = preflight_answer(policy, preflight(origin));
    EXPECT_EQ(head.status, 403) << origin;
    EXPECT_FALSE(head.headers.has("Access-Control-Allow-Origin")) << origin;
    http::Headers answer;
    add_cors(policy, exposed_list(policy), preflight(origin).headers, answer);
    EXPECT_FALSE(answer.has("Access-Control-Allow-Origin")) << origin;
    // A cache must not give this answer to a listed origin.
    EXPECT_TRUE(answer.has_token("Vary", "Origin")) << origin;
  }
}

TEST(Cors, CredentialsNeedAnOriginByName) {
  CorsPolicy policy;
  policy.credentials = true;
  const auto head = preflight_answer(policy, preflight());
  EXPECT_EQ(value(head.headers, "Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(value(head.headers, "Access-Control-Allow-Credentials"), "true");
  http::Headers answer;
  add_cors(policy, exposed_list(policy), {}, answer);  // no Origin: not a browser of another site
  EXPECT_FALSE(answer.has("Access-Control-Allow-Origin"));
}

TEST(Cors, AnUpstreamsOwnFieldsAreMergedNotDoubled) {
  http::Headers answer;
  answer.add("Access-Control-Allow-Origin", "https://app.example");
  answer.add("Access-Control-Expose-Headers", "ETag, payment-receipt");
  answer.add("Access-Control-Expose-Headers", "X-Own");
  answer.add("Vary", "Accept-Encoding");
  add_cors({}, exposed_list({}), preflight().headers, answer);
  EXPECT_EQ(answer.count("Access-Control-Allow-Origin"), 1U);
  EXPECT_EQ(answer.count("Access-Control-Expose-Headers"), 1U);
  EXPECT_EQ(
      value(answer, "Access-Control-Expose-Headers"),
      "ETag, payment-receipt, X-Own, WWW-Authenticate, X-Request-Id, Retry-After, L402-Balance");
  EXPECT_EQ(value(answer, "Vary"), "Accept-Encoding");
}

TEST(Cors, OffTouchesNothing) {
  CorsPolicy policy;
  policy.enabled = false;
  http::Headers answer;
  add_cors(policy, exposed_list(policy), preflight().headers, answer);
  EXPECT_TRUE(answer.empty());
}

}  // namespace
}  // namespace octroi::paywall
