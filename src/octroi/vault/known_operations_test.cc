#include "octroi/vault/known_operations.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack.h"

namespace octroi::vault {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

policy::Policy policy_of(std::string vendor, const std::string& rest) {
  auto parsed = policy::parse_policy("p", R"({"vendor":")" + vendor + R"(",)" + rest + "}");
  EXPECT_TRUE(parsed) << parsed.error().message();
  return std::move(*parsed);
}

VendorSettings vendor_of(std::string name) {
  VendorSettings v;
  v.name = v.pack = std::move(name);
  return v;
}

TEST(UnknownOperations, AreThoseThatTheVendorDoesNotHave) {
  const auto policy = policy_of("stripe", R"("endpoints":["charges.create","charges.craete",
      "customers.*","POST /v1/charges","things.retrieve","create_refund"],
      "approve":["refunds.creat"],
      "fields":[{"field":"a","present":true,"endpoints":["charge.create"]}])");
  VendorSettings stripe = vendor_of("stripe");
  stripe.door.emplace();
  const std::vector<VendorSettings> vendors = {vendor_of("twilio"), stripe};
  const auto is = [](const char* text, bool opens) {
    return AllOf(Field(&UnknownOperation::text, text), Field(&UnknownOperation::opens, opens));
  };
  EXPECT_THAT(
      unknown_operations(policy, vendors),
      ElementsAre(is("endpoints: charges.craete is no operation of stripe", false),
                  is("approve: refunds.creat is no operation of stripe", true),
                  is("fields[0].endpoints: charge.create is no operation of stripe", true)));
  EXPECT_FALSE(check_holds_back(unknown_operations(policy, vendors)));
  EXPECT_TRUE(check_holds_back(
      unknown_operations(policy_of("stripe", R"("endpoints":["charges.craete"])"), vendors)));
  EXPECT_THAT(unknown_operations(policy, {}), IsEmpty());
}

TEST(UnknownOperations, EveryPackKnowsItsOwn) {
  struct Row {
    std::string pack, known, unknown;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"stripe", "payment_intents.confirm", "payment_intent.confirm"},
                                  {"stripe", "balance.retrieve", "balance.get"},
                                  {"twilio", "messages.create", "message.create"},
                                  {"twilio", "accounts.fetch", "accounts.get"},
                                  {"resend", "emails.send", "emails.sent"},
                                  {"openai", "chat.completions.create", "chat.create"},
                                  {"anthropic", "messages.create", "messages.creat"},
                                  {"aws", "s3.PutObject", ""},
                                  {"mcp", "mcp.tools.list", "tools.list"},
                                  {"mcp", "create_order", "create_orders"},
                                  {"generic", "orders.create", "orders.creat"}}) {
    VendorSettings v = vendor_of(row.pack);
    v.operations.push_back({});
    v.operations.back().name = "orders.create";
    v.tools.push_back({});
    v.tools.back().tool = "create_order";
    const auto pack = make_pack(v);
    EXPECT_TRUE(pack->has_operation(row.known)) << row.pack;
    if (!row.unknown.empty()) EXPECT_FALSE(pack->has_operation(row.unknown)) << row.unknown;
  }
}

}  // namespace
}  // namespace octroi::vault
