// Prepaid sessions through the whole door: open, bearer, topUp, close, and what is refused.
#include <tuple>

#include <gtest/gtest.h>

#include "octroi/paywall/session_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::SessionTest;
using ledger::RefundStage;
using ledger::SessionState;
using mpp::lightning::parse_close_body;
using mpp::lightning::RefundStatus;

class GateSession : public SessionTest {};

// --- the challenge ------------------------------------------------------------------------------

TEST_F(GateSession, ChallengeSaysWhatADepositBuys) {
  begin();
  const auto r = get();
  ASSERT_EQ(r.status, 402);
  EXPECT_EQ(challenge_lines(r).size(), 1U) << "one Lightning intent";
  EXPECT_EQ(field(r, "Cache-Control"), "no-store");
  const auto challenge = payment_of(r);
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->intent, "session");
  EXPECT_EQ(challenge->method, "lightning");
  const auto request = request_of(*challenge);
  EXPECT_EQ(request.amount, 2_sat);
  EXPECT_EQ(request.deposit_amount, 40_sat) << "twenty requests";
  EXPECT_EQ(request.unit_type, "request");
  EXPECT_EQ(request.idle_timeout, Seconds(300));
  ASSERT_TRUE(request.deposit_invoice);
  const auto invoice = bolt11::decode(*request.deposit_invoice);
  ASSERT_TRUE(invoice);
  EXPECT_EQ(invoice->amount, to_msat(40_sat));
  EXPECT_EQ(invoice->payment_hash, request.payment_hash);
  EXPECT_EQ(seen.size(), 0U);
  ASSERT_EQ(rows.records.size(), 1U);
  EXPECT_EQ(rows.records[0].scheme, ledger::Scheme::mpp_session);
  EXPECT_EQ(rows.records[0].amount, to_msat(40_sat));
}

TEST_F(GateSession, EveryUnpaidRequestHasAnInvoiceOfItsOwn) {
  begin();
  EXPECT_NE(request_of(fresh()).payment_hash, request_of(fresh()).payment_hash);
}

TEST_F(GateSession, DepositIsConfiguredOrCoversOneRequest) {
  auto configured = prepaid("configured");
  configured.path = "^/configured";
  configured.session.deposit = Price{to_msat(7_sat), std::nullopt};
  auto small = prepaid("small");
  small.session.deposit = Price{to_msat(1_sat), std::nullopt};
  begin(with({std::move(configured), std::move(small)}));
  EXPECT_EQ(request_of(fresh({.target = "/configured"})).deposit_amount, 7_sat);
  EXPECT_EQ(request_of(fresh()).deposit_amount, 2_sat);
}

TEST_F(GateSession, DepositThatOverflowsIsNoOffer) {
  auto s = prepaid();
  s.price.msat = Msat::from_raw_unchecked(Msat::kMax);
  begin(std::move(s));
  EXPECT_EQ(get().status, 503);
}

struct OfferCase {
  const char* name;
  std::vector<PaymentIntent> intents;
  OfferHow how;
  const char* accept;
  std::vector<std::string> offered;
};
class OffersOfIntents : public SessionTest, public testing::WithParamInterface<OfferCase> {};

TEST_P(OffersOfIntents, AreWhatTheClientPrefers) {
  auto s = prepaid();
  s.intents = GetParam().intents;
  s.offer = GetParam().how;
  begin(std::move(s));
  Fields fields;
  if (*GetParam().accept != 0) fields.emplace_back("Accept-Payment", GetParam().accept);
  const auto r = get("/v1/data", std::move(fields));
  ASSERT_EQ(r.status, 402);
  std::vector<std::string> offered;
  const auto lines = r.headers.all("WWW-Authenticate");
  const auto challenges = mpp::parse_challenges(lines);
  ASSERT_TRUE(challenges);
  for (const auto& challenge : *challenges) offered.push_back(challenge.intent);
  EXPECT_EQ(offered, GetParam().offered);
}

