#include "octroi/vault/packs/stripe/questions.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/stripe/stripe.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct LookUpRow {
  const char* name;
  const char* path;
  const char* form;
  const char* target;  // "": nobody can say
  const char* object;
  std::int64_t minor;  // -1: stays unknown
  const char* customer;
};
class LookUps : public ::testing::TestWithParam<LookUpRow> {};
TEST_P(LookUps, SayWhatTheRequestDoesNot) {
  const LookUpRow& row = GetParam();
  const auto pack = make_stripe_pack();
  const VendorQuestions& ask = *pack->questions();
  const Input in = form_request("POST", row.path, row.form);
  const Operation operation = pack->route("POST", in.path);
  auto call = pack->extract(operation, in);
  ASSERT_TRUE(call) << call.error().message();
  ASSERT_EQ(ask.subject(operation, in), row.target);
  if (*row.target == '\0') return;
  const auto doc = json::parse(row.object);
  ASSERT_TRUE(doc);
  ASSERT_TRUE(ask.learn(operation, in, doc->root(), *call));
  EXPECT_EQ(call->amount,
            row.minor < 0 ? policy::AmountState::unknown : policy::AmountState::known);
  if (row.minor >= 0) {
    ASSERT_TRUE(call->minor);
    EXPECT_EQ(call->minor->minor, row.minor);
    EXPECT_EQ(call->minor->currency, "usd");
  }
  if (*row.customer == '\0') {
    EXPECT_THAT(call->customers, IsEmpty());
  } else {
    EXPECT_THAT(call->customers, ElementsAre(row.customer));
    EXPECT_FALSE(call->customer_unknown);
  }
}
constexpr const char* kCharge =
    R"({"id":"ch_1","amount":900,"amount_refunded":300,"currency":"usd","customer":"cus_1"})";
constexpr const char* kIntent =
    R"({"id":"pi_1","amount":800,"amount_received":500,"amount_capturable":700,"currency":"usd",)"
    R"("customer":{"id":"cus_2"}})";
INSTANTIATE_TEST_SUITE_P(
    All, LookUps,
    ::testing::Values(
        LookUpRow{"all_that_is_left", "/v1/refunds", "charge=ch_1", "/v1/charges/ch_1", kCharge,
                  600, "cus_1"},
        LookUpRow{"a_part", "/v1/refunds", "charge=ch_1&amount=50", "/v1/charges/ch_1", kCharge, 50,
                  "cus_1"},
        LookUpRow{"by_path", "/v1/charges/ch_1/refund", "", "/v1/charges/ch_1", kCharge, 600,
                  "cus_1"},
        LookUpRow{"of_an_intent", "/v1/refunds", "payment_intent=pi_1", "/v1/payment_intents/pi_1",
                  kIntent, 500, "cus_2"},
        LookUpRow{"capture", "/v1/charges/ch_1/capture", "", "/v1/charges/ch_1", kCharge, 900,
                  "cus_1"},
        LookUpRow{"confirm", "/v1/payment_intents/pi_1/confirm", "", "/v1/payment_intents/pi_1",
                  kIntent, 800, "cus_2"},
        LookUpRow{"capture_intent", "/v1/payment_intents/pi_1/capture", "",
                  "/v1/payment_intents/pi_1", kIntent, 700, "cus_2"},
        LookUpRow{"capture_a_part", "/v1/payment_intents/pi_1/capture", "amount_to_capture=5",
                  "/v1/payment_intents/pi_1", kIntent, 5, "cus_2"},
        LookUpRow{"invoice", "/v1/invoices/in_1/pay", "", "/v1/invoices/in_1",
                  R"({"id":"in_1","amount_remaining":1200,"currency":"usd","customer":"cus_3"})",
                  1200, "cus_3"},
        LookUpRow{"nobodys", "/v1/charges/ch_1/refund", "", "/v1/charges/ch_1",
                  R"({"id":"ch_1","amount":900,"amount_refunded":0,"currency":"usd"})", 900, ""},
        LookUpRow{"no_number", "/v1/invoices/in_1/pay", "", "/v1/invoices/in_1",
                  R"({"id":"in_1","amount_remaining":-5,"currency":"usd"})", -1, ""},
        LookUpRow{"subscription", "/v1/subscriptions/sub_1", "items[0][price]=p",
                  "/v1/subscriptions/sub_1", R"({"id":"sub_1","customer":"cus_1"})", -1, "cus_1"},
        LookUpRow{"two_objects", "/v1/refunds", "charge=ch_1&payment_intent=pi_1", "", "", 0, ""},
        LookUpRow{"path_and_field", "/v1/invoiceitems/ii_1", "invoice=in_1", "", "", 0, ""},
        LookUpRow{"not_an_id", "/v1/refunds", "charge=ch_1%2F..%2Fbalance", "", "", 0, ""},
        LookUpRow{"none", "/v1/subscriptions", "items[0][price]=p", "", "", 0, ""}),
    [](const auto& row) { return row.param.name; });

