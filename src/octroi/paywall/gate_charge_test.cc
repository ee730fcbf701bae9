// The Payment scheme through the gate: one payment, one request.
#include "octroi/mpp/receipt.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;
class Charge : public GateTest {
 protected:
  static ServiceSettings payment_only(std::string name = "api") {
    auto s = service(std::move(name));
    s.schemes = {OfferScheme::payment};
    return s;
  }
  http::Response show(const std::string& credential, Fields more = {}) {
    more.emplace_back("Authorization", credential);
    return get("/v1/data", std::move(more));
  }
};

TEST_F(Charge, PaysForOneAnswerWithAReceipt) {
  start(payment_only());
  const auto asked = get();
  const auto challenge = *payment_of(asked);
  const auto r = show(proof(challenge));
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "hello");
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=60, private");
  const auto receipt = mpp::parse_receipt(field(r, "Payment-Receipt"));
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->status, "success");
  EXPECT_EQ(receipt->method, "lightning");
  EXPECT_EQ(receipt->reference, hash_of(challenge).hex());
  EXPECT_EQ(*receipt->challenge_id, challenge.id);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen[0].headers.has("Authorization"));
  EXPECT_EQ(
      metrics.counter("octroi_payments_total", "", {{"service", "api"}, {"scheme", "mpp_charge"}})
          .value(),
      1);
  EXPECT_EQ(metrics.counter("octroi_paid_msat_total", "").value(), 10'000);
  ASSERT_EQ(access.records.size(), 2U);
  EXPECT_EQ(access.records[1].outcome, "paid");
  EXPECT_EQ(access.records[1].challenge_id, challenge.id);
  EXPECT_EQ(access.records[1].status, 200);
}

TEST_F(Charge, ASecondUseIsAnUnknownChallenge) {
  start(payment_only());
  const auto credential = buy();
  EXPECT_EQ(show(credential).status, 200);
  for (int i = 0; i < 3; ++i) {
    const auto again = show(credential);
    EXPECT_EQ(again.status, 402);
    EXPECT_EQ(problem(again), "lightning/unknown-challenge");
    EXPECT_EQ(field(again, "Cache-Control"), "no-store");
    EXPECT_NE(payment_of(again)->id, payment_of(get())->id);
  }
  // A key that the first use had not does not help.
  EXPECT_EQ(problem(show(credential, {{"Idempotency-Key", "k"}})), "lightning/unknown-challenge");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, ASpentChallengeIsNeverRepeated) {
  start(payment_only());
  const auto asked = get();
  EXPECT_EQ(show(proof(asked)).status, 200);
  const auto wrong = proof_with(*payment_of(asked), std::array<std::uint8_t, 32>{1});
  const auto r = show(wrong);
  EXPECT_EQ(r.status, 402);
  // Repeating it would invite its holder to pay an invoice that opens nothing any more.
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_NE(challenge_lines(r), challenge_lines(asked));
}