constexpr auto kCharge = PaymentIntent::charge;
constexpr auto kSession = PaymentIntent::session;
INSTANTIATE_TEST_SUITE_P(
    GateSession, OffersOfIntents,
    testing::Values(
        OfferCase{"Both", {kCharge, kSession}, OfferHow::first, "", {"charge"}},
        OfferCase{"BothSessionFirst", {kSession, kCharge}, OfferHow::first, "", {"session"}},
        OfferCase{"SessionAskedFor",
                  {kCharge, kSession},
                  OfferHow::first,
                  "lightning/session",
                  {"session"}},
        OfferCase{"SessionPreferred",
                  {kCharge, kSession},
                  OfferHow::first,
                  "lightning/charge;q=0.4, lightning/session",
                  {"session"}},
        OfferCase{"AnyLightning", {kCharge, kSession}, OfferHow::first, "lightning/*", {"charge"}},
        OfferCase{"SessionOnly", {kSession}, OfferHow::first, "lightning/charge", {"session"}},
        OfferCase{"All", {kCharge, kSession}, OfferHow::all, "", {"charge", "session"}},
        OfferCase{"AllButCharge",
                  {kCharge, kSession},
                  OfferHow::all,
                  "lightning/charge;q=0, lightning/session",
                  {"session"}},
        OfferCase{"AllBestFirst",
                  {kCharge, kSession},
                  OfferHow::all,
                  "lightning/charge;q=0.5, lightning/session",
                  {"session", "charge"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(GateSession, UnpaidDepositsCountAgainstTheBound) {
  auto settings = with({prepaid()});
  settings.max_unpaid = 2;
  begin(std::move(settings));
  EXPECT_EQ(get().status, 402);
  EXPECT_EQ(get().status, 402);
  EXPECT_EQ(get().status, 429);
}

// --- open ---------------------------------------------------------------------------------------

TEST_F(GateSession, OpenDebitsTheRequestThatItCameWith) {
  begin();
  const auto challenge = fresh();
  const auto r = show(open_with(challenge, returns.make()));
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.body, "hello");
  EXPECT_TRUE(r.headers.has_token("Cache-Control", "private"));
  const auto id = request_of(challenge).payment_hash;
  const auto receipt = receipt_of(r);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->reference, id.hex());
  EXPECT_EQ(receipt->challenge_id, challenge.id);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen[0].headers.has("Authorization"));
  const auto s = session(id);
  EXPECT_EQ(s.deposit, to_msat(40_sat));
  EXPECT_EQ(s.spent, to_msat(2_sat));
  EXPECT_EQ(s.service, "api");
  EXPECT_EQ(access.records.back().intent, "session");
}

TEST_F(GateSession, OpenIsAnsweredAgainToTheSameCredentialAndRunsOnce) {
  begin();
  const auto opened = open();
  clock.advance(Millis(5'000));
  const auto again = show(opened.credential);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, "hello");
  ASSERT_TRUE(receipt_of(again));
  EXPECT_EQ(receipt_of(again)->timestamp, to_rfc3339(fixture::kStart)) << "of the first answer";
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat));
}

TEST_F(GateSession, OpenWithAnotherPayloadIsUnknown) {
  begin();
  const auto opened = open();
  const auto r = show(open_with(opened.challenge, returns.make()));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_NE(payment_of(r)->id, opened.challenge.id);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, OpenWhoseBodyWasNotKeptHasItsReceiptAndNoBody) {
  upstream_says(200, {}, std::string(100 * 1024, 'x'));
  begin();
  const auto opened = open();
  const auto again = show(opened.credential);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, "");
  ASSERT_TRUE(receipt_of(again));
  EXPECT_EQ(receipt_of(again)->reference, opened.id.hex());
  EXPECT_TRUE(again.headers.has_token("Cache-Control", "private"));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, OpenThatACrashInterruptedHasItsReceipt) {
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  begin();
  const auto challenge = fresh();
  const auto credential = open_with(challenge, returns.make());
  EXPECT_EQ(show(credential).status, 502);
  store.restart();
  const auto again = show(credential);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, "");
  EXPECT_TRUE(receipt_of(again));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, OpenWhoseUpstreamGaveNothingCostsNothing) {
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  begin();
  const auto challenge = fresh();
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 502);
  const auto s = session(request_of(challenge).payment_hash);
  EXPECT_EQ(s.state, SessionState::open);
  EXPECT_TRUE(s.spent.is_zero());
}

TEST_F(GateSession, WrongPreimageGetsItsChallengeBack) {
  begin();
  const auto challenge = fresh();
  const auto wrong =
      shown(challenge, mpp::lightning::OpenAction{Secret(std::string(32, 'x')), returns.make()});
  const auto r = show(wrong);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/invalid-preimage");
  EXPECT_EQ(payment_of(r)->id, challenge.id);
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 200) << "nothing was consumed";
}

TEST_F(GateSession, UnreadablePayloadIsMalformed) {
  begin();
  const auto challenge = fresh();
  for (const char* payload :
       {R"({"action":"stop"})", R"({"preimage":"00"})", R"({"action":"open","preimage":"00"})"}) {
    const auto r = show(mpp::format_credential(challenge, payload).value());
    EXPECT_EQ(r.status, 402) << payload;
    EXPECT_EQ(problem(r), "lightning/malformed-credential") << payload;
    EXPECT_EQ(payment_of(r)->id, challenge.id);
  }
}

TEST_F(GateSession, InvoiceThatNobodyMadeOpensNothing) {
  invoices.recorded = false;
  begin();
  const auto r = show(open_with(fresh(), returns.make()));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
}

