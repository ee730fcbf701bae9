// Prices that a source quotes: asked when a challenge is about to be issued, and never again.
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;

/// Quotes what the test says, and remembers what it was asked.
class Quotes final : public pricing::PriceSource, public PriceSources {
 public:
  std::function<Result<pricing::Quote>(const pricing::PriceRequest&)> say =
      [](const pricing::PriceRequest&) {
        return pricing::Quote{to_msat(7_sat), "seven", std::nullopt};
      };
  bool silent = false;
  std::vector<pricing::PriceRequest> asked;

  Task<Result<pricing::Quote>> quote(pricing::PriceRequest request) override {
    asked.push_back(request);
    if (silent) co_await net::Loop::current()->sleep(Millis(60'000));
    co_return say(request);
  }
  pricing::PriceSource* find(std::string_view name) override {
    return name == "pricer" ? this : nullptr;
  }
};

class Quoted : public GateTest {
 protected:
  Quoted() { sources = &quotes; }
  static ServiceSettings quoted(std::string name = "api") {
    auto s = service(std::move(name));
    s.price_source = "pricer";
    s.price.msat = to_msat(1_sat);  // never asked
    return s;
  }
  static Sat amount_of(const http::Response& r) {
    auto request = mpp::lightning::parse_charge_request(payment_of(r)->request);
    EXPECT_TRUE(request);
    return request ? request->amount : Sat{};
  }
  http::Response show(const std::string& credential, std::string target = "/v1/data") {
    return get(std::move(target), {{"Authorization", credential}});
  }
  Quotes quotes;
};

TEST_F(Quoted, TheQuotedAmountIsWhatBothSchemesAsk) {
  start(quoted());
  const auto r = get("/v1/data?size=3",
                     {{"Authorization", "Bearer ordinary"}, {"Cookie", "a=b"}, {"X-Size", "3"}});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(amount_of(r), 7_sat);
  EXPECT_EQ(payment_of(r)->description, "seven");
  ASSERT_EQ(rows.records.size(), 2U);
  EXPECT_EQ(rows.records[0].amount, to_msat(7_sat));
  EXPECT_EQ(rows.records[1].amount, to_msat(7_sat));
  ASSERT_EQ(quotes.asked.size(), 1U) << "one question for all schemes of a 402";
  const auto& asked = quotes.asked[0];
  EXPECT_EQ(asked.service.str(), "api");
  EXPECT_EQ(asked.method, "GET");
  EXPECT_EQ(asked.path, "/v1/data");
  EXPECT_EQ(asked.query, "size=3");
  EXPECT_FALSE(asked.rule);
  bool own_field = false;
  for (const auto& [name, value] : asked.headers) {
    EXPECT_NE(name, "Authorization");
    EXPECT_NE(name, "Cookie");
    own_field = own_field || name == "X-Size";
  }
  EXPECT_TRUE(own_field);
}

TEST_F(Quoted, SaysWhichRuleAndHowLongTheBodyIs) {
  auto s = quoted();
  s.prices = {{"^/other", {}, {}}, {"^/v1/", {"POST"}, {}}};
  start(s);
  EXPECT_EQ(post("12345").status, 402);
  ASSERT_EQ(quotes.asked.size(), 1U);
  EXPECT_EQ(quotes.asked[0].rule, 1U);
  EXPECT_EQ(quotes.asked[0].content_length, 5U);
  EXPECT_EQ(ask({.method = "HEAD"}).status, 402);
  EXPECT_EQ(quotes.asked[1].method, "GET");
}

TEST_F(Quoted, AnAmountOnceQuotedIsNeverRepriced) {
  start(quoted());
  const auto asked = get();
  quotes.say = [](const auto&) { return pricing::Quote{to_msat(99_sat), "", std::nullopt}; };
  EXPECT_EQ(show(proof(asked)).status, 200);
  EXPECT_EQ(show(token(asked)).status, 200);
  EXPECT_EQ(quotes.asked.size(), 1U) << "a credential is judged without asking";
  EXPECT_EQ(amount_of(get()), 99_sat);
}

TEST_F(Quoted, CredentialsAreJudgedWhileTheSourceIsAway) {
  start(quoted());
  const auto first = get();
  const auto again = get();
  quotes.say = [](const auto&) -> Result<pricing::Quote> {
    return fail(pricing::Errc::unavailable, "away");
  };
  EXPECT_EQ(show(proof(first)).status, 200);
  EXPECT_EQ(show(token(again)).status, 200);
  const auto r = get();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(problem(r), "internal-payment-error");
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  // The place among the client's unpaid challenges was given back.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get().status, 503);
}

// With scope: rule one payment opens any path of a rule; with a quoted price it never does.
TEST_F(Quoted, ACheapQuoteOpensNothingElse) {
  quotes.say = [](const pricing::PriceRequest& r) {
    const bool cheap = r.path == "/v1/cheap" || r.query == "size=1";
    return pricing::Quote{to_msat(cheap ? 1_sat : 500_sat), "", std::nullopt};
  };
  for (const Scope scope : {Scope::path, Scope::rule, Scope::query}) {
    auto s = quoted();
    s.scope = scope;
    start(s);
    for (const bool l402 : {false, true}) {
      for (const auto& [cheap, dear] : std::vector<std::pair<std::string, std::string>>{
               {"/v1/cheap", "/v1/dear"}, {"/v1/data?size=1", "/v1/data?size=900"}}) {
        const auto asked = get(cheap);
        EXPECT_EQ(amount_of(asked), 1_sat);
        const auto credential = l402 ? token(asked) : proof(asked);
        EXPECT_EQ(show(credential, dear).status, 402) << dear;
        EXPECT_EQ(
            show(credential, cheap + ((cheap.find('?') != std::string::npos) ? "&x" : "?x")).status,
            402);
        EXPECT_EQ(
            ask({.method = "POST", .target = cheap, .fields = {{"Authorization", credential}}})
                .status,
            402);
        EXPECT_EQ(show(credential, cheap).status, 200) << cheap;
      }
    }
  }
}

// Also where bodies are not bound: what was quoted for a small one opens no large one.
TEST_F(Quoted, AQuoteForASmallBodyOpensNoLargeOne) {
  auto s = quoted();
  s.digest = DigestMode::off;
  start(s);
  const auto asked = post("small");
  for (const auto& credential : {proof(asked), token(asked)}) {
    EXPECT_EQ(post("larger by far", {{"Authorization", credential}}).status, 402);
    EXPECT_EQ(post("SMALL", {{"Authorization", credential}}).status, 200);
  }
  ASSERT_FALSE(quotes.asked.empty());
  EXPECT_EQ(quotes.asked[0].content_length, 5U);
}

TEST_F(Quoted, ASourceThatIsNotThereSellsNothing) {
  auto s = quoted();
  s.price_source = "nobody";
  start(s);
  EXPECT_EQ(get().status, 503);
  EXPECT_TRUE(quotes.asked.empty());
  EXPECT_TRUE(seen.empty());
}

TEST_F(Quoted, ASilentSourceIsNotWaitedForWithoutEnd) {
  start(quoted());
  quotes.silent = true;
  const auto began = std::chrono::steady_clock::now();
  const auto r = get();
  EXPECT_EQ(r.status, 503);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST_F(Quoted, AChallengeEndsWithItsQuote) {
  start(quoted());
  quotes.say = [this](const auto&) {
    return pricing::Quote{to_msat(7_sat), "", clock.now() + Millis(20'000)};
  };
  const auto credential = proof(get());
  clock.advance(Millis(20'000));
  EXPECT_EQ(problem(show(credential)), "lightning/expired-invoice");
  quotes.say = [this](const auto&) { return pricing::Quote{to_msat(7_sat), "", clock.now()}; };
  EXPECT_EQ(get().status, 503) << "a quote that has already passed";
}

TEST_F(Quoted, AStrangerCannotMakeTheSourceWorkWithoutEnd) {
  auto p = with({quoted()});
  p.max_unpaid = 3;
  start(p);
  for (int i = 0; i < 20; ++i) get();
  EXPECT_EQ(get().status, 429);
  EXPECT_EQ(quotes.asked.size(), 3U);
}

TEST_F(Quoted, TheHoldersOwnChallengeIsRepeatedByteForByte) {
  auto s = quoted();
  s.schemes = {OfferScheme::payment};
  start(s);
  const auto asked = get();
  const auto wrong = proof_with(*payment_of(asked), std::array<std::uint8_t, 32>{1});
  const auto r = show(wrong);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(challenge_lines(r), challenge_lines(asked));
  EXPECT_EQ(quotes.asked.size(), 1U);
}

TEST_F(Quoted, InvoicesAreMadeForOneChallengeOnly) {
  start(quoted());
  get();
  EXPECT_EQ(invoices.once, 2);
}

TEST_F(Quoted, AQuoteOfNothingAsksForAProof) {
  start(quoted());
  quotes.say = [](const auto&) { return pricing::Quote{}; };
  const auto r = get();
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(challenge_lines(r).size(), 1U);
  EXPECT_EQ(invoices.calls, 0);
}

// A rate that is too old sells nothing, and takes nothing from those who have paid.
TEST_F(Quoted, PaidTokensOutliveAnOldRate) {
  auto s = service();
  s.price = {.msat = {}, .usd = 1_usd};
  auto p = with({s});
  p.rate = Rate{60'000_usd, fixture::kStart, Millis(60'000)};
  start(p);
  const auto credential = buy_token();
  clock.advance(Millis(120'000));
  EXPECT_EQ(get().status, 503);
  EXPECT_EQ(show(credential).status, 200);
}

}  // namespace
}  // namespace octroi::paywall