TEST_F(Charge, TheSameIdempotencyKeyGetsTheSameAnswer) {
  start(payment_only());
  upstream_says(201, {{"Content-Type", "text/x"}, {"ETag", "\"1\""}, {"Set-Cookie", "a=b"}},
                "made");
  const auto credential = buy();
  const auto first = show(credential, {{"Idempotency-Key", "k1"}});
  clock.advance(Millis(30'000));
  upstream_says(500, {}, "must not be asked");
  const auto again = show(credential, {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, "made");
  for (const char* name : {"Content-Type", "ETag", "Cache-Control", "Payment-Receipt"}) {
    EXPECT_EQ(field(first, name), field(again, name)) << name;
    EXPECT_NE(field(again, name), "") << name;
  }
  EXPECT_EQ(problem(show(credential, {{"Idempotency-Key", "k2"}})), "lightning/unknown-challenge");
  EXPECT_EQ(problem(show(credential)), "lightning/unknown-challenge");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, AnAnswerThatIsNoSuccessIsKeptWithoutReceipt) {
  start(payment_only());
  upstream_says(404, {{"Cache-Control", "public"}}, "none");
  const auto credential = buy();
  const auto first = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(first.status, 404);
  EXPECT_FALSE(first.headers.has("Payment-Receipt"));
  const auto again = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.body, "none");
  EXPECT_FALSE(again.headers.has("Payment-Receipt"));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, ALargeAnswerIsNotKept) {
  start(payment_only());
  upstream_says(200, {}, std::string(64 * 1024 + 1, 'x'));
  const auto credential = buy();
  EXPECT_EQ(show(credential, {{"Idempotency-Key", "k"}}).body.size(), 64U * 1024 + 1);
  const auto again = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(again.status, 502);
  EXPECT_EQ(problem(again), "internal-payment-error");
  EXPECT_FALSE(again.headers.has("WWW-Authenticate"));
  EXPECT_FALSE(again.headers.has("Payment-Receipt"));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, AnAnswerOfExactlyTheLimitIsKept) {
  start(payment_only());
  upstream_says(200, {}, std::string(64 * 1024, 'x'));
  const auto credential = buy();
  EXPECT_EQ(show(credential, {{"Idempotency-Key", "k"}}).status, 200);
  const auto again = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, std::string(64 * 1024, 'x'));
}

TEST_F(Charge, SixtyFourAtOnceHitTheUpstreamOnce) {
  start(payment_only());
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(50)); };
  const auto credential = buy();
  auto request_ = request({.fields = {{"Authorization", credential}}});
  std::map<int, int> statuses;
  TaskGroup group;
  for (int i = 0; i < 64; ++i) group.start(fetch_into(this, request_, &statuses));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 1);
  EXPECT_EQ(statuses[402], 63);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, SixtyFourAtOnceWithAKeyShareOneAnswer) {
  start(payment_only());
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(120)); };
  const auto credential = buy();
  auto request_ = request({.fields = {{"Authorization", credential}, {"Idempotency-Key", "k"}}});
  std::map<int, int> statuses;
  TaskGroup group;
  for (int i = 0; i < 64; ++i) group.start(fetch_into(this, request_, &statuses));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 64);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, AWrongPreimageRepeatsTheHoldersChallenge) {
  start(payment_only());
  const auto asked = get();
  const auto line = line_of(asked, "Payment");
  const auto calls = invoices.calls;
  const auto wrong = proof_with(*payment_of(asked), std::array<std::uint8_t, 32>{1});
  for (int i = 0; i < 3; ++i) {
    const auto r = show(wrong);
    EXPECT_EQ(r.status, 402);
    EXPECT_EQ(problem(r), "lightning/invalid-preimage");
    EXPECT_EQ(challenge_lines(r), std::vector<std::string>{line});
    EXPECT_EQ(field(r, "Cache-Control"), "no-store");
  }
  EXPECT_EQ(invoices.calls, calls);  // nothing was made for it
  EXPECT_EQ(show(proof(asked)).status, 200);
}

TEST_F(Charge, TheRepeatedChallengeIsByteForByteWithEveryOption) {
  auto s = payment_only();
  s.opaque = true;
  s.description = "quoted \"text\" \\ and more";
  start(s);
  const auto asked = post("{}");
  const auto line = line_of(asked, "Payment");
  ASSERT_NE(line, "");
  const auto wrong = proof_with(*payment_of(asked), std::array<std::uint8_t, 32>{1});
  const auto r = post("{}", {{"Authorization", wrong}});
  EXPECT_EQ(problem(r), "lightning/invalid-preimage");
  EXPECT_EQ(challenge_lines(r), std::vector<std::string>{line});
}

