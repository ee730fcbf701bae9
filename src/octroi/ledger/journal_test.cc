// The contract of the audit journal on MemoryStore.
#include <gtest/gtest.h>

#include "octroi/ledger/journal_contract.h"
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

INSTANTIATE_TEST_SUITE_P(Memory, JournalContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemoryJournalOfAStore, IsUnavailableWithIt) {
  MemoryStore store;
  store.set_unavailable(true);
  EXPECT_TRUE(
      sync(store.journal()->append(audit::call_of(1))).error().is(audit::Errc::unavailable));
  store.set_unavailable(false);
  EXPECT_TRUE(sync(store.journal()->append(audit::call_of(1))));
}

}  // namespace
}  // namespace octroi::ledger
