#include "octroi/json/value.h"

#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/json/test_vectors.h"

namespace octroi::json {
namespace {

// rule: MPP-3
TEST(JsonParse, RefusesWhatCanBeReadTwoWays) {
  const Document table = read_test_table("json/refused.json");
  int rows = 0;
  for (const Value row : table.root().array("vectors")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const Bytes text = from_hex(*row.string("hex")).value();
    const auto parsed = parse(as_text(text));
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().code(), *row.string("code"));
    ++rows;
  }
  EXPECT_GE(rows, 30);
}

TEST(JsonParse, KeepsTheKindsOfNumbersApart) {
  const Document d =
      parse(
          R"([-9223372036854775808, 9223372036854775807, 9223372036854775808, 18446744073709551615,
                18446744073709551616, 1.0, -0, 1e3, 0.1])")
          .value();
  std::vector<Kind> kinds;
  std::vector<Value> values;
  for (const Value v : d.root().elements()) {
    kinds.push_back(v.kind());
    values.push_back(v);
  }
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::integer, Kind::integer, Kind::big_integer, Kind::big_integer,
                               Kind::real, Kind::real, Kind::integer, Kind::real, Kind::real}));
  EXPECT_EQ(values[0].as_int64().value(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(values[1].as_int64().value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(values[3].as_uint64().value(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(values[0].as_uint64().error().is(Errc::out_of_range));
  EXPECT_TRUE(values[2].as_int64().error().is(Errc::out_of_range));
  EXPECT_TRUE(values[5].as_int64().error().is(Errc::wrong_type))
      << "1.0 is no integer: money is not rounded";
  EXPECT_EQ(values[8].as_double().value(), 0.1);
  EXPECT_EQ(values[4].number_text(), "18446744073709551616");
}

TEST(JsonParse, RoundsDoublesExactly) {
  // Halfway and hard cases, where a fast parser is one step off.
  for (const auto& [text, bits] : std::vector<std::pair<std::string, std::uint64_t>>{
           {"9007199254740993.0", 0x4340000000000000},
           {"2.2250738585072011e-308", 0x000fffffffffffff},
           {"1.7976931348623158e308", 0x7fefffffffffffff},
           {"333333333.33333329", 0x41b3de4355555555},
           {"5e-324", 1},
           {"2e-324", 0}}) {
    const double value = parse(text).value().root().as_double().value();
    EXPECT_EQ(std::bit_cast<std::uint64_t>(value), bits) << text;
  }
}

TEST(JsonParse, CountsDepthFromTheOutermost) {
  const std::string deep = std::string(32, '[') + std::string(32, ']');
  EXPECT_TRUE(parse(deep).has_value());
  EXPECT_TRUE(parse("[" + deep + "]").error().is(Errc::too_deep));
  EXPECT_TRUE(parse(std::string(100'000, '[')).error().is(Errc::too_deep));
}

TEST(JsonParse, ChecksTheSizeFirst) {
  EXPECT_TRUE(parse("[1,2,3]", {.max_bytes = 7}).has_value());
  EXPECT_TRUE(parse("[1,2,3] ", {.max_bytes = 7}).error().is(Errc::too_large));
}

TEST(JsonParse, FindsDuplicatesAmongManyMembers) {
  std::string text = "{";
  for (int i = 0; i < 20'000; ++i) text += fmt::format("\"k{}\":{},", i, i);
  EXPECT_TRUE(parse(text + "\"last\":0}").has_value());
  EXPECT_TRUE(parse(text + "\"k0\":0}").error().is(Errc::duplicate_key));
}

TEST(JsonParse, LongStringsAndEscapesArriveWhole) {
  const std::string plain(100'000, 'x');
  const Document d =
      parse("{\"" + plain + "\\u00e9\":\"" + plain + "\\ud83d\\ude00" + plain + "\"}").value();
  for (const auto& [key, value] : d.root().members()) {
    EXPECT_EQ(key, plain + "é");
    EXPECT_EQ(*value.as_string(), plain + "😀" + plain);
  }
}

TEST(JsonValue, ErrorsNameThePath) {
  const Document d = parse(R"({"challenge":{"id":7,"list":[{"a":1},{"b":null}]},"s":"x"})").value();
  const Value challenge = d.root().object("challenge").value();
  EXPECT_EQ(challenge.string("id").error().message(),
            "challenge.id: expected a string, found an integer");
  EXPECT_EQ(challenge.string("realm").error().message(),
            "challenge.realm: required member is missing");
  EXPECT_EQ(d.root().string("nope").error().message(), "nope: required member is missing");
  EXPECT_EQ(d.root().object("s").error().message(), "s: expected an object, found a string");
  EXPECT_EQ(d.root().as_array().error().message(), "JSON: expected an array, found an object");
  EXPECT_TRUE(d.root().find("s")->member("x").error().is(Errc::wrong_type));
  std::vector<std::string> paths;
  for (const Value v : challenge.array("list")->elements()) {
    for (const auto& [key, member] : v.members()) paths.push_back(member.path());
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"challenge.list[0].a", "challenge.list[1].b"}));
}

TEST(JsonValue, OptionalMembersMayBeAbsentButNotWrong) {
  const Document d = parse(R"({"s":"x","n":null,"i":3,"b":true,"o":{}})").value();
  EXPECT_EQ(d.root().optional_string("s").value(), "x");
  EXPECT_EQ(d.root().optional_string("absent").value(), std::nullopt);
  EXPECT_TRUE(d.root().optional_string("n").error().is(Errc::wrong_type));
  EXPECT_EQ(d.root().optional_int64("i").value(), 3);
  EXPECT_EQ(d.root().optional_boolean("b").value(), true);
  EXPECT_TRUE(d.root().optional_object("o").value().has_value());
  EXPECT_TRUE(d.root().find("s")->optional_string("x").error().is(Errc::wrong_type));
  EXPECT_FALSE(d.root().find("s")->find("x").has_value());
}

TEST(JsonValue, WritesItselfAsItWasRead) {
  const std::string text =
      R"({"b":[1,-2,18446744073709551615,1.50,1E+2,true,null],"a":{"é":"\n\"😀"}})";
  EXPECT_EQ(parse(text).value().root().to_json(), text);
}

TEST(JsonValue, SurvivesItsDocumentsMove) {
  Document first = parse(R"({"a":{"b":"c"}})").value();
  const Value inner = first.root().object("a").value();
  const Document second = std::move(first);
  EXPECT_EQ(inner.string("b").value(), "c");
  EXPECT_EQ(second.root().size(), 1U);
}

}  // namespace
}  // namespace octroi::json
