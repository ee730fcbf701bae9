#include "octroi/vault/sigv4.h"

#include <gmock/gmock.h>

#include "octroi/base/bytes.h"

namespace octroi::vault {
namespace {

// The key, date and host of the vectors that AWS publishes for Signature Version 4.
constexpr std::string_view kId = "AKIDEXAMPLE";
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const UnixMillis kNow = *from_rfc3339("2015-08-30T12:36:00Z");

http::RequestHead request(std::string method, std::string target) {
  http::RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  head.authority = "example.amazonaws.com";
  head.headers.add("X-Amz-Date", "20150830T123600Z");
  return head;
}

void put(http::RequestHead& head, std::string_view fields, std::string_view signature,
         std::string_view service = "service") {
  head.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=" + std::string(kId) +
                                        "/20150830/us-east-1/" + std::string(service) +
                                        "/aws4_request, SignedHeaders=" + std::string(fields) +
                                        ", Signature=" + std::string(signature));
}

Result<> check(const http::RequestHead& head, std::string_view body = "", UnixMillis now = kNow,
               std::string_view secret = kSecret) {
  OCTROI_TRY(const auto claim, read_signature(head));
  if (!claim) return fail(Errc::no_key);
  return check_signature(*claim, Secret(secret), crypto::sha256(as_bytes(body)), now);
}

struct Vector {
  const char* name;
  const char* method;
  const char* target;
  const char* fields;
  const char* signature;
};
class Sigv4Vectors : public ::testing::TestWithParam<Vector> {};
TEST_P(Sigv4Vectors, AreVerified) {
  http::RequestHead head = request(GetParam().method, GetParam().target);
  put(head, GetParam().fields, GetParam().signature);
  const auto good = check(head);
  EXPECT_TRUE(good) << good.error().message();
  EXPECT_FALSE(check(head, "x"));
  EXPECT_FALSE(check(head, "", kNow, "another secret"));
  head.method = "DELETE";
  EXPECT_FALSE(check(head));
}
// Source: aws-sig-v4-test-suite.
INSTANTIATE_TEST_SUITE_P(
    All, Sigv4Vectors,
    ::testing::Values(Vector{"get_vanilla", "GET", "/", "host;x-amz-date",
                             "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
                      Vector{"get_vanilla_query_order_key_case", "GET",
                             "/?Param2=value2&Param1=value1", "host;x-amz-date",
                             "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
                      Vector{"post_vanilla", "POST", "/", "host;x-amz-date",
                             "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
                      Vector{"post_vanilla_query", "POST", "/?Param1=value1", "host;x-amz-date",
                             "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"}),
    [](const auto& row) { return row.param.name; });

http::RequestHead signed_request(std::string_view body, std::string_view service = "dynamodb") {
  http::RequestHead head;
  head.method = "POST";
  head.target = "/a%20b/%7Ec?z=1&a=%C3%A4&a=%20";
  head.authority = "localhost:8403";
  head.headers.add("X-Amz-Target", "DynamoDB_20120810.PutItem");
  head.headers.add("Content-Type", "application/x-amz-json-1.0");
  const Secret secret(kSecret);
  sign_request(head, head.authority, crypto::sha256(as_bytes(body)), {kId, secret}, "eu-west-1",
               service, kNow);
  return head;
}

TEST(Sigv4, VerifiesWhatItSigns) {
  for (const char* service : {"dynamodb", "s3"}) {
    const auto head = signed_request("{}", service);
    const auto good = check(head, "{}");
    EXPECT_TRUE(good) << good.error().message();
    const auto claim = read_signature(head);
    ASSERT_TRUE(claim && *claim);
    EXPECT_EQ((*claim)->key_name, kId);
    EXPECT_EQ((*claim)->region, "eu-west-1");
    EXPECT_EQ((*claim)->service, service);
  }
}

TEST(Sigv4, RefusesWhatWasChanged) {
  const auto refused = [](auto change, std::string_view body = "{}") {
    http::RequestHead head = signed_request("{}");
    change(head);
    return !check(head, body);
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto&) {}, "{ }"));
  EXPECT_TRUE(refused([](auto& h) { h.method = "PUT"; }));
  EXPECT_TRUE(refused([](auto& h) { h.target = "/a%20b/%7Ed?z=1&a=%C3%A4&a=%20"; }));
  EXPECT_TRUE(refused([](auto& h) { h.target += "&b=1"; }));
  EXPECT_TRUE(refused([](auto& h) { h.authority = "localhost:8404"; }));
  EXPECT_TRUE(refused([](auto& h) { h.headers.set("X-Amz-Target", "X.DeleteTable"); }));
  EXPECT_TRUE(refused([](auto& h) { h.headers.add("X-Amz-Target", "X.DeleteTable"); }));
  EXPECT_TRUE(refused([](auto& h) { h.headers.add("X-Amz-Acl", "public-read"); }));
  EXPECT_TRUE(refused([](auto& h) { h.headers.set("X-Amz-Date", "20150830T123601Z"); }));
  // What is not signed and the service does not act on may change; the order of a query may, too.
  EXPECT_FALSE(refused([](auto& h) { h.headers.add("User-Agent", "x"); }));
  EXPECT_FALSE(refused([](auto& h) { h.target = "/a%20b/~c?a=%20&a=%C3%A4&z=1"; }));
}

TEST(Sigv4, TakesAnUnsignedBody) {
  http::RequestHead head = request("PUT", "/bucket/key");
  head.headers.set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  put(head, "host;x-amz-content-sha256;x-amz-date", std::string(64, 'a'), "s3");
  const auto claim = read_signature(head);
  ASSERT_TRUE(claim && *claim);
  EXPECT_EQ((*claim)->body_hash, "UNSIGNED-PAYLOAD");
  EXPECT_EQ((*claim)->chunks.is, Chunks::Is::none);
}

TEST(Sigv4, IsOfNow) {
  const auto head = signed_request("{}");
  EXPECT_TRUE(check(head, "{}", kNow + std::chrono::minutes(5)));
  EXPECT_FALSE(check(head, "{}", kNow + std::chrono::minutes(5) + Millis(1)));
  EXPECT_TRUE(check(head, "{}", kNow - std::chrono::minutes(5)));
  EXPECT_FALSE(check(head, "{}", kNow - std::chrono::minutes(6)));
}

TEST(Sigv4, RefusesOtherKindsOfCredentials) {
  http::RequestHead token = signed_request("{}");
  token.headers.add("X-Amz-Security-Token", "t");
  EXPECT_FALSE(read_signature(token));
  http::RequestHead link =
      request("GET", "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a");
  EXPECT_FALSE(read_signature(link));
  http::RequestHead bearer = request("GET", "/");
  bearer.headers.add("Authorization", "Bearer x");
  const auto none = read_signature(bearer);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  http::RequestHead twice = signed_request("{}");
  twice.headers.add("Authorization", "Bearer x");
  EXPECT_FALSE(read_signature(twice));
  for (const char* bad :
       {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s, SignedHeaders=host;x-amz-date, Signature=a",
        "AWS4-HMAC-SHA256-X Credential=a", "AWS4-HMAC-SHA256 Credential=a, Credential=b"}) {
    http::RequestHead head = request("GET", "/");
    head.headers.set("Authorization", bad);
    EXPECT_FALSE(read_signature(head)) << bad;
  }
  http::RequestHead no_host = request("GET", "/");
  put(no_host, "x-amz-date", std::string(64, 'a'));
  EXPECT_FALSE(read_signature(no_host));
  http::RequestHead other_day = request("GET", "/");
  other_day.headers.set("X-Amz-Date", "20150831T123600Z");
  put(other_day, "host;x-amz-date", std::string(64, 'a'));
  EXPECT_FALSE(read_signature(other_day));
}

}  // namespace
}  // namespace octroi::vault
