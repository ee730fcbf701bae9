// octroi/adapters/sql/bundle_store.h: ledger::BundleStore over the lanes of a SqlStore.
//
// All writes of one token go to one lane, in their order, and those that stand in one batch share
// its commit.
//
// Thread   as SqlStore.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/bundles.h"

namespace octroi::sql {

class Lanes;

class SqlBundles final : public ledger::BundleStore {
 public:
  /// `lanes` must outlive it.
  SqlBundles(Lanes& lanes, std::shared_ptr<const std::string> boot)
      : lanes_(lanes), boot_(std::move(boot)) {}

  Task<Result<ledger::OpenBundleOutcome>> open_bundle(ledger::OpenBundle request) override;
  Task<Result<std::optional<ledger::Bundle>>> find_bundle(TokenId id) override;
  Task<Result<ledger::BundleResult>> debit_bundle(TokenId id, std::int64_t units,
                                                  std::int64_t bound, UnixMillis now) override;
  Task<Result<ledger::BundleResult>> return_units(TokenId id, std::int64_t units,
                                                  UnixMillis now) override;
  Task<Result<std::vector<ledger::Bundle>>> list_bundles(ledger::BundleFilter filter) override;
  Task<Result<std::vector<ledger::BundleTotals>>> bundle_totals() override;

 private:
  template <class T, class Work>
  Task<Result<T>> write(const TokenId& id, Work work);
  template <class T, class Work>
  Task<Result<T>> read(Work work);

  Lanes& lanes_;
  std::shared_ptr<const std::string> boot_;
};

}  // namespace octroi::sql
