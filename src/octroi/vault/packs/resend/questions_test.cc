#include "octroi/vault/packs/resend/questions.h"

#include <gmock/gmock.h>

#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/resend/resend.h"

namespace octroi::vault {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Input mail(std::string_view json) { return json_request("/emails", json); }

std::string match(std::string_view json, std::string path = "/emails") {
  const auto pack = make_resend_pack();
  Input in = mail(json);
  in.path = std::move(path);
  return pack->questions()->match(pack->route("POST", in.path), in);
}

Result<VendorPage> page_of(std::string_view json) {
  const auto doc = json::parse(json);
  EXPECT_TRUE(doc);
  return make_resend_pack()->questions()->read_list("/emails?limit=100", doc->root());
}

TEST(ResendQuestions, Times) {
  const auto when = *from_rfc3339("2023-04-03T22:13:42.674Z");
  for (const char* good : {"2023-04-03T22:13:42.674981+00:00", "2023-04-03 22:13:42.674981+00",
                           "2023-04-03T22:13:42.674Z", "2023-04-04T00:13:42.674+02:00"}) {
    EXPECT_EQ(resend::time_of(good), when) << good;
  }
  for (const char* bad : {"", "2023-04-03", "yesterday at a quarter past", "2023-04-03T22:13:42",
                          "2023-13-03T22:13:42+00:00"}) {
    EXPECT_FALSE(resend::time_of(bad)) << bad;
  }
}

TEST(ResendQuestions, AMailIsFoundByWhoToWhomAndWhat) {
  const std::string sent = match(
      R"({"from":"Acme <Onboarding@Resend.dev>","to":["a@b.c","d@e.f"],"subject":" Hello  World"})");
  EXPECT_THAT(sent, SizeIs(22));
  const auto page = page_of(R"({"object":"list","has_more":true,"data":[
    {"id":"4ef9a417-02e9-4d39-ad75-9611e0fcc33c","to":["d@e.f","a@b.c"],
     "from":"onboarding@resend.dev","created_at":"2023-04-03T22:13:42.674981+00:00",
     "subject":"Hello World","bcc":null,"cc":null,"last_event":"delivered","scheduled_at":null},
    {"id":"3a9f8c2b-1e5d-4f8a-9c7b-2d6e5f8a9c7b","to":"a@b.c","cc":["d@e.f"],"bcc":["d@e.f"],
     "from":"onboarding@resend.dev","created_at":"2023-04-03 21:45:12.345678+00",
     "subject":"Hello World","last_event":"canceled"}]})");
  ASSERT_TRUE(page) << page.error().message();
  ASSERT_THAT(page->items, SizeIs(2));
  EXPECT_THAT(page->items, Each(::testing::Field(&VendorItem::match, sent)));
  EXPECT_TRUE(page->items[0].spent);
  EXPECT_FALSE(page->items[1].spent);
  for (const VendorItem& item : page->items) {
    EXPECT_EQ(item.usd, MicroUsd::from_raw_unchecked(1800));
    EXPECT_FALSE(item.price_due || item.changes);
  }
  EXPECT_TRUE(page->newest_first);
  EXPECT_EQ(page->next, "/emails?limit=100&after=3a9f8c2b-1e5d-4f8a-9c7b-2d6e5f8a9c7b");
}

TEST(ResendQuestions, WhatDiffersIsAnother) {
  const std::string sent = match(R"({"from":"m@a.b","to":"x@y.z","subject":"one"})");
  for (const char* other : {
           R"({"from":"m@a.b","to":"x@y.z","subject":"two"})",
           R"({"from":"n@a.b","to":"x@y.z","subject":"one"})",
           R"({"from":"m@a.b","to":["x@y.z","w@y.z"],"subject":"one"})",
       }) {
    EXPECT_NE(match(other), sent) << other;
    EXPECT_THAT(match(other), SizeIs(22)) << other;
  }
}

