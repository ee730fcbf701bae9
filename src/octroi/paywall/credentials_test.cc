#include "octroi/paywall/credentials.h"

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

using Fields = std::vector<std::pair<const char*, const char*>>;
http::Headers headers(const Fields& fields) {
  http::Headers h;
  for (const auto& [name, value] : fields) h.add(name, value);
  return h;
}
std::string all(const http::Headers& h) {
  std::string out;
  for (const auto field : h) out += std::string(field.name) + "=" + std::string(field.value) + ";";
  return out;
}

TEST(Credentials, AreSortedByScheme) {
  const auto c = collect_credentials(headers({{"Authorization", "Payment abc"},
                                              {"authorization", "pAyMeNt def"},
                                              {"Authorization", "L402 a:b"},
                                              {"Authorization", "lsat\tc:d"},
                                              {"Authorization", "Basic dXNlcg=="},
                                              {"Authorization", "Payments x"},
                                              {"Payment-Authorization", "Payment ghi"},
                                              {"Macaroon", "0201"},
                                              {"Grpc-Metadata-Macaroon", "0202"},
                                              {"Grpc-Metadata-Other", "1"}}));
  EXPECT_EQ(c.payment, (std::vector<std::string>{"Payment abc", "pAyMeNt def"}));
  EXPECT_EQ(c.payment_authorization, std::vector<std::string>{"Payment ghi"});
  EXPECT_EQ(c.l402, (std::vector<std::string>{"L402 a:b", "lsat\tc:d"}));
  EXPECT_EQ(c.macaroon, (std::vector<std::string>{"0201", "0202"}));
  EXPECT_EQ(c.ordinary, (std::vector<std::string>{"Basic dXNlcg==", "Payments x"}));
  EXPECT_TRUE(c.has_payment());
  EXPECT_TRUE(c.has_l402());
  EXPECT_FALSE(c.none());
  EXPECT_TRUE(collect_credentials(headers({{"Authorization", "Bearer x"}})).none());
  EXPECT_TRUE(collect_credentials({}).none());
}

struct StripCase {
  const char* name;
  Fields before;
  const char* after;
};
class Strip : public testing::TestWithParam<StripCase> {};

TEST_P(Strip, LeavesWhatTheUpstreamMaySee) {
  auto h = headers(GetParam().before);
  const auto credentials = collect_credentials(h);
  strip_credentials(h, credentials);
  EXPECT_EQ(all(h), GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(
    Credentials, Strip,
    testing::Values(
        StripCase{"Payment", {{"Authorization", "Payment abc"}, {"A", "1"}}, "A=1;"},
        StripCase{"L402", {{"Authorization", "L402 abc:def"}}, ""},
        StripCase{"Lsat", {{"AUTHORIZATION", "LSAT abc:def"}}, ""},
        StripCase{"OwnField", {{"Payment-Authorization", "Payment abc"}}, ""},
        StripCase{"OwnFieldWhateverItHolds", {{"Payment-Authorization", "x"}}, ""},
        StripCase{"Macaroons", {{"Macaroon", "00"}, {"Grpc-Metadata-Macaroon", "00"}}, ""},
        StripCase{"Negotiation", {{"Accept-Payment", "lightning/*"}}, ""},
        StripCase{"ReceiptFromAClient", {{"Payment-Receipt", "abc"}}, ""},
        StripCase{"OrdinaryStays",
                  {{"Authorization", "Basic x"}, {"Authorization", "Payment y"}},
                  "Authorization=Basic x;"},
        StripCase{"OrdinaryStaysOnce",
                  {{"Authorization", "Basic x"}, {"Authorization", "Bearer y"}},
                  "Authorization=Basic x;"},
        StripCase{"OurNamesFromClients",
                  {{"X-Octroi-Token-Id", "1"},
                   {"x-octroi-session-id", "2"},
                   {"X-OCTROI-SERVICE", "3"},
                   {"X-Octroi-Amount-Msat", "4"},
                   {"X-Octroi", "5"}},
                  "X-Octroi=5;"},
        // Gateways that make variables of fields (CGI, WSGI) read both spellings as one name.
        StripCase{"OurNamesWithUnderscores",
                  {{"X_Octroi_Token_Id", "1"},
                   {"X-Octroi_Amount-Msat", "2"},
                   {"Payment_Authorization", "Payment x"},
                   {"Grpc_Metadata_Macaroon", "00"},
                   {"X_Other", "3"}},
                  "X_Other=3;"},
        StripCase{"CookiesAreNotOurs",
                  {{"Cookie", "a=b"}, {"Proxy-Authorization", "Basic x"}},
                  "Cookie=a=b;Proxy-Authorization=Basic x;"}),
    [](const auto& i) { return i.param.name; });

TEST(Credentials, JoinedFieldsAreToldApart) {
  struct Row {
    const char* value;
    bool mixed;
  };
  for (const Row& row : {Row{"Basic dXNlcg==, Payment abc", true}, Row{"Bearer x,L402 a:b", true},
                         Row{"Digest username=\"u\", realm=\"r\"", false},
                         Row{"Digest username=\"u, Payment abc\"", false},
                         Row{"Bearer payment", false}, Row{"Bearer x, y", false}}) {
    auto h = headers({{"Authorization", row.value}});
    const auto c = collect_credentials(h);
    EXPECT_EQ(c.mixed, row.mixed) << row.value;
    strip_credentials(h, c);
    EXPECT_EQ(h.has("Authorization"), !row.mixed) << row.value;
  }
}

struct AnswerCase {
  const char* name;
  Fields before;
  const char* after;
};
class StripAnswer : public testing::TestWithParam<AnswerCase> {};

TEST_P(StripAnswer, LeavesWhatTheClientMaySee) {
  auto h = headers(GetParam().before);
  strip_upstream_payment(h);
  EXPECT_EQ(all(h), GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(
    Credentials, StripAnswer,
    testing::Values(AnswerCase{"Nothing", {{"A", "1"}}, "A=1;"},
                    AnswerCase{"Receipt", {{"Payment-Receipt", "abc"}, {"A", "1"}}, "A=1;"},
                    AnswerCase{"Challenges",
                               {{"WWW-Authenticate", "Payment id=\"x\""},
                                {"WWW-Authenticate", "L402 macaroon=\"x\""},
                                {"WWW-Authenticate", "lsat macaroon=\"x\""}},
                               ""},
                    AnswerCase{"OthersStay",
                               {{"WWW-Authenticate", "Basic realm=\"x\""},
                                {"WWW-Authenticate", "Payment id=\"x\""}},
                               "WWW-Authenticate=Basic realm=\"x\";"},
                    AnswerCase{
                        "SeveralOnOneLine",
                        {{"WWW-Authenticate", "Basic realm=\"x\", Payment id=\"y\", realm=\"z\""},
                         {"WWW-Authenticate", "Bearer"}},
                        "WWW-Authenticate=Bearer;"},
                    AnswerCase{"AWordInsideQuotesIsNoScheme",
                               {{"WWW-Authenticate", "Basic realm=\"x, Payment id=1\""}},
                               "WWW-Authenticate=Basic realm=\"x, Payment id=1\";"}),
    [](const auto& i) { return i.param.name; });

}  // namespace
}  // namespace octroi::paywall
