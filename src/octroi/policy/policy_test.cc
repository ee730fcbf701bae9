#include "octroi/policy/policy.h"

#include <gtest/gtest.h>

#include "octroi/policy/policy_testing.h"
#include "octroi/policy/text.h"

namespace octroi::policy {
namespace {

TEST(Glob, MatchesStars) {
  struct Row {
    std::string_view pattern, text;
    bool matches;
  };
  const Row rows[] = {{"", "", true},
                      {"*", "", true},
                      {"*", "abc", true},
                      {"a*", "abc", true},
                      {"a*", "ba", false},
                      {"*c", "abc", true},
                      {"a*c", "abcbc", true},
                      {"a*b*c", "axbyc", true},
                      {"a*b*c", "axcyb", false},
                      {"abc", "ABC", false},
                      {"**a", "a", true},
                      {"*@x.com", "a@x.com", true},
                      {"*@x.com", "a@x.com.evil", false}};
  for (const Row& row : rows) {
    EXPECT_EQ(glob_matches(row.pattern, row.text), row.matches) << row.pattern << " " << row.text;
  }
  // Quadratic at most.
  EXPECT_FALSE(glob_matches(std::string(50, '*') + "b", std::string(20'000, 'a')));
}

TEST(Endpoints, NameOperationsAndPaths) {
  struct Row {
    std::string_view endpoint, operation, method, path;
    bool matches;
  };
  const Row rows[] = {
      {"charges.create", "charges.create", "POST", "/v1/charges", true},
      {"charges.create", "charges.capture", "POST", "/v1/charges/ch/capture", false},
      {"charges.create", "charges.createx", "POST", "/", false},
      {"customers.*", "customers.create", "POST", "/v1/customers", true},
      {"customers.*", "customers.sources.create", "POST", "/v1/customers/c/sources", true},
      {"customers.*", "customers", "GET", "/", false},
      {"customers.*", "customersx.create", "POST", "/", false},
      {"*", "anything.at.all", "GET", "/x", true},
      {"*", "", "POST", "/unknown", false},
      {"GET /v1/charges/**", "charges.list", "GET", "/v1/charges", true},
      {"GET /v1/charges/**", "charges.get", "GET", "/v1/charges/ch_1/x", true},
      {"GET /v1/charges/**", "", "GET", "/v1/chargesx", false},
      {"GET /v1/charges/**", "", "POST", "/v1/charges", false},
      {"GET /v1/charges/*", "", "GET", "/v1/charges/ch_1", true},
      {"GET /v1/charges/*", "", "GET", "/v1/charges/ch_1/refunds", false},
      {"GET /v1/charges/*", "", "GET", "/v1/charges/", false},
      {"GET /v1/charges/ch_*", "", "GET", "/v1/charges/cu_1", false},
      {"* /v1/refunds", "", "DELETE", "/v1/refunds", true},
      {"* /**", "", "POST", "/x", true},
      {"POST /", "", "POST", "/", true},
      {"POST /", "", "POST", "/x", false}};
  for (const Row& row : rows) {
    const auto endpoint = parse_endpoint(row.endpoint);
    ASSERT_TRUE(endpoint) << row.endpoint;
    EXPECT_EQ(format(*endpoint), row.endpoint);
    Call call;
    call.operation = row.operation;
    call.method = row.method;
    call.path = row.path;
    EXPECT_EQ(matches(*endpoint, call), row.matches)
        << row.endpoint << " " << row.method << " " << row.path;
  }
  for (const char* bad : {"", ".", "a.", ".a", "a*", "*.a", "a b", "get /x", "GET x", "GET /a/**/b",
                          "GET /a**", "GET //a", "GET /a?b", "GET /%61", "GET  /a", "GET /a b"}) {
    EXPECT_FALSE(parse_endpoint(bad)) << bad;
  }
}

TEST(Durations, HaveUnitsFromLargeToSmall) {
  EXPECT_EQ(parse_duration("1h30m"), Millis(5'400'000));
  EXPECT_EQ(parse_duration("250ms"), Millis(250));
  EXPECT_EQ(format_duration(Millis(90'061'001)), "1d1h1m1s1ms");
  for (const char* bad : {"", "5", "m", "5x", "5m1h", "5m5m", "1.5h", "-5m", "5 m"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

constexpr std::string_view kEverything = R"({
  "vendor": "stripe", "mode": "shadow", "endpoints": ["charges.create", "GET /v1/**"],
  "daily_cap": "250 usd", "monthly_cap": "1000 usd", "max_amount": "50 usd",
  "max_amounts": {"refund": "10 usd"},
  "caps": [{"per": "hour", "calls": 100}, {"per": "day", "direction": "refund", "usd": "20 usd",
            "by": "customer"}, {"per": "run", "usd": "5 usd", "budget": "team"}],
  "time_zone": "Europe/Berlin", "customers": ["cus_1"], "recipients": ["*@Example.com", "+49*"],
  "countries": ["de", "AT"], "senders": ["*.Example.com"],
  "fields": [{"field": "currency", "one_of": ["usd", "eur"]},
             {"field": "metadata[*]", "absent": true, "endpoints": ["charges.*"]},
             {"field": "quantity", "at_most": 10}],
  "velocity": {"calls": 20, "per": "10s", "then": "pause"}, "approve_over": "20 usd",
  "approve": ["payouts.*"], "dedupe": "60s", "unknown_amount": "assume_max",
  "unknown_customer": "lookup", "expires": "2026-12-31T00:00:00.5+01:00"})";

TEST(Policy, HasOneText) {
  const Policy p = policy_of(kEverything);
  ASSERT_EQ(p.caps.size(), 5U);
  EXPECT_EQ(p.caps[0].period, Period::day);
  EXPECT_EQ(p.caps[4].budget, "team");
  EXPECT_EQ(p.recipients[0], "*@example.com");
  EXPECT_EQ(p.countries[0], "DE");
  const Policy again = policy_of(p.text);
  EXPECT_EQ(again.text, p.text);
  EXPECT_EQ(again.hash, p.hash);
  EXPECT_EQ(again.caps, p.caps);
  EXPECT_EQ(again.fields, p.fields);
  EXPECT_EQ(again.velocity, p.velocity);
  EXPECT_EQ(again.expires, p.expires);
  // Every member says something: without it the text is another one.
  const auto document = json::parse(p.text);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().size(), 19U);
}

TEST(Policy, ShortAndLongFormsAreTheSamePolicy) {
  const Policy brief = stripe_policy(R"("daily_cap":"250.00 usd")");
  const Policy full = policy_of(
      R"({"endpoints":"*","caps":[{"usd":"250 usd","per":"day","by":"policy"}],
          "mode":"enforce","time_zone":"UTC","vendor":"stripe"})");
  EXPECT_EQ(brief.text, full.text);
  EXPECT_EQ(brief.hash, full.hash);
  EXPECT_NE(brief.hash, stripe_policy(R"("daily_cap":"251 usd")").hash);
}

TEST(Policy, AnErrorNamesTheFieldAndTheFix) {
  struct Row {
    std::string_view text, error;
  };
  const Row rows[] = {
      {R"([])", "the policy: not an object"},
      {R"({)", "the policy: "},
      {R"({"vendor":"s","vendor":"t"})", "the policy: "},
      {R"({})", "vendor: is missing"},
      {R"({"vendor":7})", "vendor: write a text"},
      {R"({"vendor":"s","daily_cap":250})", "daily_cap: write an amount in dollars"},
      {R"({"vendor":"s","daily_cap":"250"})", "daily_cap: write an amount in dollars"},
      {R"({"vendor":"s","daily_cap":"10 sat"})", "daily_cap: write an amount in dollars"},
      {R"({"vendor":"s","daily_cap":"-1 usd"})", "daily_cap: write an amount in dollars"},
      {R"({"vendor":"s","daily_cap":null})", "daily_cap: write an amount in dollars"},
      {R"({"vendor":"s","dayly_cap":"1 usd"})", "dayly_cap: is not known here"},
      {R"({"vendor":"s","endpoints":["a b"]})", "endpoints[0]: not a method and path"},
      {R"({"vendor":"s","endpoints":[7]})", "endpoints[0]: write a text"},
      {R"({"vendor":"s","endpoints":["a","a"]})", "endpoints[1]: stands there twice"},
      {R"({"vendor":"s","customers":[]})", "customers: names nobody"},
      {R"({"vendor":"s","countries":["DEU"]})", "countries: \"DEU\" is not two letters"},
      {R"({"vendor":"s","senders":["a@b.c"]})", "senders: \"a@b.c\" is not a domain"},
      {R"({"vendor":"s","recipients":["a b"]})", "recipients: \"a b\" is not an address"},
      {R"({"vendor":"s","caps":[{"usd":"1 usd"}]})", "caps[0].per: is missing"},
      {R"({"vendor":"s","caps":[{"per":"day"}]})", "caps[0].usd: is missing"},
      {R"({"vendor":"s","caps":[{"per":"week","calls":1}]})", "caps[0].per: write one of hour"},
      {R"({"vendor":"s","caps":[{"per":"day","calls":1.5}]})", "caps[0].calls: write a whole"},
      {R"({"vendor":"s","caps":[{"per":"day","calls":1,"x":1}]})", "caps[0].x: is not known"},
      {R"({"vendor":"s","daily_cap":"1 usd","caps":[{"per":"day","usd":"2 usd"}]})", "caps: two"},
      {R"({"vendor":"s","caps":[{"per":"day","usd":"1 usd","direction":"read"}]})",
       "caps[0].usd: reads move no money"},
      {R"({"vendor":"s","max_amounts":{"read":"1 usd"}})", "max_amounts.read: is not known"},
      {R"({"vendor":"s","max_amount":"1 usd","max_amounts":{"charge":"2 usd"}})",
       "max_amounts.charge: is more than max_amount"},
      {R"({"vendor":"s","fields":[{"field":"a"}]})", "fields[0].field: needs one of"},
      {R"({"vendor":"s","fields":[{"field":"a","absent":false}]})", "fields[0].absent: write true"},
      {R"({"vendor":"s","fields":[{"field":"a","at_most":1,"at_least":0}]})",
       "fields[0].field: ne"},
      {R"({"vendor":"s","velocity":{"calls":1}})", "velocity.per: is missing"},
      {R"({"vendor":"s","velocity":{"per":"10s"}})", "velocity.calls: is missing"},
      {R"({"vendor":"s","velocity":{"calls":1,"per":"10"}})", "velocity.per: write a duration"},
      {R"({"vendor":"s","dedupe":"8d"})", "dedupe: write a duration from 1s to 7d"},
      {R"({"vendor":"s","unknown_amount":"assume_max"})", "unknown_amount: assume_max needs"},
      {R"({"vendor":"s","unknown_customer":"assume_max"})", "unknown_customer: write one of"},
      {R"({"vendor":"s","time_zone":"Mars/Base"})", "time_zone: time zone: \"Mars/Base\""},
      {R"({"vendor":"s","expires":"tomorrow"})", "expires: write a date"},
      {R"({"vendor":"s","mode":"off"})", "mode: write one of enforce, shadow"}};
  for (const Row& row : rows) {
    const auto parsed = parse_policy("bot", row.text, system_zones());
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_TRUE(parsed.error().message().starts_with(row.error)) << row.text << "\n"
                                                                 << parsed.error().message();
  }
  EXPECT_FALSE(parse_policy("a/b", R"({"vendor":"s"})", system_zones()));
  EXPECT_FALSE(parse_policy("", R"({"vendor":"s"})", system_zones()));
}

TEST(Policy, AdviceTellsWhatIsOpen) {
  EXPECT_EQ(advice(policy_of(R"({"vendor":"s"})")).size(), 1U);
  EXPECT_EQ(advice(stripe_policy()).size(), 3U);
  EXPECT_TRUE(advice(stripe_policy(R"("daily_cap":"1 usd","max_amount":"1 usd",
                                      "expires":"2030-01-01T00:00:00Z")"))
                  .empty());
}

}  // namespace
}  // namespace octroi::policy
