#include "octroi/vault/packs/twilio/questions.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/twilio/twilio.h"

namespace octroi::vault {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kSid = "SM00000000000000000000000000000001";

Input message(std::string_view form) {
  return form_request(
      "POST", "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json", form);
}

TEST(TwilioQuestions, PricesAreRoundedUp) {
  EXPECT_EQ(twilio::price_of("-0.00750")->count(), 7500);     /* raw: a test */
  EXPECT_EQ(twilio::price_of("1.0000001")->count(), 1000001); /* raw: a test */
  for (const char* bad : {"", "-", "x", "1e3", "--1", "1.2.3"}) {
    EXPECT_FALSE(twilio::price_of(bad)) << bad;
  }
}

TEST(TwilioQuestions, Times) {
  EXPECT_EQ(twilio::time_of("Thu, 24 Aug 2023 05:01:45 +0000"),
            *from_rfc3339("2023-08-24T05:01:45Z"));
  for (const char* bad : {"", "Thu, 24 Xyz 2023 05:01:45 +0000", "Thu, 24 Aug 2023 05:01:45 +0100",
                          "2023-08-24T05:01:45Z"}) {
    EXPECT_FALSE(twilio::time_of(bad)) << bad;
  }
}

TEST(TwilioQuestions, WhatWasSentIsFoundByWhoAndWhat) {
  const auto pack = make_twilio_pack();
  const VendorQuestions& ask = *pack->questions();
  const Input in = message("To=%2B15551234567&From=%2B15550001111&Body=hello");
  const Operation operation = pack->route("POST", in.path);
  const std::string match = ask.match(operation, in);
  EXPECT_THAT(match, SizeIs(32));
  EXPECT_NE(match, ask.match(operation, message("To=%2B15551234567&Body=other")));
  const auto doc = json::parse(R"({"next_page_uri":null,"messages":[
    {"sid":"SM00000000000000000000000000000001","to":"+15551234567","body":"hello","price":null,
     "status":"sent","date_created":"Thu, 24 Aug 2023 05:01:45 +0000"},
    {"sid":"SM00000000000000000000000000000002","to":"+15551234567",
     "body":"Sent from your Twilio trial account - hello","price":"-0.00750","price_unit":"USD",
     "status":"delivered"},
    {"sid":"SM00000000000000000000000000000003","to":"+15551234567","body":"other","price":null,
     "status":"failed"}]})");
  ASSERT_TRUE(doc);
  const auto page = ask.read_list("/…/Messages.json", doc->root());
  ASSERT_TRUE(page) << page.error().message();
  ASSERT_THAT(page->items, SizeIs(3));
  EXPECT_EQ(page->items[0].match, match);
  EXPECT_TRUE(page->items[0].price_due);
  EXPECT_EQ(page->items[1].match, match);
  EXPECT_FALSE(page->items[1].price_due);
  EXPECT_EQ(page->items[1].usd, MicroUsd::from_raw_unchecked(7500));
  EXPECT_FALSE(page->items[2].spent);
  EXPECT_FALSE(page->items[2].price_due);
  EXPECT_THAT(page->next, IsEmpty());
}

TEST(TwilioQuestions, AnObjectIsAskedForInTheRealAccount) {
  const auto pack = make_twilio_pack();
  const std::string target = pack->questions()->object("messages.create", kSid);
  EXPECT_THAT(target, HasSubstr("/Messages/" + std::string(kSid) + ".json"));
  EXPECT_THAT(pack->questions()->object("messages.create", "SM1/../x"), IsEmpty());
  const Secret real(
      std::string_view("AC11111111111111111111111111111111:22222222222222222222222222222222"));
  http::RequestHead head;
  Input in;
  in.path = target;
  const ledger::VaultKey nobody;
  pack->prepare({head, in, real, nobody, ""});
  EXPECT_THAT(in.path, HasSubstr("/AC11111111111111111111111111111111/Messages/"));
}

TEST(TwilioQuestions, APageElsewhereIsNotAskedFor) {
  const auto pack = make_twilio_pack();
  const auto doc = json::parse(R"({"next_page_uri":"https://evil.example/","messages":[]})");
  EXPECT_FALSE(pack->questions()->read_list("/Messages.json", doc->root()));
}

TEST(TwilioQuestions, APriceThatIsNotThereYetIsDue) {
  const auto pack = make_twilio_pack();
  const Input in = message("To=%2B15551234567&Body=hello");
  const Operation operation = pack->route("POST", in.path);
  const auto due = pack->settle(operation, 201, {}, R"({"sid":"SM1","price":null})", true);
  EXPECT_TRUE(due.price_due);
  const auto known =
      pack->settle(operation, 201, {}, R"({"sid":"SM1","price":"-0.01","price_unit":"USD"})", true);
  EXPECT_FALSE(known.price_due);
  EXPECT_EQ(known.usd, MicroUsd::from_raw_unchecked(10'000));
}

}  // namespace
}  // namespace octroi::vault
