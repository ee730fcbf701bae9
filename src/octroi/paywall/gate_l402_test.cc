// The L402 scheme through the gate: one payment, a token for many requests.
#include "octroi/l402/macaroon.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;
class Token : public GateTest {
 protected:
  http::Response show(const std::string& credential, std::string target = "/v1/data") {
    return get(std::move(target), {{"Authorization", credential}});
  }
  static TokenId id_of(const http::Response& r) {
    return l402::parse_challenges(*r.headers.get("WWW-Authenticate"))[0].id.token;
  }
  /// The credential with caveats of the holder's own.
  std::string attenuated(const http::Response& r, std::vector<std::string> caveats) {
    const auto c = l402::parse_challenges(*r.headers.get("WWW-Authenticate"))[0];
    const auto narrowed = l402::attenuate(c.macaroon, caveats);
    EXPECT_TRUE(narrowed);
    return std::string(
        l402::format_credential(l402::SchemeName::l402, *narrowed, invoices.preimage(c.id.hash))
            .reveal_text());
  }
};

TEST_F(Token, OpensTheServiceAgainAndAgainWithOneLookAtTheStore) {
  start(service());
  const auto token = buy_token();
  auto r = show(token);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "hello");
  EXPECT_FALSE(r.headers.has("Payment-Receipt"));
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=60");
  const auto operations = store.operations();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(show(token, "/other/path").status, 200);
  EXPECT_EQ(ask({.method = "POST", .fields = {{"Authorization", token}}, .body = "x"}).status, 200);
  EXPECT_EQ(store.operations(), operations);
  EXPECT_EQ(seen.size(), 7U);
  EXPECT_EQ(metrics.counter("octroi_payments_total", "", {{"service", "api"}, {"scheme", "l402"}})
                .value(),
            1);
  EXPECT_EQ(metrics.counter("octroi_paid_msat_total", "").value(), 10'000);
}

TEST_F(Token, ASecondWorkerSeesTheSameTokenAsTheFirst) {
  const auto p = with({service()});
  start(p);
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  publish(p);  // nothing is remembered on the new snapshot
  EXPECT_EQ(show(token).status, 200);
  store.restart();
  publish(p);
  EXPECT_EQ(show(token).status, 200);
  EXPECT_EQ(metrics.counter("octroi_payments_total", "", {{"service", "api"}, {"scheme", "l402"}})
                .value(),
            1);
}

TEST_F(Token, EveryCarrierThatClientsUse) {
  start(service());
  const auto asked = get();
  const auto c = l402::parse_challenges(*asked.headers.get("WWW-Authenticate"))[0];
  const auto preimage = to_hex(invoices.preimage(c.id.hash));
  const auto proven = l402::attenuate(c.macaroon, std::vector<std::string>{"preimage=" + preimage});
  ASSERT_TRUE(proven);
  const auto token = this->token(asked);
  const auto rest = token.substr(token.find(' '));
  struct Row {
    const char* name;
    Fields fields;
  };
  for (const Row& row :
       {Row{"L402", {{"Authorization", "L402" + rest}}},
        Row{"LSAT", {{"Authorization", "LSAT" + rest}}},
        Row{"any case", {{"Authorization", "lSaT" + rest}}},
        Row{"Macaroon", {{"Macaroon", to_hex(*proven)}}},
        Row{"gRPC metadata", {{"Grpc-Metadata-Macaroon", to_hex(*proven)}}},
        Row{"both names of one token",
            {{"Authorization", "L402" + rest}, {"Authorization", "LSAT" + rest}}}}) {
    seen.clear();
    EXPECT_EQ(get("/v1/data", row.fields).status, 200) << row.name;
    ASSERT_EQ(seen.size(), 1U) << row.name;
    for (const char* name : {"Authorization", "Macaroon", "Grpc-Metadata-Macaroon"}) {
      EXPECT_FALSE(seen[0].headers.has(name)) << row.name;
    }
  }
}

TEST_F(Token, WhatDoesNotVerifyGetsAFreshChallenge) {
  start(service());
  const auto asked = get();
  const auto c = l402::parse_challenges(*asked.headers.get("WWW-Authenticate"))[0];
  const auto preimage = invoices.preimage(c.id.hash);
  const auto with_preimage = [&](ByteView macaroon, ByteView p) {
    return std::string(l402::format_credential(l402::SchemeName::l402, macaroon, p).reveal_text());
  };
  auto tampered = c.macaroon;
  tampered[tampered.size() - 1] ^= 1;
  struct Row {
    const char* name;
    std::string value;
    const char* problem;
  };
  for (const Row& row :
       {Row{"wrong preimage", with_preimage(c.macaroon, std::array<std::uint8_t, 32>{9}),
            "verification-failed"},
        Row{"changed macaroon", with_preimage(tampered, preimage), "verification-failed"},
        Row{"no preimage", token(asked).substr(0, token(asked).find(':')), "malformed-credential"},
        Row{"empty", "L402", "malformed-credential"},
        Row{"garbage", "L402 ***:***", "malformed-credential"},
        Row{"half a preimage", token(asked).substr(0, token(asked).size() - 2),
            "malformed-credential"}}) {
    const auto r = show(row.value);
    EXPECT_EQ(r.status, 402) << row.name;
    EXPECT_EQ(problem(r), row.problem) << row.name;
    EXPECT_EQ(field(r, "Cache-Control"), "no-store") << row.name;
    EXPECT_NE(line_of(r, "L402"), "") << row.name;
    EXPECT_NE(line_of(r, "L402"), line_of(asked, "L402")) << row.name;
    EXPECT_EQ(r.body.find(to_hex(preimage)), std::string::npos) << row.name;
  }
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(show(token(asked)).status, 200);
}

