// Counted L402 tokens (bundles): sold as so many units, and good until they are used up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/http/sse.h"
#include "octroi/ledger/bundles.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;
using testing::HasSubstr;
using testing::Not;

std::string event(int n) { return "data: event " + std::to_string(n) + "\n\n"; }
std::string events(int from, int to) {
  std::string out;
  for (int n = from; n <= to; ++n) out += event(n);
  return out;
}

class Bundle : public GateTest {
 protected:
  ~Bundle() override { door_.reset(); }

  static ServiceSettings counted(std::string unit = "request", std::int64_t count = 3,
                                 std::uint64_t per = 1) {
    auto s = service();
    s.schemes = {OfferScheme::l402};
    s.token.meter = MeterSettings{std::move(unit), per, count, std::nullopt};
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
  http::Response show(const std::string& token, Ask what = {}) {
    what.fields.emplace_back("Authorization", token);
    return ask(what);
  }
  static std::string balance(const http::Response& r) { return field(r, kBalanceField); }
  std::vector<ledger::Bundle> kept() {
    return *net::run_until(loop, store.bundles()->list_bundles({}));
  }
  std::int64_t used() {
    const auto all = kept();
    return all.empty() ? -1 : all.front().used;
  }
  void upstream_streams(std::string body) {
    upstream_says(200, {{"Content-Type", "text/event-stream"}}, std::move(body));
  }
  static Task<void> play_and_die(http::Exchange* x, std::string body) {
    http::ResponseHead head;
    head.headers.set("Content-Type", "text/event-stream");
    std::ignore = co_await x->start(std::move(head), std::nullopt);
    std::ignore = co_await x->write(as_bytes(body));
    co_await net::Loop::current()->sleep(Millis(30));
    x->abort();
  }
};

// --- requests
// ------------------------------------------------------------------------------------

TEST_F(Bundle, OpensAsManyRequestsAsWereSold) {
  start(counted("request", 3));
  const auto token = buy_token();
  for (const char* left : {"2", "1", "0"}) {
    const auto r = show(token);
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(balance(r), std::string(left) + ";unit=request;of=3");
  }
  const auto r = show(token);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(balance(r), "0;unit=request;of=3") << "used up, which is no other fault";
  EXPECT_NE(line_of(r, "L402"), "") << "another one is offered";
  EXPECT_EQ(seen.size(), 3U) << "nothing was forwarded";
  EXPECT_EQ(show(this->token(r)).status, 200);
}

TEST_F(Bundle, IsSoldOnceAndItsUseIsBookedNowhereElse) {
  start(counted("request", 3));
  const auto token = buy_token();
  for (int i = 0; i < 4; ++i) show(token);
  const auto all = *net::run_until(loop, store.list_transactions({}));
  std::int64_t settled = 0;
  Msat sum;
  for (const auto& row : all) {
    if (row.state != ledger::TransactionState::settled) continue;
    ++settled;
    sum = *sum.plus(row.record.amount);
  }
  EXPECT_EQ(settled, 1);
  EXPECT_EQ(sum, to_msat(10_sat));
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(kept()[0].sold, to_msat(10_sat));
  EXPECT_EQ(kept()[0].service, "api");
}

TEST_F(Bundle, ARestartForgetsNothing) {
  start(counted("request", 2));
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  store.restart();
  publish(with({counted("request", 2)}));
  EXPECT_EQ(balance(show(token)), "0;unit=request;of=2");
  EXPECT_EQ(show(token).status, 402);
}

TEST_F(Bundle, CopiesShareTheRowAndEachHasItsOwnBound) {
  start(counted("request", 10));
  const auto asked = get();
  const auto narrow = attenuated(asked, {"api_meter=request:2"});
  EXPECT_EQ(balance(show(narrow)), "1;unit=request;of=2")
      << "the first copy shown is the narrow one";
  EXPECT_EQ(balance(show(narrow)), "0;unit=request;of=2");
  EXPECT_EQ(show(narrow).status, 402);
  EXPECT_EQ(balance(show(token(asked))), "7;unit=request;of=10") << "and the whole token lost none";
  EXPECT_EQ(balance(show(attenuated(asked, {"api_meter=request:5", "api_meter=request:4"}))),
            "0;unit=request;of=4");
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_EQ(kept()[0].granted, 10);
}

TEST_F(Bundle, NobodyWidensIt) {
  start(counted("request", 3));
  const auto asked = get();
  for (const std::vector<std::string>& forged :
       std::vector<std::vector<std::string>>{{"api_meter=request:4"},
                                             {"api_meter=request:2", "api_meter=request:3"},
                                             {"api_meter=byte:3"},
                                             {"api_meter=request"},
                                             {"api_meter=request:-1"},
                                             {"api_meter=request:99999999999999999999"},
                                             {"api_meter=:1"},
                                             {"api_meter=request:1 "},
                                             {"api_meter=request:0"}}) {
    const auto r = show(attenuated(asked, forged));
    EXPECT_EQ(r.status, 402) << forged.back();
  }
  EXPECT_TRUE(seen.empty());
}

/// The count is kept as long as the token that was sold, whatever end a copy has.
TEST_F(Bundle, ACopyThatEndsEarlyDoesNotMakeTheCountForgotten) {
  auto s = counted("request", 2);
  s.token.valid_for = std::nullopt;
  start(s);
  const auto asked = get();
  const auto seconds = fixture::kStart.seconds() + 60;
  EXPECT_EQ(show(attenuated(asked, {fmt::format("api_valid_until={}", seconds)})).status, 200);
  ASSERT_EQ(kept().size(), 1U);
  EXPECT_GT(kept()[0].keep_until, fixture::kStart + Millis(1000LL * 366 * 24 * 3'600'000));
  clock.advance(std::chrono::hours(24 * 365));
  net::run_until(loop, store.prune(clock.now()));
  EXPECT_EQ(show(token(asked)).status, 200);
  EXPECT_EQ(show(token(asked)).status, 402);
}

TEST_F(Bundle, TokensNeverShareARow) {
  start(counted("request", 1));
  const auto one = buy_token();
  const auto two = buy_token();
  EXPECT_EQ(show(one).status, 200);
  EXPECT_EQ(show(two).status, 200);
  EXPECT_EQ(show(one).status, 402);
  EXPECT_EQ(kept().size(), 2U);
}

TEST_F(Bundle, ATokenThatWasSoldWithoutACountIsNotCounted) {
  auto s = counted();
  s.token.meter.reset();
  start(s);
  const auto asked = get();
  const auto whole = token(asked);
  EXPECT_EQ(show(whole).status, 200);
  publish(with({counted("request", 1)}));
  for (int i = 0; i < 3; ++i) {
    const auto r = show(whole);
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(balance(r), "");
  }
  // Its holder may give a counted copy away.
  const auto copy = attenuated(asked, {"api_meter=request:2"});
  EXPECT_EQ(balance(show(copy)), "1;unit=request;of=2");
  EXPECT_EQ(show(copy).status, 200);
  EXPECT_EQ(show(copy).status, 402);
  EXPECT_EQ(show(whole).status, 200);
}

TEST_F(Bundle, WhatWasSoldIsHonouredWhateverIsSoldNow) {
  start(counted("request", 5));
  const auto token = buy_token();
  publish(with({counted("byte", 1)}));
  EXPECT_EQ(balance(show(token)), "4;unit=request;of=5");
  auto none = counted();
  none.token.meter.reset();
  publish(with({none}));
  EXPECT_EQ(balance(show(token)), "3;unit=request;of=5");
}

TEST_F(Bundle, WhatATokenCostsSaysHowMuchItHolds) {
  auto s = counted("request");
  s.prices = {{"^/v1/dear", {}, {to_msat(25_sat), {}}}};
  s.token.meter = MeterSettings{"request", 2, std::nullopt, Price{to_msat(4_sat), {}}};
  start(s);
  EXPECT_EQ(balance(show(buy_token())), "4;unit=request;of=5") << "10 sat at 2 sat each";
  const auto dear = buy_token({.target = "/v1/dear"});
  EXPECT_EQ(balance(show(dear, {.target = "/v1/dear"})), "11;unit=request;of=12") << "and no half";
  EXPECT_EQ(show(dear).status, 402) << "under the rule that it was bought under";
}

TEST_F(Bundle, ADeadUpstreamCostsNothing) {
  start(counted("request", 2));
  const auto token = buy_token();
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  for (int i = 0; i < 3; ++i) {
    const auto r = show(token);
    EXPECT_EQ(r.status, 502);
    EXPECT_THAT(r.body, HasSubstr("not counted"));
  }
  EXPECT_EQ(used(), 0);
  upstream_says(500, {}, "an answer all the same");
  EXPECT_EQ(show(token).status, 500);
  EXPECT_EQ(used(), 1);
}

TEST_F(Bundle, WhoLeavesPays) {
  start(counted("request", 2));
  const auto token = buy_token();
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(200)); };
  net::run_until(loop, leave_at_once(this, "GET /v1/data HTTP/1.1\r\nHost: a\r\nAuthorization: " +
                                               token + "\r\n\r\n"));
  EXPECT_TRUE(wait_for([&] { return seen.size() == 1; }));
  pause(Millis(300));
  EXPECT_EQ(used(), 1);
}

