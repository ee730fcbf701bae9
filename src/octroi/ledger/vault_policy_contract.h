// octroi/ledger/vault_policy_contract.h: what every ledger::VaultPolicies must do, as tests. For
// tests only; instantiated as StoreContract is.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/store_testing.h"
#include "octroi/ledger/vault_policies.h"

namespace octroi::ledger {

class VaultPolicyContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  VaultPolicies& policies() { return *fixture_->store().vault_policies(); }
  PolicyChanged change(std::string name, std::string document,
                       std::optional<std::int64_t> expected = {}, Millis after = Millis(0)) {
    auto out = sync(
        policies().change_policy({std::move(name), std::move(document), expected, kStart + after}));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(PolicyChanged{});
  }
  PolicyList list() {
    auto out = sync(policies().list_policies());
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(PolicyList{});
  }
  std::vector<PolicyVersion> versions(const std::string& name) {
    auto out = sync(policies().policy_versions(name, 100));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::vector<PolicyVersion>{});
  }
  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(VaultPolicyContract, APolicyIsKeptWithItsVersions) {
  EXPECT_EQ(change("bot", "{\"a\":1}").version, 1);
  EXPECT_EQ(change("bot", "{\"a\":2}", 1, Millis(5)).version, 2);
  EXPECT_EQ(change("another", "{}").version, 1);
  const PolicyList all = list();
  ASSERT_EQ(all.policies.size(), 2U);
  EXPECT_EQ(all.policies[0].name, "another");
  EXPECT_EQ(all.policies[1].name, "bot");
  EXPECT_EQ(all.policies[1].document, "{\"a\":2}");
  EXPECT_EQ(all.policies[1].version, 2);
  EXPECT_EQ(all.policies[1].created, kStart);
  EXPECT_EQ(all.policies[1].updated, kStart + Millis(5));
  const auto history = versions("bot");
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].version, 2);
  EXPECT_EQ(history[1].document, "{\"a\":1}");
  EXPECT_EQ(history[1].at, kStart);
  EXPECT_EQ(sync(policies().policy_versions("bot", 1))->size(), 1U);
  EXPECT_TRUE(versions("nobody").empty());
}

TEST_P(VaultPolicyContract, AChangeRestsOnTheVersionThatItSaw) {
  EXPECT_FALSE(change("bot", "{}", 1).applied);
  EXPECT_TRUE(change("bot", "{}", 0).applied);
  const PolicyChanged taken = change("bot", "{}", 0);
  EXPECT_FALSE(taken.applied);
  EXPECT_EQ(taken.version, 1);
  EXPECT_TRUE(change("bot", "{\"b\":1}", 1).applied);
  EXPECT_FALSE(change("bot", "", 1).applied);
  EXPECT_EQ(list().policies.size(), 1U);
}

TEST_P(VaultPolicyContract, AVersionIsNeverUsedTwice) {
  EXPECT_FALSE(change("bot", "").applied);
  EXPECT_EQ(change("bot", "{}").version, 1);
  EXPECT_EQ(change("bot", "", 1).version, 2);
  EXPECT_TRUE(list().policies.empty());
  EXPECT_EQ(change("bot", "{\"c\":1}", 0).version, 3);
  const auto history = versions("bot");
  ASSERT_EQ(history.size(), 3U);
  EXPECT_EQ(history[1].document, "");
}

TEST_P(VaultPolicyContract, EveryChangeIsNoticed) {
  const std::int64_t before = list().version;
  change("bot", "{}");
  const std::int64_t after = list().version;
  EXPECT_GT(after, before);
  EXPECT_EQ(sync(policies().policies_version()).value_or(-1), after);
  change("bot", "");
  EXPECT_GT(sync(policies().policies_version()).value_or(-1), after);
}

TEST_P(VaultPolicyContract, OfManyAtOnceOneIsRight) {
  change("bot", "{}");
  std::atomic<int> applied{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      if (change("bot", "{\"n\":" + std::to_string(i) + "}", 1).applied) ++applied;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(applied.load(), 1);
  EXPECT_EQ(versions("bot").size(), 2U);
}

}  // namespace octroi::ledger
