#include "octroi/json/writer.h"

#include <gtest/gtest.h>

#include "octroi/json/value.h"

namespace octroi::json {
namespace {

TEST(JsonWriter, WritesEveryKindOfValue) {
  Writer w;
  w.begin_object()
      .field("s", "a\"\\\x01")
      .field("i", std::int64_t{-5})
      .field("u", std::uint64_t{18446744073709551615U});
  w.field("b", true)
      .key("n")
      .null()
      .key("a")
      .begin_array()
      .integer(1)
      .begin_object()
      .end_object()
      .string("x")
      .end_array();
  w.key("r")
      .raw("[2]")
      .field("o", std::optional<std::string>())
      .field("p", std::optional<std::string>("q"))
      .end_object();
  EXPECT_EQ(
      std::move(w).take(),
      R"({"s":"a\"\\\u0001","i":-5,"u":18446744073709551615,"b":true,"n":null,"a":[1,{},"x"],"r":[2],"p":"q"})");
}

TEST(JsonWriter, ReplacesWhatIsNotUtf8) {
  Writer w;
  w.string("a\xFFz\xC3\xA9\xED\xA0\x80");
  const std::string text = std::move(w).take();
  EXPECT_EQ(text, "\"a\xEF\xBF\xBDz\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_TRUE(parse(text).has_value());
}

TEST(JsonWriterDeathTest, EndsTheProcessOnMisuse) {
  EXPECT_DEATH(Writer().begin_object().string("x"), "without a key");
  EXPECT_DEATH(Writer().begin_object().end_array(), "without its beginning");
  EXPECT_DEATH(Writer().key("x"), "outside an object");
  EXPECT_DEATH(Writer().null().null(), "two values");
  EXPECT_DEATH(
      {
        Writer w;
        w.begin_array();
        (void)std::move(w).take();
      },
      "before it was finished");
}

TEST(JsonUtf8, FollowsUnicodesTable) {
  for (const std::string_view good :
       {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good));
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

}  // namespace
}  // namespace octroi::json
