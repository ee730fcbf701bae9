#include "octroi/policy/usage.h"

#include <gtest/gtest.h>

#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/policy/policy_testing.h"

namespace octroi::policy {
namespace {

/// Reserves the call as the door would, and settles some of it.
void spend(ledger::MemorySpends& spends, const Policy& policy, const Call& call,
           const std::string& id, std::optional<MicroUsd> settled) {
  const Decision d = judged(policy, call);
  ASSERT_EQ(d.verdict, Verdict::allow) << d.message;
  ledger::Reservation r;
  r.id = id;
  r.amount = d.amount;
  r.holds = d.holds();
  r.now = kNow;
  r.answer_by = r.give_up_at = r.replay_until = kNow + Millis(1000);
  const auto reserved = ledger::sync(spends.reserve(std::move(r)));
  ASSERT_TRUE(reserved && reserved->state == ledger::ReserveState::applied);
  if (settled) ASSERT_TRUE(ledger::sync(spends.settle(id, *settled, "", kNow)));
}

std::vector<ledger::SpendUsage> windows(ledger::MemorySpends& spends) {
  return ledger::sync(spends.usage("", kNow)).value_or(std::vector<ledger::SpendUsage>{});
}

TEST(CapUsage, EveryCapIsFoundInTheScopesThatItMakes) {
  const Policy policy = stripe_policy(
      R"("daily_cap":"50 usd","run_cap":"20 usd","time_zone":"Europe/Berlin","caps":[)"
      R"({"per":"hour","calls":10},{"per":"day","usd":"9 usd","direction":"charge","by":"customer"},)"
      R"({"per":"lifetime","usd":"99 usd","by":"agent","budget":"all"}])");
  ledger::MemorySpends spends;
  spend(spends, policy, charge_call(300), "one", MicroUsd::from_raw(2'000'000).value());
  spend(spends, policy, charge_call(400), "two", std::nullopt);
  const auto usage = cap_usage(policy, windows(spends));
  ASSERT_EQ(usage.size(), policy.caps.size());
  for (const CapUsage& u : usage) {
    const Cap& cap = policy.caps[u.cap];
    if (u.unit == ledger::SpendUnit::calls) {
      EXPECT_EQ(u.left(), 8);
      continue;
    }
    EXPECT_EQ(u.held, 4'000'000) << to_string(cap.period);
    EXPECT_EQ(u.settled, 2'000'000) << to_string(cap.period);
    EXPECT_EQ(u.left(), u.limit - 6'000'000);
    const bool ends = cap.period != Period::run && cap.period != Period::lifetime;
    EXPECT_EQ(u.resets_at.has_value(), ends) << to_string(cap.period);
    if (cap.period == Period::run) EXPECT_EQ(u.whose, "run:run-1");
    if (cap.by == CountedBy::customer) EXPECT_EQ(u.whose, "customer:cus_1");
    if (cap.by == CountedBy::agent) EXPECT_EQ(u.whose, "agent:helper");
  }
}

TEST(CapUsage, DaysOfAnotherZoneAreOthers) {
  const Policy before = stripe_policy(R"("daily_cap":"50 usd","time_zone":"Europe/Berlin")");
  const Policy after = stripe_policy(R"("daily_cap":"50 usd","time_zone":"America/New_York")");
  ledger::MemorySpends spends;
  spend(spends, before, charge_call(300), "one", std::nullopt);
  const auto usage = cap_usage(after, windows(spends));
  ASSERT_EQ(usage.size(), 1U);
  EXPECT_EQ(usage[0].left(), 50'000'000);
}

TEST(CapUsage, WhatWasNeverCountedIsThereAllTheSame) {
  const Policy policy = stripe_policy(R"("daily_cap":"50 usd","caps":[{"per":"hour","calls":3}])");
  const auto usage = cap_usage(policy, {});
  ASSERT_EQ(usage.size(), 2U);
  for (const CapUsage& u : usage) {
    EXPECT_EQ(u.left(), u.limit);
    EXPECT_EQ(u.resets_at, std::nullopt);
  }
}

TEST(CapUsage, AnotherPolicysScopesAreNotMine) {
  const Policy policy = stripe_policy(R"("daily_cap":"50 usd")");
  ledger::SpendUsage other;
  other.scope = "policy/bot2/day/all/micro_usd";
  other.settled = 7;
  ledger::SpendUsage zoned = other;
  zoned.scope = "policy/bot/day@Europe%2FBerlin/all/micro_usd";
  const auto usage = cap_usage(policy, {other, zoned});
  ASSERT_EQ(usage.size(), 1U);
  EXPECT_EQ(usage[0].settled, 0);
}

}  // namespace
}  // namespace octroi::policy