TEST_F(Token, TwoDifferentTokensAreABadRequest) {
  start(service());
  const auto a = buy_token();
  const auto b = buy_token();
  const auto r = get("/v1/data", {{"Authorization", a}, {"Authorization", b}});
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(problem(r), "bad-request");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Token, OpensNoOtherServiceAndNoOtherPriceRule) {
  auto cheap = service("cheap");
  cheap.path = "^/cheap";
  cheap.price.msat = to_msat(1_sat);
  auto dear = service("dear");
  dear.prices = {{"^/v1/gold", {}, {to_msat(500_sat), {}}}, {"", {"POST"}, {to_msat(50_sat), {}}}};
  start(with({cheap, dear}));
  const auto cheap_token = buy_token({.target = "/cheap"});
  const auto base_token = buy_token({.target = "/v1/a"});
  const auto gold_token = buy_token({.target = "/v1/gold"});
  EXPECT_EQ(show(cheap_token, "/v1/a").status, 402);
  EXPECT_EQ(show(cheap_token, "/v1/gold").status, 402);
  EXPECT_EQ(show(cheap_token, "/cheap/../v1/gold").status, 402);
  EXPECT_EQ(show(base_token, "/v1/gold").status, 402);
  EXPECT_EQ(show(base_token, "/v1/%67old").status, 402);
  EXPECT_EQ(show(base_token, "/cheap").status, 402);
  EXPECT_EQ(ask({.method = "POST", .fields = {{"Authorization", base_token}}, .body = "x"}).status,
            402);
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(show(cheap_token, "/cheap/x").status, 200);
  EXPECT_EQ(show(base_token, "/v1/b").status, 200);
  EXPECT_EQ(show(gold_token, "/v1/gold/x").status, 200);
}

TEST_F(Token, ARuleAddedLaterIsNotOpenToOlderTokens) {
  auto p = with({service()});
  start(p);
  const auto token = buy_token();
  EXPECT_EQ(show(token, "/v1/gold").status, 200);
  p.services[0].prices = {{"^/v1/gold", {}, {to_msat(500_sat), {}}}};
  publish(p);
  EXPECT_EQ(show(token, "/v1/gold").status, 402);
  EXPECT_EQ(show(token, "/v1/data").status, 200);
}