TEST_F(Bundle, AStoreThatIsAwayOpensNothing) {
  start(counted("request", 2));
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  store.set_unavailable(true);
  const auto r = show(token);
  EXPECT_EQ(r.status, 503);
  EXPECT_NE(field(r, "Retry-After"), "");
  store.set_unavailable(false);
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_EQ(balance(show(token)), "0;unit=request;of=2");
}

TEST_F(Bundle, ANumberOfRequestsBesidesIsCountedToo) {
  start(counted("request", 5));
  const auto asked = get();
  const auto copy = attenuated(asked, {"api_max_requests=1"});
  EXPECT_EQ(show(copy).status, 200);
  EXPECT_EQ(show(copy).status, 402);
  EXPECT_EQ(used(), 1) << "what was refused was given back";
  EXPECT_EQ(balance(show(token(asked))), "3;unit=request;of=5");
}

TEST_F(Bundle, IsExactForManyAtOnce) {
  start(counted("request", 5));
  const auto again = request({.fields = {{"Authorization", buy_token()}}});
  std::map<int, int> statuses;
  TaskGroup group;
  for (int i = 0; i < 16; ++i) group.start(fetch_into(this, again, &statuses));
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 5);
  EXPECT_EQ(statuses[402], 11);
  EXPECT_EQ(seen.size(), 5U);
}

