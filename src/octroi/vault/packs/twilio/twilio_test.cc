#include "octroi/vault/packs/twilio/twilio.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kReal =
    "AC0123456789abcdef0123456789abcdef:00112233445566778899aabbccddeeff";

ledger::VaultKey shown() {
  ledger::VaultKey key;
  key.pair_id = "ACffffffffffffffffffffffffffffffff";
  return key;
}
Input input(const std::string& path, std::string_view form) {
  return form_request("POST", "/2010-04-01/Accounts/" + shown().pair_id + path, form,
                      make_twilio_pack()->form_rules());
}

TEST(Twilio, EstimatesAMessageByCountryAndLength) {
  const auto pack = make_twilio_pack();
  const Input in = input("/Messages.json", "To=%2B15551234567&From=%2B1555&Body=hello");
  const auto call = pack->extract(pack->route("POST", in.path), in);
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->operation, "messages.create");
  EXPECT_THAT(call->countries, ElementsAre("US"));
  EXPECT_THAT(call->recipients, ElementsAre("+15551234567"));
  EXPECT_EQ(call->usd, phone_rate("+1555").sms);
  const Input island = input("/Messages.json", "To=%2B18765551234&Body=hello");
  EXPECT_THAT(pack->extract(pack->route("POST", island.path), island)->countries,
              ElementsAre("??"));
}

TEST(Twilio, ACountryIsThatOfANumberAndOfNothingElse) {
  for (const auto& [to, country] : std::initializer_list<std::pair<std::string, std::string>>{
           {"+15551234567", "US"},
           {"whatsapp:+15551234567", "US"},
           {"+447700900123", "GB"},
           {"+14165550123", "CA"},
           {"+18675550123", "CA"},
           {"+19005550123", ""},
           {"+18765551234", ""},
           {"447700900123+1", ""},
           {"sip:mallory@evil.example;x=+1", ""},
           {"client:mallory+1", ""},
           {"messenger:123456+1", ""},
           {"whatsapp:447700900123+1", ""},
           {"+1 555 123", ""},
           {"+", ""},
           {"15551234567", ""},
           {"", ""}})
    EXPECT_EQ(phone_rate(to).country, country) << to;
}

TEST(Twilio, ACallNeedsAnEnd) {
  const auto pack = make_twilio_pack();
  for (const char* limit : {"", "&TimeLimit=0"}) {
    const Input open =
        input("/Calls.json", "To=%2B4915112345678&From=%2B1&Url=x" + std::string(limit));
    EXPECT_EQ(pack->extract(pack->route("POST", open.path), open)->amount,
              policy::AmountState::unknown);
  }
  const Input bound = input("/Calls.json", "To=%2B4915112345678&From=%2B1&Url=x&TimeLimit=61");
  const auto call = pack->extract(pack->route("POST", bound.path), bound);
  EXPECT_EQ(call->usd, *phone_rate("+49").minute.times(2));
}

TEST(Twilio, ExchangesTheAccount) {
  const auto pack = make_twilio_pack();
  Input in = input("/Messages.json", "To=%2B1555&Body=x");
  EXPECT_TRUE(pack->check_account(in, shown()));
  Input other = input("/Messages.json", "To=%2B1555&Body=x");
  other.path.replace(other.path.find("AC"), 34, "AC0123456789abcdef0123456789abcdef");
  EXPECT_FALSE(pack->check_account(other, shown()));
  http::RequestHead head;
  const Secret real(kReal);
  pack->prepare({head, in, real, shown(), ""});
  EXPECT_EQ(in.path, "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json");
  EXPECT_EQ(head.headers.get("Authorization"), "Basic " + to_base64(as_bytes(kReal)));
}

TEST(Twilio, CountsParts) {
  EXPECT_EQ(sms_segments(""), 1);
  EXPECT_EQ(sms_segments(std::string(160, 'a')), 1);
  EXPECT_EQ(sms_segments(std::string(161, 'a')), 2);
  EXPECT_EQ(sms_segments(std::string(81, '{')), 2);
  std::string wide;
  for (int i = 0; i < 71; ++i) wide += "\xc3\xa4";
  EXPECT_EQ(sms_segments(wide), 2);
  std::string pairs;
  for (int i = 0; i < 36; ++i) pairs += "\xf0\x9f\x98\x80";
  EXPECT_EQ(sms_segments(pairs), 2);
}

TEST(Twilio, SettlesByItsPrice) {
  const auto pack = make_twilio_pack();
  const Operation o = pack->route("POST", input("/Messages.json", "To=x").path);
  const auto priced =
      pack->settle(o, 201, {}, R"({"sid":"SM1","price":"-0.00750","price_unit":"USD"})", true);
  EXPECT_EQ(priced.usd, MicroUsd::from_raw_unchecked(7'500));
  EXPECT_EQ(priced.object, "SM1");
  EXPECT_FALSE(
      pack->settle(o, 201, {}, R"({"sid":"SM1","price":null,"price_unit":"USD"})", true).usd);
}

TEST(Twilio, KnowsNothingOfBuyingNumbers) {
  const auto pack = make_twilio_pack();
  EXPECT_TRUE(pack->route("POST", input("/IncomingPhoneNumbers.json", "a=b").path).name.empty());
}

}  // namespace
}  // namespace octroi::vault
