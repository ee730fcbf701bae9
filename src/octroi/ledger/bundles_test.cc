// The contract of counted tokens on the fake.
#include <gtest/gtest.h>

#include "octroi/ledger/bundle_contract.h"
#include "octroi/ledger/memory_store.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, BundleContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemoryBundles, AnUnavailableStoreCountsNothing) {
  MemoryStore store;
  ASSERT_TRUE(sync(store.record_invoices({invoice_of(1)})));
  ASSERT_TRUE(sync(store.bundles()->open_bundle(bundle_of(1))));
  store.set_unavailable(true);
  const auto refused = sync(store.bundles()->debit_bundle(token_of(1), 1, 50, kShown));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
  store.set_unavailable(false);
  EXPECT_EQ((*sync(store.bundles()->find_bundle(token_of(1))))->used, 0);
}

TEST(MemoryBundles, OutcomesHaveNames) {
  EXPECT_EQ(to_string(BundleOutcome::applied), "applied");
  EXPECT_EQ(to_string(BundleOutcome::not_found), "not_found");
  EXPECT_EQ(to_string(BundleOutcome::exhausted), "exhausted");
}

}  // namespace
}  // namespace octroi::ledger
