// octroi/adapters/sql/spend_store.h: ledger::SpendLedger over the lanes of a SqlStore.
//
// What is spent goes through the lane of the audit, so that a call and its row share a commit
// (call_store.h), ordered by policy and key in every process: batches of different processes then
// meet the windows that they share in the same order. A change of a reservation finds its place in
// that order by its id, which this process remembers while the call runs.
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

  using Reserve = UniqueFunction<Result<ledger::ReserveOutcome>(Connection&)>;
  using Change = UniqueFunction<Result<ledger::ChangeOutcome>(Connection&)>;
  /// Where in its batch an operation over this reservation runs; remembered for its changes.
  Task<Result<ledger::ReserveOutcome>> write_reserved(const ledger::Reservation& r, Reserve work);
  Task<Result<ledger::ChangeOutcome>> write_change(const std::string& id, Change work);

 private:
  [[nodiscard]] static std::uint64_t place_of(const ledger::Reservation& r);
  void remember(const std::string& id, std::uint64_t place);
  [[nodiscard]] std::uint64_t remembered(const std::string& id);
  template <class T, class Work>
  Task<Result<T>> write(std::uint64_t place, Work work);
  template <class T, class Work>
  Task<Result<T>> read(Work work);

  Lanes& lanes_;
  std::mutex mutex_;
  LruCache<std::string, std::uint64_t> places_;
};

}  // namespace octroi::sql
