#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/report_contract.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

const StoreUnderTest kMemory{"memory", [] { return std::make_unique<MemoryFixture>(); }};
INSTANTIATE_TEST_SUITE_P(Memory, ReportContract, testing::Values(kMemory), store_name);
INSTANTIATE_TEST_SUITE_P(Memory, SessionReport, testing::Values(kMemory), store_name);
INSTANTIATE_TEST_SUITE_P(Memory, AllowanceContract, testing::Values(kMemory), store_name);

}  // namespace
}  // namespace octroi::ledger
