// octroi/ledger/memory_bundles.h: the counted tokens of MemoryStore. One mutex and one map of
// claims with it.
//
// Thread   any thread; the store's mutex.
#pragma once

#include <cstdint>
#include <map>

#include "octroi/ledger/bundles.h"

namespace octroi::ledger {

class MemoryStore;

class MemoryBundles final : public BundleStore {
 public:
  explicit MemoryBundles(MemoryStore& store) : store_(store) {}

  Task<Result<OpenBundleOutcome>> open_bundle(OpenBundle request) override;
  Task<Result<std::optional<Bundle>>> find_bundle(TokenId id) override;
  Task<Result<BundleResult>> debit_bundle(TokenId id, std::int64_t units, std::int64_t bound,
                                          UnixMillis now) override;
  Task<Result<BundleResult>> return_units(TokenId id, std::int64_t units, UnixMillis now) override;
  Task<Result<std::vector<Bundle>>> list_bundles(BundleFilter filter) override;
  Task<Result<std::vector<BundleTotals>>> bundle_totals() override;

 private:
  friend class MemoryStore;
  void prune_locked(UnixMillis horizon);
  Bundle* find_locked(const TokenId& id);

  MemoryStore& store_;
  std::int64_t next_age_ = 1;
  std::map<std::int64_t, Bundle> by_age_;
  std::map<TokenId, std::int64_t> ids_;
};

}  // namespace octroi::ledger
