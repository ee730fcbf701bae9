// A price of zero: nothing is paid, and still one challenge opens one request.
#include "octroi/mpp/lightning/zero.h"
#include "octroi/mpp/receipt.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;

class Zero : public GateTest {
 protected:
  static ServiceSettings nothing(std::string name = "api") {
    auto s = service(std::move(name));
    s.price.msat = 0_msat;
    s.schemes = {OfferScheme::payment};
    return s;
  }
  static std::string answer_to(const mpp::Challenge& challenge,
                               const std::string& payload = mpp::lightning::zero_payload_json()) {
    auto value = mpp::format_credential(challenge, payload);
    EXPECT_TRUE(value);
    return value.value_or("");
  }
  http::Response show(const std::string& credential, Fields more = {},
                      std::string target = "/v1/data") {
    more.emplace_back("Authorization", credential);
    return get(std::move(target), std::move(more));
  }
};

TEST_F(Zero, AsksForAProofAndTakesItOnce) {
  start(nothing());
  const auto asked = get();
  EXPECT_EQ(asked.status, 402);
  EXPECT_EQ(problem(asked), "payment-required");
  EXPECT_EQ(field(asked, "Cache-Control"), "no-store");
  const auto challenge = *payment_of(asked);
  EXPECT_TRUE(mpp::lightning::is_zero_request(challenge.request));
  const auto r = show(answer_to(challenge));
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "hello");
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=60, private");
  const auto receipt = mpp::parse_receipt(field(r, "Payment-Receipt"));
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->reference, challenge.id);
  EXPECT_EQ(*receipt->challenge_id, challenge.id);
  for (const Fields& more : {Fields{}, Fields{{"Idempotency-Key", "k"}}}) {
    const auto again = show(answer_to(challenge), more);
    EXPECT_EQ(again.status, 402);
    EXPECT_EQ(problem(again), "lightning/unknown-challenge");
    EXPECT_NE(payment_of(again)->id, challenge.id);
  }
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen[0].headers.has("Authorization"));
  // Nothing was asked of the node, nothing stands in the books, and no money was counted.
  EXPECT_EQ(invoices.calls, 0);
  EXPECT_TRUE(rows.records.empty());
  EXPECT_EQ(metrics.counter("octroi_paid_msat_total", "").value(), 0);
}

TEST_F(Zero, EveryChallengeIsItsOwn) {
  start(nothing());
  const auto a = *payment_of(get());
  const auto b = *payment_of(get());
  EXPECT_NE(a.id, b.id);  // in the same millisecond: the clock stands
  EXPECT_EQ(show(answer_to(a)).status, 200);
  EXPECT_EQ(show(answer_to(b)).status, 200);
}

TEST_F(Zero, CostsNoPlaceAmongUnpaidChallenges) {
  auto p = with({nothing()});
  p.max_unpaid = 2;
  start(p);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get().status, 402);
}

TEST_F(Zero, SixtyFourAtOnceGiveOneAnswer) {
  start(nothing());
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(50)); };
  const auto credential = answer_to(*payment_of(get()));
  const auto again = request({.fields = {{"Authorization", credential}}});
  std::map<int, int> statuses;
  TaskGroup group;
  for (int i = 0; i < 64; ++i) group.start(fetch_into(this, again, &statuses));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses, (std::map<int, int>{{200, 1}, {402, 63}}));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(Zero, IsRememberedOverARestart) {
  const auto settings = with({nothing()});
  start(settings);
  const auto used = answer_to(*payment_of(get()));
  const auto unused = answer_to(*payment_of(get()));
  EXPECT_EQ(show(used).status, 200);
  store.restart();
  publish(settings);
  EXPECT_EQ(problem(show(used)), "lightning/unknown-challenge");
  EXPECT_EQ(show(unused).status, 200);
}

TEST_F(Zero, OpensOnlyWhatItWasIssuedFor) {
  auto dear = service("dear");
  dear.path = "^/dear/";
  dear.schemes = {OfferScheme::payment};
  auto other = nothing("other");
  other.path = "^/other/";
  start(with({dear, other, nothing()}));
  const auto credential = answer_to(*payment_of(get("/v1/data")));
  for (const char* target : {"/dear/x", "/other/x", "/v1/more"}) {
    const auto r = show(credential, {}, target);
    EXPECT_EQ(r.status, 402) << target;
    EXPECT_EQ(problem(r), "lightning/unknown-challenge") << target;
  }
  EXPECT_EQ(ask({.method = "POST", .fields = {{"Authorization", credential}}, .body = "x"}).status,
            402);
  EXPECT_EQ(show(credential).status, 200) << "it was not used up by the refusals";
}

// A priced challenge cannot be answered with the proof over nothing, nor the reverse.
TEST_F(Zero, ProofsAreNotExchanged) {
  auto free = nothing("free");
  free.path = "^/free/";
  auto paid = service("paid");
  paid.schemes = {OfferScheme::payment};
  start(with({free, paid}));
  const auto priced = *payment_of(get("/v1/data"));
  EXPECT_EQ(problem(show(answer_to(priced))), "lightning/malformed-credential");
  mpp::Challenge cheaper = priced;
  cheaper.request = payment_of(get("/free/x"))->request;
  EXPECT_EQ(problem(show(answer_to(cheaper))), "lightning/unknown-challenge");
  const auto zero = *payment_of(get("/free/x"));
  const auto preimage = proof_with(zero, std::array<std::uint8_t, 32>{1});
  EXPECT_EQ(problem(show(preimage, {}, "/free/x")), "lightning/malformed-credential");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Zero, Expires) {
  start(nothing());
  const auto credential = answer_to(*payment_of(get()));
  clock.advance(Millis(15LL * 60 * 1000));
  const auto r = show(credential);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/expired-invoice");
}

TEST_F(Zero, NothingIsUsedUpWhileTheStoreOrTheUpstreamIsAway) {
  start(nothing());
  const auto credential = answer_to(*payment_of(get()));
  store.set_unavailable(true);
  const auto r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_TRUE(seen.empty());
  store.set_unavailable(false);
  EXPECT_EQ(show(credential).status, 200);
}

TEST_F(Zero, L402CannotExpressIt) {
  auto s = nothing();
  s.schemes = {OfferScheme::l402, OfferScheme::payment};
  start(s);
  // Also where the client would rather not: the other scheme has nothing to offer.
  const auto r = get("/v1/data", {{"Accept-Payment", "tempo/charge"}});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(line_of(r, "L402"), "");
  EXPECT_EQ(line_of(r, "LSAT"), "");
  EXPECT_EQ(challenge_lines(r).size(), 1U);
  auto only = nothing();
  only.schemes = {OfferScheme::l402};
  publish(with({only}));
  EXPECT_EQ(get().status, 503) << "never free by mistake";
  EXPECT_TRUE(seen.empty());
}

TEST_F(Zero, ARuleMayCostNothing) {
  auto s = service();
  s.schemes = {OfferScheme::l402, OfferScheme::payment};
  s.prices = {{"^/v1/trial$", {}, {}}};
  start(s);
  EXPECT_EQ(challenge_lines(get("/v1/trial")).size(), 1U);
  EXPECT_EQ(challenge_lines(get("/v1/data")).size(), 3U);
  const auto credential = answer_to(*payment_of(get("/v1/trial")));
  EXPECT_EQ(show(credential, {}, "/v1/trial").status, 200);
}

}  // namespace
}  // namespace octroi::paywall
