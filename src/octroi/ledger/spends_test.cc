// The contract of the spend ledger over the model itself.
#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/spend_contract.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, SpendContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemorySpends, NothingHappensWhileItCannotBeWritten) {
  MemoryStore store;
  store.set_unavailable(true);
  const auto out = sync(store.spends()->reserve(charge_of("a", 100, 10)));
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is(Errc::unavailable));
  store.set_unavailable(false);
  EXPECT_FALSE(*sync(store.spends()->find_spend("a")));
}

}  // namespace
}  // namespace octroi::ledger
