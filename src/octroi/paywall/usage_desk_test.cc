// Reports to price sources: told until they are taken, and what a source says about bundles.
#include "octroi/paywall/usage_desk.h"

#include "octroi/paywall/gate_fixture.h"
#include "octroi/pricing/pricer.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;

/// Keeps accounts as the test says, and remembers what it was told.
class Accounts final : public pricing::Pricer, public PriceSources {
 public:
  Result<> book = {};
  Result<pricing::Authorization> say = pricing::Authorization{true, {}, "", 42};
  Result<> take = {};
  Result<Msat> cost = to_msat(1_sat);
  std::vector<TokenId> booked;
  std::vector<TokenId> asked;
  std::vector<pricing::PriceRequest> requests;
  std::vector<pricing::Usage> told;
  bool gone = false;

  Task<Result<pricing::Quote>> quote(pricing::PriceRequest) override {
    co_return pricing::Quote{to_msat(7_sat), "", std::nullopt};
  }
  Task<Result<>> challenge_minted(pricing::PriceRequest, TokenId token, Msat) override {
    booked.push_back(token);
    co_return book;
  }
  Task<Result<pricing::Authorization>> authorize(pricing::PriceRequest request,
                                                 TokenId token) override {
    requests.push_back(std::move(request));
    asked.push_back(token);
    co_return say;
  }
  Task<Result<>> report_usage(pricing::Usage usage) override {
    told.push_back(std::move(usage));
    co_return take;
  }
  Task<Result<pricing::SessionQuote>> quote_session(pricing::PriceRequest, std::string) override {
    co_return fail(pricing::Errc::unavailable, "sells no sessions");
  }
  Task<Result<Msat>> settle_session(pricing::Usage usage) override {
    told.push_back(std::move(usage));
    co_return cost;
  }
  pricing::PriceSource* find(std::string_view name) override {
    return name == "pricer" && !gone ? this : nullptr;
  }
};

tl::unexpected<Error> away() { return fail(pricing::Errc::unavailable, "away"); }

