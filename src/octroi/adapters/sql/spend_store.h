// octroi/adapters/sql/spend_store.h: ledger::SpendLedger over the lanes of a SqlStore.
//
// What one policy's keys spend goes through one lane, ordered by policy and key, in every process:
// batches of different processes then meet the windows that they share in the same order. A change
// of a reservation finds its place by its id, which this process remembers while the call runs.
//
// Thread   as SqlStore.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "octroi/adapters/sql/lane.h"
#include "octroi/base/lru.h"
#include "octroi/ledger/spend_ledger.h"

namespace octroi::sql {

class Lanes;

class SqlSpends : public ledger::SpendLedger {
 public:
  /// `lanes` must outlive it.
  explicit SqlSpends(Lanes& lanes);

  Task<Result<ledger::ReserveOutcome>> reserve(ledger::Reservation reservation) override;
  Task<Result<ledger::ChangeOutcome>> settle(std::string id, MicroUsd actual, std::string object,
                                             UnixMillis now) override;
  Task<Result<ledger::ChangeOutcome>> release(std::string id, UnixMillis now) override;
  Task<Result<ledger::ChangeOutcome>> mark_unknown(std::string id, std::string object,
                                                   UnixMillis now) override;
  Task<Result<std::optional<ledger::SpendRecord>>> find_spend(std::string id) override;
  Task<Result<std::optional<ledger::SpendRecord>>> find_spend_of(std::string vendor,
                                                                 std::string object) override;
  Task<Result<std::vector<ledger::SpendRecord>>> list_spends(ledger::SpendFilter filter) override;
  Task<Result<std::vector<ledger::SpendUsage>>> usage(std::string prefix, UnixMillis at) override;
  Task<Result<ledger::SweepReport>> sweep(UnixMillis now, int limit) override;
  Task<Result<std::int64_t>> prune_spends(UnixMillis before, int limit) override;

 private:
  /// Which lane, and where in its batches.
  struct Place {
    std::uint64_t lane = 0;
    std::uint64_t order = 0;
  };
  [[nodiscard]] static Place place_of(const ledger::Reservation& r);
  void remember(const std::string& id, Place place);
  [[nodiscard]] Place remembered(const std::string& id);
  template <class T, class Work>
  Task<Result<T>> write(Place place, Work work);
  template <class T, class Work>
  Task<Result<T>> read(Work work);

  Lanes& lanes_;
  std::mutex mutex_;
  LruCache<std::string, Place> places_;
};

}  // namespace octroi::sql