TEST(ResendQuestions, EachMailOfABatchIsFound) {
  const std::string one = R"({"from":"m@a.b","to":"x@y.z","subject":"one"})";
  const std::string two = R"({"from":"m@a.b","to":"x@y.z","subject":"two"})";
  EXPECT_EQ(match("[" + one + "]", "/emails/batch"), match(one));
  const std::string both = match("[" + one + "," + two + "," + one + "]", "/emails/batch");
  EXPECT_EQ(both, "3*" + match(one) + match(two) + match(one));
  std::string most = one;
  for (int i = 1; i < 100; ++i) most += "," + two;
  const std::string hundred = match("[" + most + "]", "/emails/batch");
  EXPECT_LE(hundred.size(), kMostMatch);
  const auto each = split_matches(hundred);
  ASSERT_THAT(each, SizeIs(100));
  EXPECT_EQ(each[0], match(one).substr(0, 5));
  EXPECT_EQ(each[99], match(two).substr(0, 5));
  EXPECT_THAT(match("[" + one + R"(,{"from":"m@a.b","to":[]}])", "/emails/batch"), IsEmpty());
  EXPECT_THAT(match(one, "/emails/batch"), IsEmpty());
  EXPECT_THAT(match("[" + one + "]"), IsEmpty());
}

TEST(ResendQuestions, WhatATemplateWritesIsFoundByTheRest) {
  const std::string sent =
      match(R"({"from":"M <m@a.b>","to":"x@y.z","template":{"id":"t","variables":{"n":1}}})");
  EXPECT_THAT(sent, ::testing::AllOf(SizeIs(22), ::testing::StartsWith("~")));
  const auto page = page_of(R"({"data":[{"id":"1","to":["x@y.z"],"from":"m@a.b",
      "created_at":"2023-04-03T22:13:42Z","subject":"Welcome, 1"}]})");
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(page->items[0].loose, sent);
  EXPECT_EQ(page->items[0].match,
            match(R"({"from":"m@a.b","to":"x@y.z","subject":"Welcome, 1","template":{"id":"t"}})"));
  EXPECT_NE(match(R"({"from":"m@a.b","to":"w@y.z","template":{"id":"t"}})"), sent);
}

TEST(ResendQuestions, MatchesThatAreKept) {
  EXPECT_THAT(split_matches("abc"), ::testing::ElementsAre("abc"));
  EXPECT_THAT(split_matches("2*abcdefghij"), ::testing::ElementsAre("abcde", "fghij"));
  for (const char* bad : {"2*", "0*ab", "3*ab", "*ab", "x*ab", "-1*ab", "2 *abcd"})
    EXPECT_THAT(split_matches(bad), IsEmpty()) << bad;
  EXPECT_THAT(join_matches({}), IsEmpty());
  EXPECT_THAT(join_matches(std::vector<std::string>(102, std::string(22, 'a'))), IsEmpty());
}

TEST(ResendQuestions, WhatCannotBeToldApartHasNoMatch) {
  EXPECT_THAT(match(R"({"from":"m@a.b","to":[],"subject":"one"})"), IsEmpty());
  EXPECT_THAT(match("7"), IsEmpty());
}

TEST(ResendQuestions, WhatIsNotUnderstoodIsNotPassedOver) {
  for (const char* bad : {
           R"({"data":{}})",
           R"({"has_more":true,"data":[]})",
           R"({"data":[{"id":"1","to":"a@b.c","from":"m@a.b","created_at":"soon"}]})",
           R"({"data":[{"id":"../x","to":"a@b.c","from":"m@a.b",
               "created_at":"2023-04-03T22:13:42Z"}]})",
           R"({"data":[{"id":"1","to":[7],"from":"m@a.b","created_at":"2023-04-03T22:13:42Z"}]})",
           R"({"data":[{"id":"1","from":"m@a.b","created_at":"2023-04-03T22:13:42Z"}]})",
           R"({"data":[7]})",
       }) {
    EXPECT_FALSE(page_of(bad)) << bad;
  }
  const auto last = page_of(R"({"has_more":false,"data":[]})");
  ASSERT_TRUE(last);
  EXPECT_THAT(last->next, IsEmpty());
}

TEST(ResendQuestions, OneMail) {
  const auto pack = make_resend_pack();
  const VendorQuestions& ask = *pack->questions();
  EXPECT_EQ(ask.object("emails.send", "4ef9a417-02e9"), "/emails/4ef9a417-02e9");
  EXPECT_THAT(ask.object("emails.send", "../domains"), IsEmpty());
  EXPECT_THAT(ask.object("emails.batch", "4ef9a417-02e9"), IsEmpty());
  EXPECT_TRUE(can_be_asked(*pack));
}

}  // namespace
}  // namespace octroi::vault