struct ReturnCase {
  const char* name;
  std::function<std::string(fixture::ReturnInvoices&)> make;
};
class BadReturnInvoice : public SessionTest, public testing::WithParamInterface<ReturnCase> {};

TEST_P(BadReturnInvoice, IsRefusedAndTheDepositIsNotLost) {
  begin();
  const auto challenge = fresh();
  const auto r = show(open_with(challenge, GetParam().make(returns)));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/invalid-return-invoice");
  EXPECT_EQ(payment_of(r)->id, challenge.id) << "the deposit of this one is paid";
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 200);
}

using Wish = fixture::ReturnInvoices::Wish;
INSTANTIATE_TEST_SUITE_P(
    GateSession, BadReturnInvoice,
    testing::Values(
        ReturnCase{"NoInvoice", [](auto&) { return std::string("lnbcrt1nothing"); }},
        ReturnCase{"OtherNetwork",
                   [](auto& r) { return r.make(Wish{.network = bolt11::Network::mainnet}); }},
        ReturnCase{"WithAmount", [](auto& r) { return r.make(Wish{.amount = to_msat(1_sat)}); }},
        ReturnCase{"Expired",
                   [](auto& r) {
                     return r.make(Wish{.expiry = Seconds(60),
                                        .created = UnixMillis{fixture::kStart.value - 61'000}});
                   }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(GateSession, ReturnInvoiceOfTheSellersOwnNode) {
  auto own = prepaid("own");
  own.path = "^/own";
  own.session.allow_own_invoice = true;
  begin(with({std::move(own), prepaid()}));
  const auto challenge = fresh();
  const auto r = show(open_with(challenge, returns.make(Wish{}, invoices.key())));
  EXPECT_EQ(problem(r), "lightning/invalid-return-invoice");
  const auto allowed = fresh({.target = "/own"});
  EXPECT_EQ(show(open_with(allowed, returns.make(Wish{}, invoices.key())), "/own").status, 200);
}

TEST_F(GateSession, ReturnInvoiceIsOfOneSessionOnly) {
  begin();
  const auto first = open();
  const auto challenge = fresh();
  const auto r = show(open_with(challenge, first.return_invoice));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/invalid-return-invoice");
  EXPECT_EQ(payment_of(r)->id, challenge.id) << "the deposit of this one is paid";
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 200);
}

TEST_F(GateSession, StrictAsksTheNode) {
  auto s = prepaid();
  s.strict = true;
  begin(std::move(s));
  const auto challenge = fresh();
  const auto hash = request_of(challenge).payment_hash;
  const auto credential = open_with(challenge, returns.make());
  auto r = show(credential);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "verification-failed");
  EXPECT_EQ(payment_of(r)->id, challenge.id);
  settlements.down = true;
  r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  settlements.down = false;
  settlements.settled.insert(hash);
  EXPECT_EQ(show(credential).status, 200);

  const auto more = fresh();
  EXPECT_EQ(problem(show(top_up_with(more, hash))), "verification-failed");
  EXPECT_EQ(session(hash).deposit, to_msat(40_sat));
  settlements.settled.insert(request_of(more).payment_hash);
  EXPECT_EQ(show(top_up_with(more, hash)).status, 200);
}

TEST_F(GateSession, VerificationHasADeadlineAndConsumesNothing) {
  auto settings = with({prepaid()});
  settings.services[0].strict = true;
  settings.verify_within = Millis(100);
  settlements.delay = Millis(60'000);
  begin(std::move(settings));
  const auto challenge = fresh();
  const auto credential = open_with(challenge, returns.make());
  const auto r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  settlements.delay = Millis(0);
  settlements.settled.insert(request_of(challenge).payment_hash);
  EXPECT_EQ(show(credential).status, 200);
}

/// Of the four actions two ask the node whether a deposit is settled; the other two ask nobody, so
/// that a session can be used and ended while the node is away.
TEST_F(GateSession, EachActionIsVerifiedInTimeOrConsumesNothing) {
  auto settings = with({prepaid()});
  settings.services[0].strict = true;
  settings.verify_within = Millis(100);
  begin(std::move(settings));
  const auto first = fresh();
  const PaymentHash id = request_of(first).payment_hash;
  settlements.settled.insert(id);
  ASSERT_EQ(show(open_with(first, returns.make())).status, 200);
  const auto second = fresh();
  const auto third = fresh();
  const auto bearers = fresh();
  for (const auto& c : {second, third}) settlements.settled.insert(request_of(c).payment_hash);
  settlements.delay = Millis(60'000);
  const auto opens = open_with(second, returns.make());
  const auto tops_up = top_up_with(third, id);
  for (const auto& [name, credential] : {std::pair("open", opens), std::pair("topUp", tops_up)}) {
    const auto r = show(credential);
    EXPECT_EQ(r.status, 503) << name;
    EXPECT_EQ(problem(r), "internal-payment-error") << name;
    EXPECT_TRUE(r.headers.has("Retry-After")) << name;
    EXPECT_FALSE(r.headers.has("WWW-Authenticate")) << name;
  }
  EXPECT_EQ(session(id).deposit, to_msat(40_sat));
  for (const auto& c : {second, third}) {
    EXPECT_FALSE(*net::run_until(loop, store.is_consumed(request_of(c).payment_hash)));
  }
  EXPECT_EQ(show(bearer_with(bearers, id)).status, 200);
  settlements.delay = Millis(0);
  EXPECT_EQ(show(opens).status, 200);
  EXPECT_EQ(show(tops_up).status, 200);
  EXPECT_EQ(session(id).deposit, to_msat(80_sat));
  settlements.delay = Millis(60'000);
  EXPECT_EQ(show(close_with(bearers, id)).status, 200);
  EXPECT_EQ(session(id).state, ledger::SessionState::closed);
}

TEST_F(GateSession, StoreThatIsAwayConsumesNothing) {
  begin();
  const auto challenge = fresh();
  const auto credential = open_with(challenge, returns.make());
  store.set_unavailable(true);
  const auto r = show(credential);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  store.set_unavailable(false);
  EXPECT_EQ(show(credential).status, 200);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, PaidChallengeIsNotCalledUsedWhileTheStoreIsAway) {
  begin();
  const auto challenge = fresh();
  const auto wrong = open_with(challenge, "lnbcrt1nothing");
  store.set_unavailable(true);
  EXPECT_EQ(show(wrong).status, 503) << "a fresh challenge would be paid a second time";
  store.set_unavailable(false);
  EXPECT_EQ(problem(show(wrong)), "lightning/invalid-return-invoice");
}

// --- bearer -------------------------------------------------------------------------------------

TEST_F(GateSession, BearersDrawOnTheDepositWithOneChallenge) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  for (int i = 0; i < 19; ++i) {
    const auto r = show(bearer_with(challenge, opened.id));
    ASSERT_EQ(r.status, 200) << i << r.body;
    EXPECT_EQ(receipt_of(r)->reference, opened.id.hex());
    EXPECT_EQ(receipt_of(r)->challenge_id, challenge.id);
    EXPECT_TRUE(r.headers.has_token("Cache-Control", "private"));
  }
  EXPECT_EQ(seen.size(), 20U);
  EXPECT_TRUE(session(opened.id).balance().is_zero());
  const auto r = show(bearer_with(challenge, opened.id));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/insufficient-balance");
  EXPECT_EQ(member(r, "sessionId"), opened.id.hex());
  EXPECT_EQ(member(r, "balanceSpent"), "40");
  EXPECT_EQ(member(r, "balanceRequired"), "2");
  EXPECT_NE(payment_of(r)->id, challenge.id) << "a fresh one, to top up with";
  EXPECT_FALSE(receipt_of(r));
  EXPECT_EQ(seen.size(), 20U);
}

TEST_F(GateSession, BearerIsGoodOnAnyPathAndMethodOfItsService) {
  begin();
  const auto opened = open();
  EXPECT_EQ(show(bearer_with(opened.challenge, opened.id), "/v1/other?x=1").status, 200);
  EXPECT_EQ(post("body", {{"Authorization", bearer_with(opened.challenge, opened.id)}}).status,
            200);
  EXPECT_EQ(seen.back().body, "body");
}

TEST_F(GateSession, BearerOfAnotherServiceIsNotFound) {
  auto other = prepaid("other");
  other.path = "^/other";
  begin(with({std::move(other), prepaid()}));
  const auto opened = open();
  auto r = show(bearer_with(opened.challenge, opened.id), "/other");
  EXPECT_EQ(problem(r), "lightning/unknown-challenge") << "its challenge is bound to its service";
  r = show(bearer_with(fresh({.target = "/other"}), opened.id), "/other");
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/session-not-found");
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat));
}

TEST_F(GateSession, BearerWithTheWrongPreimage) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto r =
      show(shown(challenge, mpp::lightning::BearerAction{opened.id, Secret(std::string(32, 'x'))}));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/invalid-preimage");
  EXPECT_EQ(payment_of(r)->id, challenge.id);
}

TEST_F(GateSession, DepositThatWasNeverOpenedIsNoSession) {
  begin();
  const auto challenge = fresh();
  const auto r = show(bearer_with(challenge, request_of(challenge).payment_hash));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/session-not-found");
  EXPECT_EQ(seen.size(), 0U);
}

TEST_F(GateSession, ExpiredChallengeIsRefusedForEveryAction) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  clock.advance(Millis(901'000));
  for (const auto& credential :
       {open_with(challenge, returns.make()), bearer_with(challenge, opened.id),
        top_up_with(challenge, opened.id), close_with(challenge, opened.id)}) {
    const auto r = show(credential);
    EXPECT_EQ(r.status, 402);
    EXPECT_EQ(problem(r), "lightning/challenge-expired");
    EXPECT_NE(payment_of(r)->id, challenge.id);
  }
  EXPECT_EQ(session(opened.id).state, SessionState::open);
}

TEST_F(GateSession, ForgedChallengeIsRefusedForEveryAction) {
  begin();
  const auto opened = open();
  auto forged = fresh();
  auto request = request_of(forged);
  request.amount = 1_sat;
  request.deposit_amount = 1000000_sat;
  forged.request = mpp::lightning::format_session_request(request).value();
  for (const auto& credential : {open_with(forged, returns.make()), bearer_with(forged, opened.id),
                                 top_up_with(forged, opened.id), close_with(forged, opened.id)}) {
    const auto r = show(credential);
    EXPECT_EQ(r.status, 402);
    EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  }
  EXPECT_EQ(session(opened.id).deposit, to_msat(40_sat));
}

TEST_F(GateSession, UpstreamThatIsDownCostsNothing) {
  begin();
  const auto opened = open();
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  EXPECT_EQ(show(bearer_with(opened.challenge, opened.id)).status, 502);
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat)) << "it was given back";
  upstream_.reset();
  EXPECT_EQ(show(bearer_with(opened.challenge, opened.id)).status, 503);
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat));
}