TEST_F(Bundle, ARevokedOneIsWorthNothing) {
  start(counted("request", 5));
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  gate->publish(std::make_shared<l402::RevocationSet>(std::vector<TokenId>{kept()[0].id}));
  EXPECT_EQ(show(token).status, 403);
  EXPECT_EQ(used(), 1);
}

// --- what answers hold
// ---------------------------------------------------------------------------

TEST_F(Bundle, AStreamIsCountedByItsEvents) {
  start(counted("chunk", 10));
  const auto token = buy_token();
  upstream_streams(events(1, 4) + "data: [DONE]\n\n");
  const auto r = show(token);
  EXPECT_EQ(r.status, 200);
  EXPECT_THAT(r.body, HasSubstr(events(1, 4)));
  EXPECT_THAT(r.body, HasSubstr(": L402-Balance 6;unit=chunk;of=10\n\ndata: [DONE]"));
  EXPECT_EQ(used(), 4);
}

TEST_F(Bundle, AStreamThatRunsDryIsEndedAndTold) {
  start(counted("chunk", 5));
  const auto token = buy_token();
  upstream_streams(events(1, 9) + "data: [DONE]\n\n");
  const auto r = show(token);
  EXPECT_EQ(r.status, 200);
  EXPECT_THAT(r.body, HasSubstr(events(1, 5)));
  EXPECT_THAT(r.body, Not(HasSubstr(event(6))));
  EXPECT_THAT(r.body, Not(HasSubstr("[DONE]")));
  EXPECT_THAT(r.body, HasSubstr("event: token-exhausted\ndata: "
                                R"({"unit":"chunk","left":0,"required":1})"));
  EXPECT_EQ(used(), 5);
  EXPECT_EQ(show(token).status, 402);
}

