#include "octroi/mpp/lightning/zero.h"

#include <gtest/gtest.h>

#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"

namespace octroi::mpp::lightning {
namespace {

const UnixMillis kNow{1'800'000'000'000};

Challenge challenge(std::string request) {
  Challenge c;
  c.id = "id";
  c.realm = "api.example";
  c.method = kMethod;
  c.intent = kChargeIntent;
  c.request = std::move(request);
  c.expires = format_expires(kNow + Millis(60'000));
  return c;
}
Credential credential(const Challenge& c, const std::string& payload) {
  return *parse_credential(*format_credential(c, payload));
}

TEST(Zero, ARequestIsRecognisedAndEachIsAnother) {
  SeededRandom random(1);
  const auto a = format_zero_request(random);
  EXPECT_TRUE(is_zero_request(a));
  EXPECT_NE(a, format_zero_request(random));
  EXPECT_FALSE(parse_charge_request(a)) << "nobody takes it for a charge";
}

TEST(Zero, OtherRequestsAreNone) {
  for (const char* text :
       {R"({"amount":"1","currency":"sat"})", R"({"amount":"00","currency":"sat"})",
        R"({"amount":"0.5","currency":"sat"})", R"({"amount":"0","currency":"usd"})",
        R"({"amount":0,"currency":"sat"})", R"({"currency":"sat"})", R"({"amount":"0"})",
        R"({"amount":"0","currency":"sat","methodDetails":{"invoice":"lnbc1"}})",
        R"({"amount":"0","currency":"sat")", ""}) {
    EXPECT_FALSE(is_zero_request(to_base64url(as_bytes(text)))) << text;
  }
  EXPECT_FALSE(is_zero_request("eyJhbW91bnQiOiIw!"));
}

TEST(Zero, AProofIsJudged) {
  SeededRandom random(1);
  const Challenge ours = challenge(format_zero_request(random));
  EXPECT_FALSE(verify_zero(credential(ours, zero_payload_json()), kNow));
  const auto type = [](const std::optional<Problem>& p) {
    return p ? p->type : ProblemType::payment_required;
  };
  for (const char* payload :
       {R"({"type":"hash"})", "{}", R"({"preimage":"00"})", R"({"type":["proof"]})"}) {
    EXPECT_EQ(type(verify_zero(credential(ours, payload), kNow)),
              ProblemType::lightning_malformed_credential)
        << payload;
  }
  EXPECT_EQ(type(verify_zero(credential(ours, zero_payload_json()), kNow + Millis(60'000))),
            ProblemType::lightning_expired_invoice);
  Challenge endless = ours;
  endless.expires.reset();
  EXPECT_EQ(type(verify_zero(credential(endless, zero_payload_json()), kNow)),
            ProblemType::lightning_unknown_challenge);
  Challenge session = ours;
  session.intent = "session";
  EXPECT_EQ(type(verify_zero(credential(session, zero_payload_json()), kNow)),
            ProblemType::lightning_unknown_challenge);
}

TEST(Zero, TheReceiptRefersToTheChallenge) {
  const auto receipt = zero_receipt("abc", kNow);
  EXPECT_EQ(receipt.reference, "abc");
  EXPECT_EQ(*receipt.challenge_id, "abc");
  EXPECT_EQ(receipt.method, "lightning");
}

}  // namespace
}  // namespace octroi::mpp::lightning