TEST_F(GateSession, AnswerThatBrokeOffIsBilled) {
  begin();
  const auto opened = open();
  upstream_answer = [](http::Exchange& x) { return torn(&x); };
  std::ignore = raw("GET /v1/data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " +
                    bearer_with(opened.challenge, opened.id) + "\r\n\r\n");
  EXPECT_EQ(session(opened.id).spent, to_msat(4_sat));
}

TEST_F(GateSession, ClientThatLeavesHasHadTheUpstreamWork) {
  begin();
  const auto opened = open();
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(150)); };
  net::run_until(loop,
                 leave_at_once(this, "GET /v1/data HTTP/1.1\r\nHost: x\r\nAuthorization: " +
                                         bearer_with(opened.challenge, opened.id) + "\r\n\r\n"));
  ASSERT_TRUE(wait_for([&] { return seen.size() == 2; }));
  pause(Millis(300));
  EXPECT_EQ(session(opened.id).spent, to_msat(4_sat));
}

TEST_F(GateSession, CheapChallengeOpensNothingDear) {
  auto s = prepaid();
  s.prices = {{"/v1/dear", {}, Price{to_msat(30_sat), std::nullopt}}};
  begin(std::move(s));
  const auto opened = open();
  const auto r = show(bearer_with(opened.challenge, opened.id), "/v1/dear");
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_EQ(request_of(*payment_of(r)).amount, 30_sat) << "the fresh challenge shows the price";
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat)) << "nothing was debited";
  EXPECT_EQ(show(bearer_with(*payment_of(r), opened.id), "/v1/dear").status, 200);
  EXPECT_EQ(session(opened.id).spent, to_msat(32_sat));
}