TEST_F(Bundle, AnUpstreamThatDiesIsCountedForWhatItSent) {
  start(counted("chunk", 10));
  const auto token = buy_token();
  upstream_answer = [](http::Exchange& x) { return play_and_die(&x, events(1, 3)); };
  net::run_until(
      loop,
      leave_early(this, "GET /v1/data HTTP/1.1\r\nHost: a\r\nAuthorization: " + token + "\r\n\r\n",
                  Millis(200)));
  EXPECT_TRUE(wait_for([&] { return used() == 3; })) << used();
}

TEST_F(Bundle, BytesOfAKnownLengthAreTakenBeforeTheyAreSent) {
  start(counted("byte", 10, 10));
  const auto token = buy_token();
  upstream_says(200, {}, std::string(60, 'x'));
  const auto first = show(token);
  EXPECT_EQ(first.body.size(), 60U);
  EXPECT_EQ(balance(first), "40;unit=byte;of=100") << "its own bytes are told beforehand";
  EXPECT_EQ(used(), 60);
  const auto r = show(token);
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(balance(r), "40;unit=byte;of=100");
  EXPECT_NE(line_of(r, "L402"), "");
  EXPECT_EQ(used(), 60) << "and what was set aside for it came back";
}

TEST_F(Bundle, WhatNoTokenCouldPayForIsNoReasonToBuyOne) {
  start(counted("byte", 10, 10));
  const auto token = buy_token();
  upstream_says(200, {}, std::string(101, 'x'));
  const auto r = show(token);
  EXPECT_EQ(r.status, 403);
  EXPECT_EQ(line_of(r, "L402"), "");
  EXPECT_THAT(r.body, HasSubstr("more than the 100 that a whole token holds"));
  EXPECT_EQ(used(), 0);
}

TEST_F(Bundle, AnErrorOfTheUpstreamCostsNothingWhereAnswersAreMetered) {
  start(counted("KiB", 10));
  const auto token = buy_token();
  upstream_says(404, {}, std::string(3000, 'x'));
  const auto none = show(token);
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(balance(none), "10;unit=KiB;of=10");
  EXPECT_EQ(used(), 0);
  upstream_says(200, {}, std::string(1025, 'x'));
  EXPECT_EQ(show(token).status, 200);
  EXPECT_EQ(used(), 2);
}

TEST_F(Bundle, TokensOfAModelAreSetAsideAsTheRequestAnnouncesThem) {
  auto s = counted("token", 2, 1000);
  s.digest = DigestMode::off;
  start(s);
  const auto token = buy_token();
  upstream_says(200, {{"Content-Type", "application/json"}},
                R"({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":290}})");
  const auto ask_for = [&](std::string_view most) {
    return show(token, {.method = "POST",
                        .fields = {{"Content-Type", "application/json"}},
                        .body = fmt::format(
                            R"({{"messages":[{{"role":"user","content":"hello"}}]{}}})", most)});
  };
  EXPECT_EQ(ask_for("").status, 403) << "4096 and more, where it names no bound";
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(ask_for(R"(,"max_tokens":1500)").status, 200);
  EXPECT_EQ(used(), 300) << "as the answer told";
  const auto r = ask_for(R"(,"max_tokens":1900)");
  EXPECT_EQ(r.status, 402) << "a new token could";
  EXPECT_EQ(balance(r), "1700;unit=token;of=2000");
  EXPECT_EQ(used(), 300);
}

TEST_F(Bundle, AMeteredTokenIsNotCountedBehindAnUpgrade) {
  start(counted("byte", 100));
  const auto token = buy_token();
  EXPECT_EQ(show(token).status, 200);
  EXPECT_EQ(field({.status = 0, .headers = seen[0].headers, .body = {}}, "Accept-Encoding"),
            "identity");
}

// --- the words
// -----------------------------------------------------------------------------------

TEST(BundleWords, TheBalanceIsAnItemWithParameters) {
  EXPECT_EQ(format_balance(41, pricing::Unit::kib, 50), "41;unit=KiB;of=50");
  ledger::Bundle b;
  b.granted = 50;
  b.used = 20;
  EXPECT_EQ(left_within(b, 50), 30);
  EXPECT_EQ(left_within(b, 25), 5);
  EXPECT_EQ(left_within(b, 10), 0);
  EXPECT_EQ(left_within(b, ledger::kMostUnits), 30);
}

}  // namespace
}  // namespace octroi::paywall
