// The contract of the vault keys over the model itself.
#include <gtest/gtest.h>

#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/vault_key_contract.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, VaultKeyContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

INSTANTIATE_TEST_SUITE_P(Memory, CredentialContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemoryVaultKeys, NothingHappensWhileItCannotBeWritten) {
  MemoryStore store;
  store.set_unavailable(true);
  EXPECT_FALSE(sync(store.vault_keys()->list_vault_keys()));
  EXPECT_FALSE(sync(store.vault_keys()->change_vault_keys({}, VaultKeyState::revoked, kStart)));
}

}  // namespace
}  // namespace octroi::ledger