TEST_F(GateSession, PriceChangeIsShownBeforeItIsBilled) {
  begin();
  const auto opened = open();
  auto dearer = with({prepaid()});
  dearer.services[0].price.msat = to_msat(3_sat);
  publish(std::move(dearer));
  const auto r = show(bearer_with(opened.challenge, opened.id));
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(session(opened.id).spent, to_msat(2_sat));
  EXPECT_EQ(show(bearer_with(*payment_of(r), opened.id)).status, 200);
  EXPECT_EQ(session(opened.id).spent, to_msat(5_sat));
}

TEST_F(GateSession, DepositForACheapRouteIsCreditedButServesNothingDear) {
  auto s = prepaid();
  s.prices = {{"/v1/dear", {}, Price{to_msat(30_sat), std::nullopt}}};
  begin(std::move(s));
  const auto challenge = fresh();
  const auto credential = open_with(challenge, returns.make());
  const auto r = show(credential, "/v1/dear");
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/insufficient-balance");
  EXPECT_EQ(member(r, "balanceSpent"), "0");
  EXPECT_EQ(member(r, "balanceRequired"), "30");
  EXPECT_EQ(seen.size(), 0U);
  const auto id = request_of(challenge).payment_hash;
  EXPECT_EQ(session(id).balance(), to_msat(40_sat)) << "the payer's money is not lost";
  EXPECT_EQ(show(bearer_with(*payment_of(r), id), "/v1/dear").status, 200);
  const auto again = show(credential, "/v1/dear");
  EXPECT_EQ(again.status, 200) << "the session is open: that is all that this credential bought";
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, DepositForADearRouteIsBilledTheCheapOne) {
  auto s = prepaid();
  s.prices = {{"/v1/dear", {}, Price{to_msat(30_sat), std::nullopt}}};
  begin(std::move(s));
  const auto challenge = fresh({.target = "/v1/dear"});
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 200);
  EXPECT_EQ(session(request_of(challenge).payment_hash).spent, to_msat(2_sat));
}