TEST_F(Token, ExpiresWhenTheServiceSaid) {
  auto s = service();
  s.token.valid_for = Millis(60'000);
  start(s);
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  clock.advance(Millis(59'000));
  EXPECT_EQ(show(token).status, 200);
  clock.advance(Millis(1'000));
  const auto r = show(token);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "payment-expired");
  EXPECT_NE(line_of(r, "L402"), "");
}

TEST_F(Token, NeverIsNever) {
  auto s = service();
  s.token.valid_for.reset();
  start(s);
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  clock.advance(std::chrono::hours(24 * 365 * 20));
  EXPECT_EQ(show(token).status, 200);
}

TEST_F(Token, RevokedIsForbiddenWithoutAChallenge) {
  start(service());
  const auto asked = get();
  const auto token = this->token(asked);
  EXPECT_EQ(show(token).status, 200);
  gate->publish(std::make_shared<l402::RevocationSet>(std::vector<TokenId>{id_of(asked)}));
  for (int i = 0; i < 2; ++i) {
    const auto r = show(token);
    EXPECT_EQ(r.status, 403);
    EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
    EXPECT_EQ(problem(r), "verification-failed");
  }
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_EQ(show(buy_token()).status, 200);
  // The set outlives a reload of the configuration.
  publish(with({service()}));
  EXPECT_EQ(show(token).status, 403);
}

TEST_F(Token, AHashThatTheNodeNeverMadeIsWorthNothing) {
  start(service());
  invoices.recorded = false;
  const auto r = show(buy_token());
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "verification-failed");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Token, AHashSpentElsewhereIsWorthNothing) {
  start(service());
  const auto asked = get();
  const auto c = l402::parse_challenges(*asked.headers.get("WWW-Authenticate"))[0];
  ledger::ConsumeRequest other;
  other.hash = c.id.hash;
  other.scheme = ledger::Scheme::mpp_charge;
  other.challenge_id = "x";
  other.now = clock.now();
  other.keep_until = clock.now() + Millis(1'000'000);
  ASSERT_TRUE(net::run_until(loop, store.consume(other)));
  EXPECT_EQ(show(token(asked)).status, 402);
  EXPECT_TRUE(seen.empty());
}

TEST_F(Token, WithoutTheStoreKnownTokensWorkAndNewOnesWait) {
  start(service());
  const auto known = buy_token();
  const auto fresh = buy_token();
  EXPECT_EQ(show(known).status, 200);
  store.set_unavailable(true);
  EXPECT_EQ(show(known).status, 200);
  const auto r = show(fresh);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  EXPECT_EQ(seen.size(), 2U);
  store.set_unavailable(false);
  EXPECT_EQ(show(fresh).status, 200);
}

TEST_F(Token, StrictAsksTheNodeOnce) {
  auto s = service();
  s.strict = true;
  start(s);
  const auto asked = get();
  const auto token = this->token(asked);
  auto r = show(token);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "verification-failed");
  settlements.down = true;
  EXPECT_EQ(show(token).status, 503);
  EXPECT_TRUE(seen.empty());
  settlements.down = false;
  settlements.settled.insert(
      l402::parse_challenges(*asked.headers.get("WWW-Authenticate"))[0].id.hash);
  EXPECT_EQ(show(token).status, 200);
  settlements.down = true;
  EXPECT_EQ(show(token).status, 200);
}

TEST_F(Token, TheHolderMayNarrowButNotWiden) {
  start(service());
  const auto asked = get();
  const auto narrow =
      attenuated(asked, {fmt::format("api_valid_until={}", clock.now().seconds() + 5)});
  EXPECT_EQ(show(narrow).status, 200);
  clock.advance(Millis(6'000));
  EXPECT_EQ(show(narrow).status, 402);
  EXPECT_EQ(show(token(asked)).status, 200);
  const auto wide =
      attenuated(asked, {fmt::format("api_valid_until={}", clock.now().seconds() + 99'999'999)});
  EXPECT_EQ(show(wide).status, 402);
  EXPECT_EQ(show(attenuated(asked, {"services=api:0,other:0"})).status, 402);
}

TEST_F(Token, OldRingKeysVerifyUntilTheyAreDropped) {
  auto p = with({service()});
  start(p);
  const auto token = buy_token();
  const auto old = p.l402_keys.front();
  const auto fresh = std::make_shared<Secret>(std::string_view("ANEWROOTKEYANEWROOTKEYANEWROOTKE"));
  p.l402_keys = {fresh, old};
  p.secret = {std::make_shared<Secret>(std::string_view("another-mpp-secret-another-mpp-secret"))};
  publish(p);
  EXPECT_EQ(show(token).status, 200);  // changing the Payment secret kills no token
  p.l402_keys = {fresh};
  publish(p);
  EXPECT_EQ(show(token).status, 402);
}

TEST_F(Token, BesideAPaymentCredentialTheTokenIsEnough) {
  start(service());
  const auto asked = get();
  const auto token = this->token(asked);
  const auto proof = this->proof(asked);
  auto r = get("/v1/data", {{"Authorization", token}, {"Authorization", proof}});
  EXPECT_EQ(r.status, 200);
  EXPECT_FALSE(r.headers.has("Payment-Receipt"));
  // The Payment credential was not spent.
  r = show(proof);
  EXPECT_EQ(r.status, 200);
  EXPECT_TRUE(r.headers.has("Payment-Receipt"));
  // A token that is not good leaves the word to the other one.
  const auto second = buy();
  r = get("/v1/data",
          {{"Authorization", token.substr(0, token.size() - 2) + "00"}, {"Authorization", second}});
  EXPECT_EQ(r.status, 200);
  EXPECT_TRUE(r.headers.has("Payment-Receipt"));
  for (const auto& s : seen) EXPECT_FALSE(s.headers.has("Authorization"));
}

TEST_F(Token, RatesCountTheTokenAndNotItsAddress) {
  auto s = service();
  s.rate_limits = {{"^/v1/", 2, Millis(60'000), 0, CountBy::token}};
  start(s);
  const auto a = buy_token({.target = "/other"});
  const auto b = buy_token({.target = "/other"});
  EXPECT_EQ(show(a).status, 200);
  EXPECT_EQ(show(a).status, 200);
  const auto r = show(a);
  EXPECT_EQ(r.status, 429);
  EXPECT_EQ(field(r, "Retry-After"), "30");
  EXPECT_EQ(show(b).status, 200);
  clock.advance(Millis(30'000));
  EXPECT_EQ(show(a).status, 200);
  EXPECT_EQ(seen.size(), 4U);
}

TEST_F(Token, ARefusedRuleGivesTheOthersTheirRoomBack) {
  auto s = service();
  s.rate_limits = {{"", 3, Millis(60'000), 0, CountBy::token},
                   {"^/v1/", 1, Millis(10'000), 0, CountBy::token}};
  start(s);
  const auto token = buy_token({.target = "/other"});
  EXPECT_EQ(show(token).status, 200);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(show(token).status, 429);
  EXPECT_EQ(show(token, "/x").status, 200);
  EXPECT_EQ(show(token, "/x").status, 200);
  EXPECT_EQ(show(token, "/x").status, 429);
}

}  // namespace
}  // namespace octroi::paywall