TEST(StripeQuestions, AnotherObjectIsNoAnswer) {
  const auto pack = make_stripe_pack();
  const Input in = form_request("POST", "/v1/refunds", "charge=ch_1");
  const Operation operation = pack->route("POST", in.path);
  auto call = *pack->extract(operation, in);
  const auto doc = json::parse(R"({"id":"ch_2","amount":1,"amount_refunded":0,"currency":"usd"})");
  EXPECT_FALSE(pack->questions()->learn(operation, in, doc->root(), call));
  EXPECT_EQ(call.amount, policy::AmountState::unknown);
}

TEST(StripeQuestions, WhatIsListedBearsItsCall) {
  const auto pack = make_stripe_pack();
  const VendorQuestions& ask = *pack->questions();
  Input in = form_request("POST", "/v1/charges", "amount=100&currency=usd");
  ask.mark(pack->route("POST", in.path), in, "idem_7");
  EXPECT_EQ(in.form.fields().back(), std::pair(std::string(stripe::kMark), std::string("idem_7")));
  EXPECT_EQ(in.body, in.form.text());
  EXPECT_EQ(*Form::parse(in.body)->value("amount"), "100");

  Input capture = form_request("POST", "/v1/charges/ch_1/capture", "amount=100");
  ask.mark(pack->route("POST", capture.path), capture, "idem_7");
  EXPECT_EQ(capture.body, "amount=100");

  Input refund = form_request("POST", "/v1/charges/ch_1/refund", "");
  ask.mark(pack->route("POST", refund.path), refund, "idem_8");
  EXPECT_THAT(refund.body, HasSubstr("idem_8"));
  EXPECT_EQ(refund.content_type, "application/x-www-form-urlencoded");
}

TEST(StripeQuestions, AMarkIsNotForAgents) {
  const auto pack = make_stripe_pack();
  for (const char* form : {"metadata[octroi_call]=x", "metadata[octroi_call][y]=x", "metadata="}) {
    const Input in = form_request("POST", "/v1/charges/ch_1", form);
    EXPECT_FALSE(pack->extract(pack->route("POST", in.path), in)) << form;
  }
}

TEST(StripeQuestions, ADeclinedIntentCostsNothing) {
  const auto pack = make_stripe_pack();
  const VendorQuestions& ask = *pack->questions();
  const auto doc = json::parse(R"({"has_more":false,"data":[
    {"id":"pi_1","amount":5,"currency":"usd","status":"requires_payment_method",
     "last_payment_error":{"code":"card_declined"}},
    {"id":"pi_2","amount":5,"currency":"usd","status":"requires_payment_method",
     "last_payment_error":null},
    {"id":"pi_3","amount":5,"currency":"usd","status":"succeeded",
     "last_payment_error":{"code":"card_declined"}}]})");
  const auto page = ask.read_list("/v1/payment_intents?limit=100", doc->root());
  ASSERT_TRUE(page);
  ASSERT_THAT(page->items, SizeIs(3));
  EXPECT_FALSE(page->items[0].spent);
  EXPECT_TRUE(page->items[1].spent);  // it waits for its confirmation, which is free then
  EXPECT_TRUE(page->items[2].spent);
}

TEST(StripeQuestions, AListIsReadPageByPage) {
  const auto pack = make_stripe_pack();
  const VendorQuestions& ask = *pack->questions();
  const auto lists = ask.lists(from_unix_seconds(1'000), from_unix_seconds(2'000));
  ASSERT_THAT(lists, SizeIs(6));
  EXPECT_EQ(lists[0].target, "/v1/charges?created[gt]=999&limit=100");
  const auto doc = json::parse(R"({"has_more":true,"data":[
    {"id":"ch_1","amount":5,"currency":"usd","status":"succeeded","created":1500,
     "metadata":{"octroi_call":"idem_1"},"payment_intent":null},
    {"id":"ch_2","amount":6,"currency":"usd","status":"failed","metadata":{}},
    {"id":"ch_3","amount":7,"currency":"usd","payment_intent":"pi_9"}]})");
  ASSERT_TRUE(doc);
  const auto page = ask.read_list(lists[0].target, doc->root());
  ASSERT_TRUE(page);
  ASSERT_THAT(page->items, SizeIs(2));  // the third stands with its intent
  EXPECT_EQ(page->items[0].mark, "idem_1");
  EXPECT_TRUE(page->items[0].spent);
  EXPECT_EQ(page->items[0].minor->minor, 5);
  EXPECT_EQ(page->items[0].created, from_unix_seconds(1500));
  EXPECT_FALSE(page->items[1].spent);
  EXPECT_EQ(page->next, lists[0].target + "&starting_after=ch_3");
  const auto second = ask.read_list(page->next, doc->root());
  EXPECT_EQ(second->next, page->next);  // which a list that goes on never says
  EXPECT_FALSE(ask.read_list(lists[0].target, json::parse("{}")->root()));
}

}  // namespace
}  // namespace octroi::vault