TEST_F(Charge, ExpiresAtItsMoment) {
  start(payment_only());
  const auto credential = buy();
  clock.advance(Millis(899'999));
  EXPECT_EQ(show(credential).status, 200);
  const auto late = buy();
  clock.advance(Millis(900'000));
  const auto r = show(late);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/expired-invoice");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, OpensNothingElse) {
  auto cheap = payment_only("cheap");
  cheap.path = "^/cheap";
  cheap.price.msat = to_msat(1_sat);
  auto dear = payment_only("dear");
  dear.prices = {{"^/v1/gold", {}, {to_msat(500_sat), {}}}};
  start(with({cheap, dear}));
  struct Row {
    const char* name;
    Ask bought;
    Ask shown;
  };
  const Row rows[] = {
      {"another path", {.target = "/v1/a"}, {.target = "/v1/b"}},
      {"a path below", {.target = "/v1/a"}, {.target = "/v1/a/b"}},
      {"the same with a slash", {.target = "/v1/a"}, {.target = "/v1/a/"}},
      {"a dearer rule", {.target = "/v1/a"}, {.target = "/v1/gold"}},
      {"another service", {.target = "/cheap"}, {.target = "/v1/a"}},
      {"another method", {.target = "/v1/a"}, {.method = "DELETE", .target = "/v1/a"}},
      {"POST by GET", {.target = "/v1/a"}, {.method = "POST", .target = "/v1/a", .body = "x"}},
      {"another body",
       {.method = "POST", .target = "/v1/a", .body = "x"},
       {.method = "POST", .target = "/v1/a", .body = "y"}},
      {"no body",
       {.method = "POST", .target = "/v1/a", .body = "x"},
       {.method = "POST", .target = "/v1/a"}},
      {"PUT for POST",
       {.method = "POST", .target = "/v1/a", .body = "x"},
       {.method = "PUT", .target = "/v1/a", .body = "x"}},
      {"encoded into the dear one", {.target = "/v1/a"}, {.target = "/v1/a/%2e%2e/gold"}},
  };
  for (const auto& row : rows) {
    const auto credential = buy(row.bought);
    auto shown = row.shown;
    shown.fields = {{"Authorization", credential}};
    const auto r = ask(shown);
    EXPECT_EQ(r.status, 402) << row.name;
    EXPECT_EQ(problem(r), "lightning/unknown-challenge") << row.name;
    EXPECT_TRUE(seen.empty()) << row.name;
    // It was not spent by trying.
    auto back = row.bought;
    back.fields = {{"Authorization", credential}};
    EXPECT_EQ(ask(back).status, 200) << row.name;
    seen.clear();
  }
}

TEST_F(Charge, SpellingsOfOnePathAreOnePath) {
  start(payment_only());
  const auto credential = buy({.target = "/v1/a%20b"});
  EXPECT_EQ(get("/v1//x/../%61%20b?q=1", {{"Authorization", credential}}).status, 200);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].target, "/v1/a%20b?q=1");
}

TEST_F(Charge, ScopesWidenAndNarrow) {
  auto rule = payment_only("rule");
  rule.path = "^/rule/";
  rule.scope = Scope::rule;
  rule.prices = {{"^/rule/gold/", {}, {to_msat(500_sat), {}}}};
  auto query = payment_only("query");
  query.path = "^/query";
  query.scope = Scope::query;
  start(with({rule, query}));
  auto credential = buy({.target = "/rule/a"});
  EXPECT_EQ(get("/rule/gold/a", {{"Authorization", credential}}).status, 402);
  EXPECT_EQ(get("/rule/b", {{"Authorization", credential}}).status, 200);
  credential = buy({.target = "/query?a=1"});
  EXPECT_EQ(get("/query?a=2", {{"Authorization", credential}}).status, 402);
  EXPECT_EQ(get("/query", {{"Authorization", credential}}).status, 402);
  EXPECT_EQ(get("/query?a=1", {{"Authorization", credential}}).status, 200);
}

TEST_F(Charge, HeadAndGetAreOneMethod) {
  start(payment_only());
  const auto bought = buy();
  const auto r = ask({.method = "HEAD", .fields = {{"Authorization", bought}}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "");
  EXPECT_TRUE(r.headers.has("Payment-Receipt"));
  const auto by_head = proof(ask({.method = "HEAD"}));
  EXPECT_EQ(show(by_head).body, "hello");
}

TEST_F(Charge, AHeadAnswerIsNeverGivenForAGet) {
  start(payment_only());
  const auto credential = buy();
  const Fields fields = {{"Authorization", credential}, {"Idempotency-Key", "k"}};
  EXPECT_EQ(ask({.method = "HEAD", .fields = fields}).status, 200);
  const auto again = ask({.method = "HEAD", .fields = fields});
  EXPECT_EQ(again.status, 200);
  EXPECT_TRUE(again.headers.has("Payment-Receipt"));
  const auto r = get("/v1/data", fields);
  // The body was never fetched: an empty 200 would pass for the resource.
  EXPECT_EQ(r.status, 502);
  EXPECT_EQ(problem(r), "internal-payment-error");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, ClientsMayDropTheEcho) {
  auto s = payment_only();
  s.opaque = true;
  s.description = "for people";
  start(s);
  auto challenge = *payment_of(post("body"));
  const auto preimage = invoices.preimage(hash_of(challenge));
  challenge.digest.reset();
  challenge.opaque.reset();
  challenge.description.reset();
  const auto r = post("body", {{"Authorization", proof_with(challenge, preimage)}});
  EXPECT_EQ(r.status, 200);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].body, "body");
}

TEST_F(Charge, AnEchoedDigestIsNotBelieved) {
  start(payment_only());
  auto challenge = *payment_of(post("body"));
  const auto preimage = invoices.preimage(hash_of(challenge));
  challenge.digest = mpp::format_digest(as_bytes("other"));
  const auto credential = proof_with(challenge, preimage);
  EXPECT_EQ(post("other", {{"Authorization", credential}}).status, 402);
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(post("body", {{"Authorization", credential}}).status, 200);
}

TEST_F(Charge, WhatWasChangedDoesNotVerify) {
  start(payment_only());
  const auto good = *payment_of(get());
  const auto preimage = invoices.preimage(hash_of(good));
  struct Row {
    const char* name;
    void (*edit)(mpp::Challenge&);
  };
  const Row rows[] = {
      {"id", [](mpp::Challenge& c) { c.id[5] = c.id[5] == 'A' ? 'B' : 'A'; }},
      {"realm", [](mpp::Challenge& c) { c.realm = "other.example"; }},
      {"expires", [](mpp::Challenge& c) { c.expires = "2099-01-01T00:00:00Z"; }},
      {"no expires", [](mpp::Challenge& c) { c.expires.reset(); }},
      {"request",
       [](mpp::Challenge& c) {
         auto request = *mpp::lightning::parse_charge_request(c.request);
         request.amount = 1_sat;
         c.request = *mpp::lightning::format_charge_request(request);
       }},
      {"intent", [](mpp::Challenge& c) { c.intent = "session"; }},
  };
  for (const auto& row : rows) {
    auto changed = good;
    row.edit(changed);
    const auto r = show(proof_with(changed, preimage));
    EXPECT_EQ(r.status, 402) << row.name;
    EXPECT_EQ(problem(r), "lightning/unknown-challenge") << row.name;
    EXPECT_TRUE(r.headers.has("WWW-Authenticate")) << row.name;
  }
  auto method = good;
  method.method = "tempo";
  const auto r = show(proof_with(method, preimage));
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(problem(r), "method-unsupported");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Charge, ACredentialOfAPreviousSecretStillCounts) {
  auto p = with({payment_only()});
  start(p);
  const auto old = buy();
  const auto gone = buy();
  p.secret = {std::make_shared<Secret>(std::string_view("ANEWSECRETANEWSECRETANEWSECRETAN")),
              p.secret.front()};
  publish(p);
  EXPECT_EQ(show(old).status, 200);
  p.secret.pop_back();
  publish(p);
  EXPECT_EQ(show(gone).status, 402);
}

TEST_F(Charge, APriceChangeRepricesNothingIssued) {
  auto p = with({payment_only()});
  start(p);
  const auto credential = buy();
  p.services[0].price.msat = to_msat(99_sat);
  p.services[0].upstream = {};
  publish(p);
  EXPECT_EQ(show(credential).status, 200);
}

TEST_F(Charge, AHashThatTheNodeNeverMadeIsWorthNothing) {
  start(payment_only());
  invoices.recorded = false;  // as with a leaked HMAC key: everything verifies but the hash
  const auto r = show(buy());
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Charge, MalformedCredentials) {
  start(payment_only());
  for (const std::string& value :
       {std::string("Payment"), std::string("Payment "), std::string("Payment ***"),
        std::string("Payment e30"), std::string("Payment bnVsbA"), "Payment " + std::string(4, 'A'),
        "Payment " + std::string(90'000, 'A'), std::string("Payment a=\"b\"")}) {
    const auto r = show(value);
    EXPECT_EQ(r.status, 402) << value.substr(0, 40);
    EXPECT_EQ(problem(r), "malformed-credential") << value.substr(0, 40);
    EXPECT_TRUE(r.headers.has("WWW-Authenticate"));
    EXPECT_EQ(field(r, "Cache-Control"), "no-store");
    EXPECT_EQ(r.body.find(value.size() > 10 ? value : "\x01"), std::string::npos);
  }
  EXPECT_TRUE(seen.empty());
}

TEST_F(Charge, TwoCredentialsAreABadRequest) {
  start(service());
  const auto a = buy();
  const auto b = buy();
  struct Row {
    const char* name;
    Fields fields;
  };
  for (const Row& row :
       {Row{"two lines", {{"Authorization", a}, {"Authorization", b}}},
        Row{"the same twice", {{"Authorization", a}, {"Authorization", a}}},
        Row{"two fields", {{"Authorization", a}, {"Payment-Authorization", b}}},
        Row{"joined with another", {{"Authorization", "Basic dTpw, " + a}}},
        Row{"two ordinary", {{"Authorization", "Basic dTpw"}, {"Authorization", "Bearer x"}}}}) {
    const auto r = get("/v1/data", row.fields);
    EXPECT_EQ(r.status, 400) << row.name;
    EXPECT_EQ(problem(r), "bad-request") << row.name;
    EXPECT_FALSE(r.headers.has("WWW-Authenticate")) << row.name;
  }
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(show(a).status, 200);
  EXPECT_EQ(show(b).status, 200);
}

TEST_F(Charge, OwnFieldWhereConfiguredOnly) {
  auto own = payment_only("own");
  own.path = "^/own";
  own.payment_header = true;
  start(with({own, payment_only()}));
  const auto credential = buy({.target = "/own"});
  auto r = get("/own", {{"Authorization", credential}});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/malformed-credential");
  r = get("/own", {{"Payment-Authorization", credential}, {"Authorization", "Basic dTpw"}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=60, private");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(*seen[0].headers.get("Authorization"), "Basic dTpw");
  EXPECT_FALSE(seen[0].headers.has("Payment-Authorization"));
  r = get("/v1/data", {{"Payment-Authorization", buy()}});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/malformed-credential");
}

TEST_F(Charge, NoAnswerToTheOwnFieldIsForSharedCaches) {
  auto own = payment_only("own");
  own.payment_header = true;
  own.free_paths = {"^/free"};
  own.methods = {"GET"};
  start(own);
  const Fields fields = {{"Payment-Authorization", "Payment x"}};
  const auto shared = [&](const http::Response& r) {
    return !r.headers.has_token("Cache-Control", "private") &&
           !r.headers.has_token("Cache-Control", "no-store");
  };
  EXPECT_FALSE(shared(get("/free", fields)));
  EXPECT_FALSE(shared(get("/v1", fields)));
  EXPECT_FALSE(shared(ask({.method = "POST", .fields = fields})));  // 405
  EXPECT_TRUE(shared(get("/free")));
}

TEST_F(Charge, StrictAsksTheNode) {
  auto s = payment_only();
  s.strict = true;
  start(s);
  const auto asked = get();
  const auto line = line_of(asked, "Payment");
  const auto credential = proof(asked);
  auto r = show(credential);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "verification-failed");
  EXPECT_EQ(challenge_lines(r), std::vector<std::string>{line});
  EXPECT_TRUE(r.headers.has("Retry-After"));
  settlements.down = true;
  r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_TRUE(seen.empty());
  settlements.down = false;
  settlements.settled.insert(hash_of(*payment_of(asked)));
  EXPECT_EQ(show(credential).status, 200);
}

TEST_F(Charge, AStoreThatCannotCommitForwardsNothing) {
  start(payment_only());
  const auto credential = buy();
  store.set_unavailable(true);
  const auto r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(problem(r), "internal-payment-error");
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(get().status, 503);  // no challenge whose hash would be unknown
  store.set_unavailable(false);
  EXPECT_EQ(show(credential).status, 200);
}

TEST_F(Charge, NothingIsConsumedWhileTheUpstreamIsDown) {
  auto s = payment_only();
  {  // a port that nobody listens on
    const auto gone = net::listen_tcp(loop, *net::Endpoint::parse("127.0.0.1:0"), false);
    s.upstream.addresses = {{"127.0.0.1", (*gone)->local().port}};
  }
  start(s);
  const auto credential = buy();
  for (int i = 0; i < 2; ++i) {  // found out, then known
    const auto r = show(credential, {{"Idempotency-Key", "k"}});
    EXPECT_EQ(r.status, 503);
    EXPECT_EQ(problem(r), "internal-payment-error");
    EXPECT_TRUE(r.headers.has("Retry-After"));
    EXPECT_FALSE(r.headers.has("Payment-Receipt"));
    EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  }
  s.upstream = {};
  publish(with({s}));  // where it really is
  EXPECT_EQ(show(credential, {{"Idempotency-Key", "k"}}).status, 200);
}

TEST_F(Charge, AReplayNeedsNoUpstream) {
  start(payment_only());
  const auto credential = buy();
  EXPECT_EQ(show(credential, {{"Idempotency-Key", "k"}}).status, 200);
  upstream_.reset();
  EXPECT_EQ(show(credential, {{"Idempotency-Key", "k"}}).body, "hello");
}

TEST_F(Charge, AnIdleConnectionThatTheUpstreamClosedCostsNoPayment) {
  upstream_limits.idle_timeout = Millis(40);
  start(payment_only());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(show(buy()).status, 200) << i;
    pause(Millis(120));
  }
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(Charge, AnUpstreamThatFailsAfterConsumingIsUnknownOutcome) {
  start(payment_only());
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  const auto credential = buy();
  auto r = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(r.status, 502);
  EXPECT_EQ(problem(r), "internal-payment-error");
  upstream_says(200, {}, "late");
  r = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(r.status, 502);
  EXPECT_NE(r.body.find("do not pay again"), std::string::npos);
  r = show(credential);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, ATornAnswerIsNeverGivenAgainAsAWholeOne) {
  start(payment_only());
  upstream_answer = [](http::Exchange& x) { return torn(&x); };
  const auto credential = buy();
  const std::string text =
      "GET /v1/data HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k\r\nAuthorization: " + credential +
      "\r\nConnection: close\r\n\r\n";
  const auto first = raw(text);
  EXPECT_TRUE(first.starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(first.ends_with("0\r\n\r\n"));
  const auto again = raw(text);
  EXPECT_TRUE(again.starts_with("HTTP/1.1 502")) << again;
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, AClientThatLeavesInTheMiddleLeavesAnUnknownOutcome) {
  start(payment_only());
  upstream_answer = [](http::Exchange& x) { return endless(&x); };
  const auto credential = buy();
  const std::string text =
      "GET /v1/data HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k\r\nAuthorization: " + credential +
      "\r\n\r\n";
  net::run_until(loop, leave_early(this, text));
  ASSERT_TRUE(wait_for([&] { return access.records.size() == 2; }));
  const auto r = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(r.status, 502);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, WhatWasPendingWhenTheProcessDiedIsNotRunAgain) {
  start(payment_only());
  upstream_answer = [](http::Exchange& x) { return endless(&x); };
  const auto credential = buy();
  const std::string text =
      "GET /v1/data HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k\r\nAuthorization: " + credential +
      "\r\n\r\n";
  TaskGroup group;
  group.start(leave_early(this, text, Millis(3'000)));
  ASSERT_TRUE(wait_for([&] { return seen.size() == 1; }));
  store.restart();
  auto r = show(credential, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(r.status, 502);
  EXPECT_EQ(problem(r), "internal-payment-error");
  r = show(credential);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_EQ(seen.size(), 1U);
  group.cancel();
}

TEST_F(Charge, AnAnswerThatTakesLongerThanTheWaitIs409) {
  start(payment_only());
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(11'500)); };
  const auto credential = buy();
  const Fields fields = {{"Authorization", credential}, {"Idempotency-Key", "k"}};
  std::map<int, int> statuses;
  TaskGroup group;
  group.start(fetch_into(this, request({.fields = fields}), &statuses));
  ASSERT_TRUE(wait_for([&] { return seen.size() == 1; }));
  const auto r = get("/v1/data", fields);
  EXPECT_EQ(r.status, 409);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 1);
  EXPECT_EQ(get("/v1/data", fields).body, "slow");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Charge, RefusedByTheRateIsNotConsumed) {
  auto s = payment_only();
  s.rate_limits = {{"", 2, Millis(60'000), 0, CountBy::ip}};
  start(s);
  const auto a = buy();
  const auto b = buy();
  auto r = show(a);
  EXPECT_EQ(r.status, 429);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  clock.advance(Millis(60'000));
  EXPECT_EQ(show(a).status, 200);
  EXPECT_EQ(show(b).status, 200);
}

}  // namespace
}  // namespace octroi::paywall
