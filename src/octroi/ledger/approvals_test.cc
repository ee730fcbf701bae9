// The contract of the approvals over the model itself.
#include <gtest/gtest.h>

#include "octroi/ledger/approval_contract.h"
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

INSTANTIATE_TEST_SUITE_P(Memory, ApprovalContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemoryApprovals, NothingHappensWhileItCannotBeWritten) {
  MemoryStore store;
  store.set_unavailable(true);
  EXPECT_FALSE(sync(store.approvals()->ask_approval({}, 1)));
  EXPECT_FALSE(sync(store.approvals()->take_approval("x", {}, "y", kStart)));
}

}  // namespace
}  // namespace octroi::ledger
