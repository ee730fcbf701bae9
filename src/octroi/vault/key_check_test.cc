#include "octroi/vault/key_check.h"

#include <gtest/gtest.h>

#include "octroi/vault/snapshot.h"

namespace octroi::vault {
namespace {

using Is = KeyFinding::Is;

VendorSettings vendor_of(std::string pack, std::string host = "api.example") {
  VendorSettings out;
  out.name = "v";
  out.pack = std::move(pack);
  out.host = std::move(host);
  return out;
}

std::unique_ptr<KeyCheck> check_of(std::string pack, std::string host = "api.example") {
  return make_key_check(vendor_of(std::move(pack), std::move(host)));
}

struct Asks {
  const char* name;
  const char* pack;
  const char* host;
  const char* real;
  const char* method;
  const char* target;
  const char* elsewhere;
  const char* region;
};
class KeyQuestions : public testing::TestWithParam<Asks> {};
TEST_P(KeyQuestions, AreHarmless) {
  const Asks& row = GetParam();
  const auto check = check_of(row.pack, row.host);
  const auto question = check->question(Secret(std::string_view(row.real)));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->method, row.method);
  EXPECT_EQ(question->target, row.target);
  EXPECT_EQ(question->host, row.elsewhere);
  EXPECT_EQ(question->scope.region, row.region);
  EXPECT_EQ(question->scope.service, *row.region == '\0' ? "" : "sts");
}
constexpr const char* kSts = "/?Action=GetCallerIdentity&Version=2011-06-15";
constexpr const char* kSid = "AC00000000000000000000000000000001";
INSTANTIATE_TEST_SUITE_P(
    Packs, KeyQuestions,
    testing::Values(
        Asks{"stripe", "stripe", "api.stripe.com", "sk_test_1", "GET", "/v1/balance", "", ""},
        Asks{"twilio", "twilio", "api.twilio.com", "AC00000000000000000000000000000001:token",
             "GET", "/2010-04-01/Accounts/AC00000000000000000000000000000001.json", "", ""},
        Asks{"twilio_api_key", "twilio", "api.twilio.com",
             "AC00000000000000000000000000000001:SK1:secret", "GET",
             "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json?PageSize=1", "",
             ""},
        Asks{"resend", "resend", "api.resend.com", "re_1", "GET", "/domains", "", ""},
        Asks{"openai", "openai", "api.openai.com", "sk-1", "GET", "/v1/models", "", ""},
        Asks{"anthropic", "anthropic", "api.anthropic.com", "sk-ant-1", "GET", "/v1/models", "",
             ""},
        Asks{"mcp", "mcp", "mcp.example", "token", "POST", "/mcp", "", ""},
        Asks{"s3", "aws", "s3.eu-west-1.amazonaws.com", "AKIA", "GET", kSts,
             "sts.eu-west-1.amazonaws.com", "eu-west-1"},
        Asks{"bucket", "aws", "b.s3.us-gov-west-1.amazonaws.com", "AKIA", "GET", kSts,
             "sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
        Asks{"no_region", "aws", "s3.amazonaws.com", "AKIA", "GET", kSts,
             "sts.us-east-1.amazonaws.com", "us-east-1"},
        Asks{"china", "aws", "sqs.cn-north-1.amazonaws.com.cn", "AKIA", "GET", kSts,
             "sts.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        Asks{"mock", "aws", "127.0.0.1", "AKIA", "GET", kSts, "", "us-east-1"}),
    [](const auto& row) { return std::string(row.param.name); });

struct Answer {
  const char* name;
  const char* pack;
  int status;
  const char* body;
  Is is;
  const char* account = "";
  std::optional<bool> live = {};
};
class KeyAnswers : public testing::TestWithParam<Answer> {};
TEST_P(KeyAnswers, SayWhetherAKeyIsGood) {
  const Answer& row = GetParam();
  const auto check = check_of(row.pack);
  http::Headers headers;
  headers.add("openai-organization", "org-1");
  headers.add("anthropic-organization-id", "org-2");
  const KeyFinding found = check->read(row.status, headers, row.body);
  EXPECT_EQ(static_cast<int>(found.is), static_cast<int>(row.is));
  EXPECT_EQ(found.account, row.account);
  EXPECT_EQ(found.live, row.live);
  EXPECT_EQ(check->refuses(row.status, row.body), row.is == Is::bad);
}
INSTANTIATE_TEST_SUITE_P(
    Packs, KeyAnswers,
    testing::Values(
        Answer{"stripe_balance", "stripe", 200, R"({"object":"balance","livemode":false})",
               Is::good, "", false},
        Answer{"stripe_account", "stripe", 200, R"({"object":"account","id":"acct_1"})", Is::good,
               "acct_1"},
        Answer{"stripe_bad", "stripe", 401, R"({"error":{}})", Is::bad},
        Answer{"stripe_may_not", "stripe", 403, R"({"error":{}})", Is::unclear},
        Answer{"stripe_is_down", "stripe", 500, "", Is::unclear},
        Answer{"stripe_says_slower", "stripe", 429, "", Is::unclear},
        Answer{"stripe_no_json", "stripe", 200, "<html>", Is::good},
        Answer{"twilio", "twilio", 200, "{}", Is::good},
        Answer{"twilio_bad", "twilio", 401, R"({"code":20003})", Is::bad},
        Answer{"resend", "resend", 200, R"({"data":[]})", Is::good},
        Answer{"resend_only_sends", "resend", 401, R"({"name":"restricted_api_key"})", Is::good},
        Answer{"resend_bad", "resend", 401, R"({"name":"missing_api_key"})", Is::bad},
        Answer{"resend_bad_too", "resend", 403, R"({"name":"invalid_api_key"})", Is::bad},
        Answer{"openai", "openai", 200, R"({"data":[]})", Is::good, "org-1"},
        Answer{"openai_bad", "openai", 401, "{}", Is::bad},
        Answer{"anthropic", "anthropic", 200, R"({"data":[]})", Is::good, "org-2"},
        Answer{"anthropic_bad", "anthropic", 401, "{}", Is::bad},
        Answer{"aws", "aws", 200, "<R><Account>123456789012</Account><Arn>a</Arn></R>", Is::good,
               "123456789012"},
        Answer{"aws_odd_account", "aws", 200, "<Account>12345678901x</Account>", Is::good},
        Answer{"aws_bad", "aws", 403, "<Code>InvalidClientTokenId</Code>", Is::bad},
        Answer{"aws_bad_secret", "aws", 403, "<Code>SignatureDoesNotMatch</Code>", Is::bad},
        Answer{"aws_denied", "aws", 403, "<Code>AccessDenied</Code>", Is::unclear},
        Answer{"mcp", "mcp", 200, "event: message\n\n", Is::good},
        Answer{"mcp_bad", "mcp", 401, "", Is::bad}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(KeyCheck, TheAccountIsInTwiliosCredential) {
  const Secret real(std::string_view("AC00000000000000000000000000000001:token"));
  EXPECT_EQ(check_of("twilio")->account_in(real), kSid);
  EXPECT_EQ(check_of("stripe")->account_in(real), "");
}

TEST(KeyCheck, TheConfigurationMayNameAnotherQuestion) {
  EXPECT_EQ(check_of("generic"), nullptr);
  for (const char* pack : {"generic", "stripe"}) {
    VendorSettings vendor = vendor_of(pack);
    vendor.verify = VerifySettings{"HEAD", "/me?fields=id"};
    const auto check = make_key_check(vendor);
    const auto question = check->question(Secret(std::string_view("key")));
    ASSERT_TRUE(question);
    EXPECT_EQ(question->method, "HEAD");
    EXPECT_EQ(question->target, "/me?fields=id");
    EXPECT_EQ(check->whose().has_value(), std::string_view(pack) == "stripe");
    EXPECT_TRUE(check->refuses(401, ""));
  }
}

TEST(KeyCheck, AVendorThatGivesTokensNeedsNoQuestion) {
  VendorSettings vendor = vendor_of("generic");
  vendor.oauth.emplace();
  const auto check = make_key_check(vendor);
  ASSERT_NE(check, nullptr);
  EXPECT_EQ(check->question(Secret(std::string_view("id:secret"))), std::nullopt);
}

TEST(KeyCheck, AVendorWithAKeyIsTheSameButForIt) {
  VendorSettings vendor = vendor_of("stripe");
  vendor.base_path = "/below";
  const auto made =
      vendor_with(vendor, std::make_shared<const Secret>(std::string_view("sk_live_1")));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(made->live);
  EXPECT_EQ(made->settings.base_path, "/below");
  EXPECT_FALSE(vendor_with(vendor, std::make_shared<const Secret>(std::string_view("nonsense"))));
}

}  // namespace
}  // namespace octroi::vault
