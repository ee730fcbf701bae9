#include "octroi/vault/packs/resend/resend.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;

Result<policy::Call> read(const VendorPack& pack, std::string path, std::string_view json) {
  const Input in = json_request(std::move(path), json);
  return pack.extract(pack.route("POST", in.path), in);
}

TEST(Resend, CountsEachRecipientOnce) {
  const auto pack = make_resend_pack();
  const auto call = read(*pack, "/emails",
                         R"({"from":"Me <me@Example.com>","to":["a@b.c","A@b.c"],"cc":"d@e.f",
                             "bcc":["g@h.i"],"subject":"s"})");
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->count, 3);
  EXPECT_THAT(call->recipients, ElementsAre("a@b.c", "d@e.f", "g@h.i"));
  EXPECT_THAT(call->sender_domains, ElementsAre("example.com"));
  EXPECT_EQ(call->operation, "emails.send");
}

TEST(Resend, CountsABatchAsAWhole) {
  const auto pack = make_resend_pack();
  const auto call = read(*pack, "/emails/batch",
                         R"([{"from":"m@a.b","to":"x@y.z"},{"from":"m@c.d","to":"x@y.z"}])");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->count, 2);
  EXPECT_THAT(call->sender_domains, ElementsAre("a.b", "c.d"));
}

TEST(Resend, RefusesWhatItCannotCount) {
  const auto pack = make_resend_pack();
  for (const char* body :
       {R"({"from":"m@a.b"})", R"({"to":"x@y.z"})", R"({"from":"m@a.b","to":{"a":1}})",
        R"({"from":"m@a.b","to":["x@y.z",1]})", R"({"from":"m@a.b","to":"x@y.z, q@y.z"})",
        R"({"from":"m@a.b","to":"x@y.z>, <q@y.z"})"}) {
    EXPECT_FALSE(read(*pack, "/emails", body)) << body;
  }
  EXPECT_FALSE(read(*pack, "/emails/batch", "[]"));
  EXPECT_TRUE(pack->route("POST", "/broadcasts/b/send").name.empty());
  EXPECT_TRUE(pack->route("POST", "/api-keys").name.empty());
}

TEST(Resend, WaitsForTheListWhereABatchWasTakenInPart) {
  const auto pack = make_resend_pack();
  const auto settle = [&](std::string_view path, std::string_view answer) {
    return pack->settle(pack->route("POST", path), 200, {}, answer, true);
  };
  const auto all = settle("/emails/batch", R"({"data":[{"id":"1"},{"id":"2"}]})");
  EXPECT_EQ(all.state, Outcome::State::done);
  EXPECT_FALSE(all.price_due);
  EXPECT_EQ(all.object, "");
  EXPECT_FALSE(settle("/emails/batch", R"({"data":[{"id":"1"}],"errors":[]})").price_due);
  EXPECT_TRUE(
      settle("/emails/batch", R"({"data":[{"id":"1"}],"errors":[{"index":1,"message":"to"}]})")
          .price_due);
  EXPECT_EQ(settle("/emails", R"({"id":"1"})").object, "1");
}

TEST(Resend, ReadsAddresses) {
  EXPECT_EQ(mail_address("a@b.c").value_or(""), "a@b.c");
  EXPECT_EQ(mail_address("Some Body <A.b+c@D.e>").value_or(""), "a.b+c@d.e");
  for (const char* bad : {"", "a", "@b.c", "a@", "a@b@c", "a b@c.d", "x, <a@b.c>", "<a@b.c",
                          "a@b..c", "\"q\"@b.c", "a@[1.2.3.4]"}) {
    EXPECT_FALSE(mail_address(bad)) << bad;
  }
}

}  // namespace
}  // namespace octroi::vault