class Metered : public GateTest {
 protected:
  Metered() { sources = &accounts; }
  static ServiceSettings metered() {
    auto s = service();
    s.price_source = "pricer";
    s.metered = true;
    s.price_body = 1024;
    s.schemes = {OfferScheme::l402};
    return s;
  }
  http::Response show(const std::string& credential) {
    return get("/v1/data", {{"Authorization", credential}});
  }
  UsageDesk& desk() {
    if (!desk_) {
      desk_.emplace(loop, *store.usage_reports(), accounts, clock, metrics,
                    UsageDeskOptions{.look_every = Millis(10), .count_every = Millis(10)});
      PaywallSettings settings;
      settings.price_sources.emplace_back().name = "pricer";
      settings.price_sources[0].keep_reports = Millis(60'000);
      desk_->publish(settings);
      desk_->start();
    }
    return *desk_;
  }
  ledger::ReportCounts counts() {
    auto task = store.usage_reports()->report_counts();
    return net::run_until(loop, std::move(task)).value_or(ledger::ReportCounts{});
  }
  Accounts accounts;
  std::optional<UsageDesk> desk_;
};

TEST_F(Metered, ATokenIsABundle) {
  start(metered());
  const auto credential = buy_token();
  ASSERT_EQ(accounts.booked.size(), 1U);
  EXPECT_EQ(show(credential).status, 200);
  EXPECT_EQ(post("for another request", {{"Authorization", credential}}).status, 200);
  ASSERT_EQ(accounts.asked.size(), 2U);
  EXPECT_EQ(accounts.asked[1], accounts.booked[0]);
  EXPECT_EQ(accounts.requests[1].body, "for another request");
  for (const auto& [name, value] : accounts.requests[1].headers) EXPECT_NE(name, "Authorization");
  desk();
  ASSERT_TRUE(wait_for([&] { return accounts.told.size() == 2; }));
  EXPECT_EQ(accounts.told[0].subject, accounts.booked[0].hex());
  EXPECT_EQ(accounts.told[0].status, 200);
  EXPECT_TRUE(accounts.told[0].complete);
  EXPECT_EQ(accounts.told[0].tail, "hello");
  EXPECT_EQ(accounts.told[0].reserved, 42);
  EXPECT_NE(accounts.told[0].id, accounts.told[1].id);
  EXPECT_TRUE(wait_for([&] { return counts() == ledger::ReportCounts{}; }));
}

TEST_F(Metered, NothingGoesOutThatIsNotAllowed) {
  start(metered());
  const auto credential = buy_token();
  accounts.say = pricing::Authorization{false, to_msat(30_sat), "used up", 0};
  EXPECT_EQ(show(credential).status, 402);
  EXPECT_EQ(rows.records.back().amount, to_msat(30_sat));
  accounts.say = away();
  EXPECT_EQ(show(credential).status, 503);
  accounts.say = pricing::Authorization{true, {}, "", 1};
  accounts.gone = true;
  EXPECT_EQ(show(credential).status, 503);
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(counts(), ledger::ReportCounts{});
}

TEST_F(Metered, NoChallengeIsShownForWhatNobodyBooked) {
  start(metered());
  accounts.book = away();
  const auto r = get();
  EXPECT_EQ(r.status, 503);
  EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_TRUE(rows.records.empty());
}

TEST_F(Metered, WhatTheStoreCannotKeepIsNotServed) {
  start(metered());
  const auto credential = buy_token();
  ASSERT_EQ(show(credential).status, 200);
  store.set_unavailable(true);
  EXPECT_EQ(show(credential).status, 503);
  EXPECT_EQ(seen.size(), 1U);
  ASSERT_EQ(accounts.told.size(), 1U) << "what was set aside is told back";
  EXPECT_EQ(accounts.told[0].status, 503);
  EXPECT_EQ(accounts.told[0].reserved, 42);
}

TEST_F(Metered, ATokenOfThenIsNoneOfNow) {
  start(metered());
  const auto bundle = buy_token();
  auto s = metered();
  s.metered = false;
  start(s);
  EXPECT_EQ(show(bundle).status, 402) << "a bundle is no flat rate";
  const auto single = buy_token();
  EXPECT_EQ(show(single).status, 200);
  start(metered());
  EXPECT_EQ(show(single).status, 402);
}

TEST_F(Metered, AReportIsToldUntilItIsTakenAndThenDropped) {
  start(metered());
  const auto credential = buy_token();
  accounts.take = away();
  desk();
  ASSERT_EQ(show(credential).status, 200);
  ASSERT_TRUE(wait_for([&] { return accounts.told.size() == 1; }));
  pause(Millis(50));
  EXPECT_EQ(accounts.told.size(), 1U) << "not before its pause is over";
  clock.advance(Millis(1'000));
  ASSERT_TRUE(wait_for([&] { return accounts.told.size() == 2; }));
  clock.advance(Millis(1'000));
  pause(Millis(50));
  EXPECT_EQ(accounts.told.size(), 2U) << "pauses grow";
  clock.advance(Millis(1'000));
  ASSERT_TRUE(wait_for([&] { return accounts.told.size() == 3; }));
  EXPECT_EQ(accounts.told[0].id, accounts.told[2].id);
  EXPECT_EQ(counts().due, 1);
  clock.advance(Millis(60'000));
  ASSERT_TRUE(wait_for([&] { return counts().due == 0; }));
  EXPECT_NE(metrics.exposition().find("octroi_usage_reports_total{result=\"dropped\"} 1"),
            std::string::npos);
}

TEST_F(Metered, ARequestThatNobodySawEndIsTold) {
  ledger::UsageReport report;
  report.id = "left";
  report.source = "pricer";
  report.subject = std::string(64, 'a');
  report.service = "api";
  report.created = clock.now();
  auto task = store.usage_reports()->open_report(std::move(report), clock.now() + Millis(1'000));
  ASSERT_TRUE(net::run_until(loop, std::move(task)));
  store.restart();
  desk();
  pause(Millis(50));
  EXPECT_TRUE(accounts.told.empty());
  clock.advance(Millis(1'000));
  ASSERT_TRUE(wait_for([&] { return accounts.told.size() == 1; }));
  EXPECT_EQ(accounts.told[0].status, pricing::kUnseen);
  EXPECT_FALSE(accounts.told[0].complete);
}

TEST_F(Metered, ADrainSendsWhatIsDue) {
  start(metered());
  ASSERT_EQ(show(buy_token()).status, 200);
  desk_.emplace(loop, *store.usage_reports(), accounts, clock, metrics);
  net::run_until(loop, desk_->drain(Millis(2'000)));
  EXPECT_EQ(accounts.told.size(), 1U);
}

}  // namespace
}  // namespace octroi::paywall