TEST_F(GateSession, SixtyFourAtOnceNeverOverdraw) {
  auto settings = with({prepaid()});
  settings.max_unpaid = 0;
  begin(std::move(settings));
  const auto opened = open();
  TaskGroup group;
  std::map<int, int> statuses;
  for (int i = 0; i < 64; ++i) {
    group.start(fetch_into(
        this, request({.fields = {{"Authorization", bearer_with(opened.challenge, opened.id)}}}),
        &statuses));
  }
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 19);
  EXPECT_EQ(statuses[402], 45);
  EXPECT_EQ(seen.size(), 20U) << "what was served was debited";
  EXPECT_TRUE(session(opened.id).balance().is_zero());
}

TEST_F(GateSession, RateLimitCountsASession) {
  auto s = prepaid();
  s.rate_limits = {
      {.path = {}, .requests = 2, .per = Millis(60'000), .burst = 0, .by = CountBy::session}};
  begin(std::move(s));
  const auto a = open();
  clock.advance(Millis(60'000));
  const auto b = open();
  EXPECT_EQ(show(bearer_with(a.challenge, a.id)).status, 200);
  EXPECT_EQ(show(bearer_with(a.challenge, a.id)).status, 200);
  EXPECT_EQ(show(bearer_with(a.challenge, a.id)).status, 429);
  EXPECT_EQ(show(bearer_with(b.challenge, b.id)).status, 200) << "another session has its own";
}

TEST_F(GateSession, UpstreamLearnsTheSessionWhereItMay) {
  auto s = prepaid();
  s.forward = Forward::identity;
  begin(std::move(s));
  const auto opened = open();
  EXPECT_EQ(seen.back().headers.get("X-Octroi-Session-Id"), opened.id.hex());
  EXPECT_EQ(seen.back().headers.get("X-Octroi-Amount-Msat"), "2000");
}

// --- topUp --------------------------------------------------------------------------------------

TEST_F(GateSession, TopUpAddsAndIsAnsweredAtTheDoor) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto r = show(top_up_with(challenge, opened.id));
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.body, R"({"status":"ok"})");
  EXPECT_EQ(field(r, "Content-Type"), "application/json");
  EXPECT_TRUE(r.headers.has_token("Cache-Control", "private"));
  ASSERT_TRUE(receipt_of(r));
  EXPECT_EQ(receipt_of(r)->reference, opened.id.hex());
  EXPECT_EQ(session(opened.id).deposit, to_msat(80_sat));
  EXPECT_EQ(seen.size(), 1U) << "the upstream never saw it";
}

TEST_F(GateSession, ReplayedTopUpAddsNothing) {
  begin();
  const auto opened = open();
  const auto credential = top_up_with(fresh(), opened.id);
  const auto first = show(credential);
  clock.advance(Millis(3'000));
  for (int i = 0; i < 3; ++i) {
    const auto again = show(credential, "/v1/else");
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(field(again, "Payment-Receipt"), field(first, "Payment-Receipt"));
  }
  EXPECT_EQ(session(opened.id).deposit, to_msat(80_sat));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateSession, TopUpThatACrashInterruptedIsAnsweredTheSame) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto credential = top_up_with(challenge, opened.id);
  // The first durable step, by a process that died before the second.
  ledger::TopUp request;
  request.session = opened.id;
  request.amount = to_msat(40_sat);
  request.proof.hash = request_of(challenge).payment_hash;
  request.proof.scheme = ledger::Scheme::mpp_session;
  request.proof.service = "api";
  request.proof.challenge_id = challenge.id;
  request.proof.payload = mpp::parse_credential(credential)->fingerprint();
  request.proof.idempotency_key = to_hex(ByteView(request.proof.payload));
  request.proof.now = clock.now();
  request.proof.keep_until = clock.now() + Millis(3'600'000);
  ASSERT_TRUE(net::run_until(loop, store.sessions()->top_up_session(request)));
  store.restart();
  const auto r = show(credential);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, R"({"status":"ok"})");
  EXPECT_EQ(session(opened.id).deposit, to_msat(80_sat));
}

TEST_F(GateSession, DepositIsClaimedOnceOverOpenAndTopUp) {
  begin();
  const auto opened = open();
  const auto r = show(top_up_with(opened.challenge, opened.id));
  EXPECT_EQ(problem(r), "lightning/unknown-challenge") << "it opened this session already";
  const auto more = fresh();
  EXPECT_EQ(show(top_up_with(more, opened.id)).status, 200);
  EXPECT_EQ(problem(show(open_with(more, returns.make()))), "lightning/unknown-challenge");
  EXPECT_EQ(session(opened.id).deposit, to_msat(80_sat));
}

TEST_F(GateSession, TopUpWithoutASessionConsumesNothing) {
  begin();
  const auto challenge = fresh();
  const auto r = show(top_up_with(challenge, PaymentHash(crypto::sha256(as_bytes("nobody's")))));
  EXPECT_EQ(problem(r), "lightning/session-not-found");
  EXPECT_EQ(show(open_with(challenge, returns.make())).status, 200) << "the deposit is still good";
}

TEST_F(GateSession, TopUpWithTheWrongPreimage) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto r =
      show(shown(challenge, mpp::lightning::TopUpAction{opened.id, Secret(std::string(32, 'x'))}));
  EXPECT_EQ(problem(r), "lightning/invalid-preimage");
  EXPECT_EQ(payment_of(r)->id, challenge.id);
}

TEST_F(GateSession, TransactionRowsTellDepositAndTopUp) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto hash = request_of(challenge).payment_hash;
  EXPECT_EQ(show(top_up_with(challenge, opened.id)).status, 200);
  ASSERT_TRUE(net::run_until(loop, store.record_transactions(rows.records)));
  auto listed = net::run_until(loop, store.list_transactions({}));
  ASSERT_TRUE(listed);
  std::map<PaymentHash, ledger::Transaction> settled;
  for (auto& t : *listed) {
    EXPECT_EQ(t.record.scheme, ledger::Scheme::mpp_session);
    if (t.state == ledger::TransactionState::settled) settled.emplace(t.record.hash, t);
  }
  ASSERT_EQ(settled.size(), 2U);
  EXPECT_EQ(settled.at(opened.id).record.amount, to_msat(40_sat));
  EXPECT_EQ(settled.at(hash).record.amount, to_msat(40_sat));
}

// --- close --------------------------------------------------------------------------------------

TEST_F(GateSession, CloseGivesTheRestBackOnce) {
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  const auto credential = close_with(challenge, opened.id);
  const auto r = show(credential);
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.body, R"({"status":"closed","refundSats":38,"refundStatus":"succeeded"})");
  ASSERT_TRUE(receipt_of(r));
  EXPECT_EQ(receipt_of(r)->reference, opened.id.hex());
  EXPECT_EQ(extra(*receipt_of(r), "refundSats"), "38");
  EXPECT_EQ(extra(*receipt_of(r), "refundStatus"), "\"succeeded\"");
  EXPECT_EQ(seen.size(), 1U) << "the upstream never saw it";
  ASSERT_EQ(node.asked.size(), 1U);
  EXPECT_EQ(node.asked[0].bolt11, opened.return_invoice);
  EXPECT_EQ(node.asked[0].amount, to_msat(38_sat));
  EXPECT_EQ(node.asked[0].fee_limit, to_msat(2_sat)) << "not more than the session brought in";
  EXPECT_EQ(session(opened.id).refund.stage, RefundStage::succeeded);

  const auto again = show(credential);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, r.body);
  EXPECT_EQ(field(again, "Payment-Receipt"), field(r, "Payment-Receipt"));
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(GateSession, CloseOfAnEmptySessionPaysNothing) {
  auto s = prepaid();
  s.session.deposit_multiplier = 1;
  begin(std::move(s));
  const auto opened = open();
  const auto r = show(close_with(fresh(), opened.id));
  EXPECT_EQ(r.body, R"({"status":"closed","refundSats":0,"refundStatus":"skipped"})");
  EXPECT_EQ(extra(*receipt_of(r), "refundSats"), "0");
  EXPECT_EQ(node.asked.size(), 0U);
}

