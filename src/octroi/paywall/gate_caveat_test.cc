// What an L402 token may do: capabilities, conditions about the request, a number of requests.
#include "octroi/paywall/facts.h"
#include "octroi/paywall/gate_fixture.h"
#include "octroi/secrets/key_ring.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;

class Caveat : public GateTest {
 protected:
  static ServiceSettings tokens() {
    auto s = service();
    s.schemes = {OfferScheme::l402};
    return s;
  }
  std::string attenuated(const http::Response& r, const std::vector<std::string>& caveats) {
    const auto c = l402::parse_challenges(*r.headers.get("WWW-Authenticate"))[0];
    const auto narrowed = l402::attenuate(c.macaroon, caveats);
    EXPECT_TRUE(narrowed);
    return std::string(
        l402::format_credential(l402::SchemeName::l402, *narrowed, invoices.preimage(c.id.hash))
            .reveal_text());
  }
  http::Response show(const std::string& token, std::string target = "/v1/data", Fields more = {}) {
    more.emplace_back("Authorization", token);
    return get(std::move(target), std::move(more));
  }
};

TEST_F(Caveat, ARuleAsksForItsCapability) {
  auto s = tokens();
  s.token.capabilities = {"read"};
  s.capability = "read";
  s.prices = {{"^/v1/history/", {}, {to_msat(5_sat), {}}, "history"}};
  start(s);
  EXPECT_EQ(show(buy_token()).status, 200);
  EXPECT_EQ(show(attenuated(get(), {"api_capabilities=read"})).status, 200);
  // What is bought under a rule has what the rule needs, and may give it away.
  const auto asked = get("/v1/history/1");
  EXPECT_EQ(show(token(asked), "/v1/history/1").status, 200);
  EXPECT_EQ(show(attenuated(asked, {"api_capabilities=history"}), "/v1/history/1").status, 200);
  const auto r = show(attenuated(asked, {"api_capabilities=read"}), "/v1/history/1");
  EXPECT_EQ(r.status, 402);
  EXPECT_NE(line_of(r, "L402"), "") << "another token would help, so one is offered";
  EXPECT_EQ(seen.size(), 4U);
}

TEST_F(Caveat, ATokenFromBeforeTheCapabilityLacksIt) {
  auto s = tokens();
  start(s);
  const auto old = buy_token();
  EXPECT_EQ(show(old).status, 200);
  s.capability = "write";
  publish(with({s}));
  EXPECT_EQ(show(old).status, 402);
  EXPECT_EQ(show(buy_token()).status, 200);
}

TEST_F(Caveat, ACapabilityCannotBeTakenBack) {
  auto s = tokens();
  s.capability = "read";
  start(s);
  EXPECT_EQ(show(attenuated(get(), {"api_capabilities=read,write"})).status, 402);
  EXPECT_TRUE(seen.empty());
}

TEST_F(Caveat, ConditionsAreComparedWithWhatTheConfigurationSays) {
  auto s = tokens();
  s.token.constraints = {{"days", "7"}, {"region", "eu,us"}};
  s.token.facts = {{"days", "query:days"}, {"region", "header:X-Region"}};
  start(s);
  const auto token = buy_token();
  const Fields eu = {{"X-Region", "eu"}};
  EXPECT_EQ(show(token, "/v1/data?days=7", eu).status, 200);
  EXPECT_EQ(show(token, "/v1/data?a=b&days=%37", eu).status, 200);
  for (const char* query :
       {"days=8", "days=70", "days=", "days", "", "days=x", "days=-1", "days=1&days=90",
        "days=1&d%61ys=90", "days=%zz", "days=1%00", "days=1&x%zz=1", "DAYS=1"}) {
    EXPECT_EQ(show(token, std::string("/v1/data?") + query, eu).status, 402) << query;
  }
  EXPECT_EQ(show(token, "/v1/data?days=1").status, 402);
  EXPECT_EQ(show(token, "/v1/data?days=1", {{"X-Region", "asia"}}).status, 402);
  EXPECT_EQ(show(token, "/v1/data?days=1", {{"X-Region", "eu"}, {"X-Region", "us"}}).status, 402);
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(Caveat, AHolderMayNarrowWithThem) {
  auto s = tokens();
  s.token.facts = {{"days", "query:days"}};
  start(s);
  const auto asked = get();
  EXPECT_EQ(show(token(asked), "/v1/data?days=30").status, 200);
  const auto narrow = attenuated(asked, {"days=3"});
  EXPECT_EQ(show(narrow, "/v1/data?days=3").status, 200);
  EXPECT_EQ(show(narrow, "/v1/data?days=4").status, 402);
  EXPECT_EQ(show(attenuated(asked, {"days=3", "days=9"}), "/v1/data?days=1").status, 402);
  // What nobody here knows is skipped, as every verifier in the field does.
  EXPECT_EQ(show(attenuated(asked, {"mood=good"}), "/v1/data?days=9").status, 200);
}

TEST_F(Caveat, ATokenOpensItsNumberOfRequests) {
  auto s = tokens();
  s.token.max_requests = 3;
  start(s);
  const auto asked = get();
  const auto whole = token(asked);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(show(whole).status, 200);
  // A restart forgets nothing, and whoever was given a part shares the number.
  store.restart();
  publish(with({s}));
  EXPECT_EQ(show(attenuated(asked, {"method=GET"})).status, 200);
  for (const auto& shown : {whole, attenuated(asked, {"api_max_requests=2"})}) {
    const auto r = show(shown);
    EXPECT_EQ(r.status, 402);
    EXPECT_NE(line_of(r, "L402"), "");
  }
  EXPECT_EQ(show(attenuated(asked, {"api_max_requests=9"})).status, 402) << "only ever fewer";
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_EQ(show(buy_token()).status, 200);
}

TEST_F(Caveat, TheNumberIsExactForManyAtOnce) {
  auto s = tokens();
  s.token.max_requests = 5;
  start(s);
  const auto again = request({.fields = {{"Authorization", buy_token()}}});
  std::map<int, int> statuses;
  TaskGroup group;
  for (int i = 0; i < 32; ++i) group.start(fetch_into(this, again, &statuses));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses, (std::map<int, int>{{200, 5}, {402, 27}}));
}

