// The contract of the policies over the model itself.
#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/vault_policy_contract.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, VaultPolicyContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

}  // namespace
}  // namespace octroi::ledger
