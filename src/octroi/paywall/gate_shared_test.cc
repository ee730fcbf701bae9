// What replicas count together, seen from the door of one: limits, unpaid challenges, and how old
// what it knows of revocations may be.
#include "octroi/ledger/memory_shared_state.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;

class SharedGate : public GateTest {
 protected:
  void start_shared(PaywallSettings settings) {
    start(std::move(settings));
    shared().state = &state_;
    unpaid->share(state_, "one");
  }
  static ServiceSettings limited(std::int64_t requests) {
    auto s = service();
    s.schemes = {OfferScheme::payment};
    s.rate_limits = {{"", requests, Millis(60'000), 0, CountBy::ip}};
    return s;
  }
  /// As another replica takes of the same rule.
  void elsewhere(std::int64_t requests, int times) {
    // The name is the door's own: service, number of the rule, network of the client.
    for (int i = 0; i < times; ++i) {
      std::ignore = ledger_take({"api 0 a127.0.0.0", requests, Millis(60'000), 0});
    }
  }
  bool ledger_take(ledger::RateBucket bucket) {
    net::Loop loop;
    const auto room = net::run_until(loop, state_.take_rates({std::move(bucket)}));
    return room && room->granted;
  }
  ledger::MemorySharedState state_{clock};
};

TEST_F(SharedGate, ARateIsOneForAllReplicas) {
  start_shared(with({limited(4)}));
  EXPECT_EQ(get().status, 402);
  elsewhere(4, 2);
  EXPECT_EQ(get().status, 402);
  const auto r = get();
  EXPECT_EQ(r.status, 429);
  EXPECT_EQ(field(r, "Retry-After"), "15");
  clock.advance(Millis(15'000));
  EXPECT_EQ(get().status, 402);
}

TEST_F(SharedGate, WhoCannotCountDoesNotServe) {
  start_shared(with({limited(4)}));
  const auto credential = buy();
  state_.set_up(false);
  auto r = get("/v1/data", {{"Authorization", credential}});
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(field(r, "Retry-After"), "1");
  EXPECT_TRUE(seen.empty());
  state_.set_up(true);
  r = get("/v1/data", {{"Authorization", credential}});
  EXPECT_EQ(r.status, 200) << "nothing was consumed";
}

TEST_F(SharedGate, NothingIsAskedWhereNothingIsCounted) {
  start_shared(with({service()}));
  const auto token = buy_token();
  const auto asked = state_.asked();
  state_.set_up(false);
  EXPECT_EQ(get("/v1/data", {{"Authorization", token}}).status, 200);
  EXPECT_EQ(get("/v1/data", {{"Authorization", token}}).status, 200);
  EXPECT_EQ(state_.asked(), asked);
}

TEST_F(SharedGate, UnpaidChallengesAreCountedForAll) {
  auto settings = with({limited(1000)});
  settings.max_unpaid = 2;
  start_shared(settings);
  EXPECT_EQ(get().status, 402);
  EXPECT_EQ(unpaid->places(clock.now()).size(), 1U);
  EXPECT_TRUE(unpaid->places(clock.now())[0].hash);
  // Another replica's, for the same client.
  auto place = unpaid->places(clock.now())[0];
  place.ticket = "another:1";
  place.hash.reset();
  net::Loop loop;
  ASSERT_TRUE(net::run_until(loop, state_.reserve_unpaid(place, 2))->granted);
  EXPECT_EQ(get().status, 429);
  EXPECT_EQ(unpaid->places(clock.now()).size(), 1U) << "what was refused is not kept";
  state_.release_unpaid(place);
  EXPECT_EQ(get().status, 402);
  EXPECT_EQ(get().status, 429);
  unpaid->settled(*unpaid->places(clock.now())[0].hash);
  EXPECT_EQ(get().status, 402);
}

TEST_F(SharedGate, AnUnpaidChallengeThatCannotBeCountedIsNotMade) {
  auto settings = with({service()});
  settings.max_unpaid = 2;
  start_shared(settings);
  state_.set_up(false);
  const auto r = get();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(field(r, "Retry-After"), "1");
  EXPECT_EQ(invoices.calls, 0);
  EXPECT_TRUE(unpaid->places(clock.now()).empty());
  state_.set_up(true);
  EXPECT_EQ(get().status, 402);
}

TEST_F(SharedGate, WithoutABoundNobodyCounts) {
  auto settings = with({service()});
  settings.max_unpaid = 0;
  start_shared(settings);
  state_.set_up(false);
  EXPECT_EQ(get().status, 402);
}

TEST_F(SharedGate, ATokenIsNotServedByWhoDoesNotKnowWhatIsRevoked) {
  start(service());
  const auto token = buy_token();
  const auto proof = buy();
  Freshness fresh;
  shared().fresh = &fresh;
  const auto r = get("/v1/data", {{"Authorization", token}});
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(field(r, "Retry-After"), "1");
  // What the store has to claim anyway needs no copy.
  EXPECT_EQ(get("/v1/data", {{"Authorization", proof}}).status, 200);
  EXPECT_EQ(get().status, 402);
  fresh.confirm(Freshness::now() + Millis(60'000));
  EXPECT_EQ(get("/v1/data", {{"Authorization", token}}).status, 200);
}

TEST(Freshness, IsOverAfterItsLimitAndNeverGoesBack) {
  Freshness fresh;
  EXPECT_FALSE(fresh.at(Millis(1'000)));
  fresh.confirm(Millis(1'000));
  fresh.confirm(Millis(900));
  EXPECT_TRUE(fresh.at(Millis(1'000) + Freshness::kLimit));
  EXPECT_FALSE(fresh.at(Millis(1'001) + Freshness::kLimit));
}

TEST(UnpaidPlaces, AreToldAsTheyStand) {
  ManualClock clock{UnixMillis{1'000'000}};
  ledger::MemorySharedState state{clock};
  UnpaidBound bound(3);
  bound.share(state, "mark");
  const auto client = net::IpAddress::v4({10, 0, 0, 1});
  net::Loop loop;
  const auto place = *net::run_until(
      loop,
      bound.reserve_of_all(client, OfferScheme::l402, clock.now(), clock.now() + Millis(5'000)));
  ASSERT_TRUE(place.granted);
  clock.advance(Millis(2'000));
  auto out = bound.places(clock.now());
  ASSERT_EQ(out.size(), 1U);
  EXPECT_TRUE(out[0].ticket.starts_with("mark:"));
  EXPECT_EQ(out[0].left, Millis(3'000));
  EXPECT_FALSE(out[0].hash);
  bound.release(place, client, OfferScheme::l402);
  EXPECT_TRUE(bound.places(clock.now()).empty());
}

}  // namespace
}  // namespace octroi::paywall