TEST_F(Caveat, ANumberThatCannotBeCountedOpensNothing) {
  auto s = tokens();
  s.token.max_requests = 5;
  start(s);
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  store.set_unavailable(true);
  EXPECT_EQ(show(token).status, 503);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Caveat, APriceRuleEndsWhereASegmentEnds) {
  auto s = tokens();
  s.price.msat = to_msat(500_sat);
  s.prices = {{"^/v1/cheap", {}, {to_msat(1_sat), {}}}};
  s.free_paths = {"/v1/status"};
  start(s);
  const auto asked_for = [&](const char* target) {
    EXPECT_EQ(get(target).status, 402) << target;
    return rows.records.back().amount;
  };
  EXPECT_EQ(asked_for("/v1/cheap"), to_msat(1_sat));
  EXPECT_EQ(asked_for("/v1/cheap?x=1"), to_msat(1_sat));
  EXPECT_EQ(asked_for("/v1/cheap/today"), to_msat(1_sat));
  EXPECT_EQ(asked_for("/v1/cheap-but-dear"), to_msat(500_sat));
  EXPECT_EQ(asked_for("/v1/cheaper"), to_msat(500_sat));
  EXPECT_EQ(show(buy_token({.target = "/v1/cheap"}), "/v1/cheap-but-dear").status, 402);
  EXPECT_EQ(get("/v1/status").status, 200);
  EXPECT_EQ(get("/v1/status-of-secrets").status, 402);
}

// A label follows its key through a rotation, and says nothing of the key.
TEST_F(Caveat, VerificationsAreCountedByTheLabelOfTheirKey) {
  const auto key = [](const char* text) {
    return std::make_shared<Secret>(std::string_view(text));
  };
  auto p = with({service()});
  start(p);
  const auto counted = [&](const char* scheme, const Secret& by) {
    return metrics
        .counter("octroi_verifications_total", "",
                 {{"service", "api"},
                  {"scheme", scheme},
                  {"result", "accepted"},
                  {"key_version", secrets::key_label(by)}})
        .value();
  };
  const auto old_payment = p.secret.front();
  const auto old_token = p.l402_keys.front();
  const auto token = buy_token();
  const auto charge = buy();
  EXPECT_EQ(show(token).status, 200);
  EXPECT_EQ(counted("l402", *old_token), 1);
  const auto new_payment = key("a new key of at least 32 bytes, a");
  const auto new_token = key("a new key of at least 32 bytes, b");
  p.secret.insert(p.secret.begin(), new_payment);
  p.l402_keys.insert(p.l402_keys.begin(), new_token);
  publish(p);
  EXPECT_EQ(show(token).status, 200);
  EXPECT_EQ(show(charge).status, 200);
  EXPECT_EQ(counted("l402", *old_token), 2);
  EXPECT_EQ(counted("payment", *old_payment), 1);
  EXPECT_EQ(show(buy()).status, 200);
  EXPECT_EQ(show(buy_token()).status, 200);
  EXPECT_EQ(counted("payment", *new_payment), 1);
  EXPECT_EQ(counted("l402", *new_token), 1);
  EXPECT_EQ(counted("payment", *old_payment), 1);
  EXPECT_EQ(metrics.exposition().find("at least 32 bytes"), std::string::npos);
  EXPECT_EQ(metrics.counter("octroi_payments_total", "", {{"service", "api"}, {"scheme", "l402"}})
                .value(),
            2);
  EXPECT_EQ(metrics.counter("octroi_paid_msat_total", "").value(), 40'000);
}

TEST(Facts, AreReadOneWayOnly) {
  const FactSource q{"c", FactSource::From::query, "a b"};
  http::Headers none;
  EXPECT_EQ(fact_value(q, "x=1&a+b=2", none), "2");
  EXPECT_EQ(fact_value(q, "a%20b=%2B", none), "+");
  EXPECT_EQ(fact_value(q, "a%20b=1;x", none), "1;x");
  for (const char* query : {"", "a b", "a+b", "a+b=1&a%20b=1", "a+b=%", "a+b=%4", "a+b=%00"})
    EXPECT_EQ(fact_value(q, query, none), "") << query;
}

}  // namespace
}  // namespace octroi::paywall