TEST_F(GateSession, ClosedSessionOpensNothingAnyMore) {
  begin();
  const auto opened = open();
  ASSERT_EQ(show(close_with(fresh(), opened.id)).status, 200);
  for (const auto& credential : {bearer_with(fresh(), opened.id), top_up_with(fresh(), opened.id),
                                 close_with(fresh(), opened.id)}) {
    const auto r = show(credential);
    EXPECT_EQ(r.status, 402);
    EXPECT_EQ(problem(r), "lightning/session-closed");
  }
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(GateSession, CloseWithTheWrongPreimage) {
  begin();
  const auto opened = open();
  const auto r =
      show(shown(fresh(), mpp::lightning::CloseAction{opened.id, Secret(std::string(32, 'x'))}));
  EXPECT_EQ(problem(r), "lightning/invalid-preimage");
  EXPECT_EQ(session(opened.id).state, SessionState::open);
}

TEST_F(GateSession, CloseOfNobodysSession) {
  begin();
  const auto challenge = fresh();
  const auto r = show(close_with(challenge, request_of(challenge).payment_hash));
  EXPECT_EQ(problem(r), "lightning/session-not-found");
}

TEST_F(GateSession, RefundThatTheNodeRefusesIsToldAsFailed) {
  node.mood = fixture::PayingNode::Mood::refuses;
  begin();
  const auto opened = open();
  const auto r = show(close_with(fresh(), opened.id));
  EXPECT_EQ(r.body, R"({"status":"closed","refundSats":38,"refundStatus":"failed"})");
  EXPECT_EQ(session(opened.id).refund.stage, RefundStage::failed);
  EXPECT_EQ(session(opened.id).refund.detail, "no route");
}

TEST_F(GateSession, RefundOnItsWayIsToldAsFailedAndRecordedAsItEnds) {
  auto s = prepaid();
  s.session.refund.wait = Millis(50);
  node.delay = Millis(300);
  begin(std::move(s));
  const auto opened = open();
  const auto credential = close_with(fresh(), opened.id);
  const auto r = show(credential);
  EXPECT_EQ(r.body, R"({"status":"closed","refundSats":38,"refundStatus":"failed"})");
  EXPECT_EQ(session(opened.id).refund.stage, RefundStage::sending);
  ASSERT_TRUE(wait_for([&] { return session(opened.id).refund.stage == RefundStage::succeeded; }));
  EXPECT_EQ(show(credential).body, r.body) << "a replay says what was said";
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(GateSession, WaitOfZeroAnswersAtOnce) {
  auto s = prepaid();
  s.session.refund.wait = Millis(0);
  node.delay = Millis(100);
  begin(std::move(s));
  const auto opened = open();
  const auto r = show(close_with(fresh(), opened.id));
  EXPECT_EQ(parse_close_body(r.body)->status, RefundStatus::failed);
  ASSERT_TRUE(wait_for([&] { return session(opened.id).refund.stage == RefundStage::succeeded; }));
}

TEST_F(GateSession, CloseHoldsNoWorker) {
  node.delay = Millis(1'000);
  begin();
  const auto opened = open();
  const auto challenge = fresh();
  TaskGroup group;
  std::map<int, int> statuses;
  group.start(fetch_into(
      this, request({.fields = {{"Authorization", close_with(challenge, opened.id)}}}), &statuses));
  ASSERT_TRUE(wait_for([&] { return !node.asked.empty(); }));
  EXPECT_EQ(get().status, 402) << "the door serves meanwhile";
  EXPECT_TRUE(statuses.empty());
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 1);
}

TEST_F(GateSession, SixtyFourClosesAtOncePayOnce) {
  auto settings = with({prepaid()});
  settings.max_unpaid = 0;
  begin(std::move(settings));
  const auto opened = open();
  TaskGroup group;
  std::map<int, int> statuses;
  const auto challenge = fresh();
  for (int i = 0; i < 64; ++i) {
    group.start(
        fetch_into(this, request({.fields = {{"Authorization", close_with(challenge, opened.id)}}}),
                   &statuses));
  }
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 64) << "one close, and its answer again";
  EXPECT_EQ(node.asked.size(), 1U);
}

// --- what is not a session's --------------------------------------------------------------------

TEST_F(GateSession, ChargeServiceTakesNoSession) {
  auto charge = prepaid("charge");
  charge.path = "^/charge";
  charge.intents = {PaymentIntent::charge};
  begin(with({std::move(charge), prepaid()}));
  const auto opened = open();
  const auto r = show(bearer_with(opened.challenge, opened.id), "/charge");
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_EQ(payment_of(r)->intent, "charge");
}

TEST_F(GateSession, SessionServiceTakesNoCharge) {
  auto both = prepaid();
  both.intents = {PaymentIntent::charge, PaymentIntent::session};
  begin(std::move(both));
  const auto credential = buy();
  publish(with({prepaid()}));
  const auto r = show(credential);
  EXPECT_EQ(problem(r), "lightning/unknown-challenge");
  EXPECT_EQ(payment_of(r)->intent, "session");
  EXPECT_EQ(seen.size(), 0U);
}

TEST_F(GateSession, BothIntentsWorkOnOneService) {
  auto both = prepaid();
  both.intents = {PaymentIntent::charge, PaymentIntent::session};
  begin(std::move(both));
  EXPECT_EQ(show(buy()).status, 200);
  const auto opened = open({.fields = {{"Accept-Payment", "lightning/session"}}});
  EXPECT_EQ(show(bearer_with(opened.challenge, opened.id)).status, 200);
}

TEST_F(GateSession, LeaksNothingOfTheProof) {
  begin();
  const auto opened = open();
  const std::string preimage = to_hex(invoices.preimage(opened.id));
  const auto r = show(close_with(fresh(), opened.id));
  EXPECT_EQ(r.body.find(preimage), std::string::npos);
  for (const auto& s : seen) {
    for (const auto f : s.headers) EXPECT_EQ(f.value.find("Payment "), std::string_view::npos);
  }
}

}  // namespace
}  // namespace octroi::paywall
