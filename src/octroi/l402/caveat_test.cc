#include "octroi/l402/caveat.h"

#include <gtest/gtest.h>

#include "octroi/l402/testdata.h"

namespace octroi::l402 {
namespace {

/// What the grant names stands in the macaroon, which is kept until the next check.
Result<CaveatGrant> check(const std::vector<std::string>& caveats, ServiceView service,
                          UnixMillis now = from_unix_seconds(1000)) {
  static Bytes bytes;
  MacaroonWriter writer(as_bytes("root"), {}, as_bytes("id"));
  for (const std::string& caveat : caveats) writer.add(caveat);
  bytes = *std::move(writer).finish();
  return check_caveats(decode_macaroon(bytes)->caveats, service, now);
}

std::vector<std::string> texts(json::Value list) {
  std::vector<std::string> out;
  for (const json::Value item : list.elements()) out.emplace_back(*item.as_string());
  return out;
}

TEST(Caveats, Rows) {
  const json::Document data = load_testdata("caveats.json");
  for (const json::Value row : data.root().array("rows")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    std::vector<std::string> needs;
    if (auto list = row.find("needs")) needs = texts(*list);
    const std::vector<std::string_view> need_views(needs.begin(), needs.end());
    std::vector<Fact> facts;
    if (auto object = row.find("facts")) {
      for (const auto& [name, value] : object->members())
        facts.push_back({name, *value.as_string()});
    }
    const auto tier = row.optional_int64("tier")->value_or(0);
    auto grant = check(texts(*row.array("caveats")), {.name = "weather",
                                                      .tier = static_cast<std::uint8_t>(tier),
                                                      .capabilities = need_views,
                                                      .facts = facts});
    const auto error = row.optional_string("error");
    if (*error) {
      ASSERT_FALSE(grant);
      EXPECT_EQ(grant.error().code(), **error) << grant.error().message();
    } else {
      EXPECT_TRUE(grant) << grant.error().message();
    }
  }
}

TEST(Caveats, TheGrantTellsTierAndEnd) {
  auto grant = check({"services=weather:3", "weather_valid_until=2000", "weather_valid_until=1500"},
                     {.name = "weather"});
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->tier, 3);
  EXPECT_EQ(grant->valid_until, from_unix_seconds(1500));
  EXPECT_FALSE(check({"services=weather:0"}, {.name = "weather"})->valid_until);
}

TEST(Caveats, TheGrantTellsHowManyUnits) {
  const auto meter = [](std::vector<std::string> caveats) {
    caveats.insert(caveats.begin(), "services=weather:0");
    return check(caveats, {.name = "weather"});
  };
  EXPECT_FALSE(meter({})->meter);
  EXPECT_FALSE(meter({"maps_meter=token:9"})->meter) << "about another service";
  const auto sold = meter({"weather_valid_until=3000", "weather_meter=token:900",
                           "weather_valid_until=2000", "weather_meter=token:40"});
  ASSERT_TRUE(sold && sold->meter);
  EXPECT_EQ(sold->meter->unit, "token");
  EXPECT_EQ(sold->meter->first, 900);
  EXPECT_EQ(sold->meter->bound, 40);
  EXPECT_EQ(sold->meter->sold_until, from_unix_seconds(3000)) << "what stood before the first";
  EXPECT_EQ(sold->valid_until, from_unix_seconds(2000));
  EXPECT_FALSE(meter({"weather_meter=token:9", "weather_valid_until=2000"})->meter->sold_until);
  EXPECT_EQ(meter({"weather_meter=token:0"})->meter->bound, 0);
  for (const char* second : {"token:10", "byte:9", "Token:9", "toke:1"}) {
    const auto r = meter({"weather_meter=token:9", std::string("weather_meter=") + second});
    ASSERT_FALSE(r) << second;
    EXPECT_TRUE(r.error().is(Errc::caveat_denied)) << second;
  }
  for (const char* bad : {"", "token", "token:", ":9", "token:-1", "token:+1", "token:09",
                          "token:9 ", " token:9", "token:9:9", "to ken:9",
                          "token:9223372036854775808", "token:1e3", "token:0x9", "token,byte:9"}) {
    const auto r = meter({std::string("weather_meter=") + bad});
    ASSERT_FALSE(r) << bad;
    EXPECT_TRUE(r.error().is(Errc::malformed)) << bad;
  }
}

TEST(Caveats, TheGrantTellsHowManyRequests) {
  const auto number = [](std::vector<std::string> caveats) {
    caveats.insert(caveats.begin(), "services=weather:0");
    return check(caveats, {.name = "weather"});
  };
  EXPECT_FALSE(number({})->max_requests);
  EXPECT_EQ(number({"weather_max_requests=9", "weather_max_requests=4"})->max_requests, 4);
  EXPECT_FALSE(number({"maps_max_requests=9"})->max_requests) << "about another service";
  EXPECT_TRUE(
      number({"weather_max_requests=4", "weather_max_requests=5"}).error().is(Errc::caveat_denied));
  for (const char* bad : {"", "x", "-1", "01", "1.5", "99999999999999999999"}) {
    const auto r = number({std::string("weather_max_requests=") + bad});
    ASSERT_FALSE(r) << bad;
    EXPECT_TRUE(r.error().is(Errc::malformed)) << bad;
  }
}

TEST(Caveats, TheLastMillisecondIsStillValid) {
  const std::vector<std::string> caveats = {"services=weather:0", "weather_valid_until=1000"};
  EXPECT_TRUE(check(caveats, {.name = "weather"}, UnixMillis{999'999}));
  EXPECT_FALSE(check(caveats, {.name = "weather"}, UnixMillis{1'000'000}));
}

TEST(Caveats, NamesThatCouldBeReadTwoWaysAreNone) {
  for (const char* good : {"a", "charges.create", "customers.*", "a-b_c/d"})
    EXPECT_TRUE(is_caveat_name(good)) << good;
  for (const char* bad : {"", "a b", "a,b", "a:b", "a=b", "a\"b", "a\\b", "a\n", "\xc3\xa9"}) {
    EXPECT_FALSE(is_caveat_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace octroi::l402
