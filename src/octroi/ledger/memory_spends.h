// octroi/ledger/memory_spends.h: a SpendLedger that forgets when it is destroyed: the fake for the
// tests of the vault, and the model that the databases are compared with.
//
// Thread   any thread; one mutex.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "octroi/ledger/spend_ledger.h"

namespace octroi::ledger {

class MemorySpends final : public SpendLedger {
 public:
  /// While true every operation fails with Errc::unavailable and changes nothing.
  void set_unavailable(bool yes);

  Task<Result<ReserveOutcome>> reserve(Reservation reservation) override;
  Task<Result<ChangeOutcome>> settle(std::string id, MicroUsd actual, std::string object,
                                     UnixMillis now) override;
  Task<Result<ChangeOutcome>> release(std::string id, UnixMillis now) override;
  Task<Result<ChangeOutcome>> mark_unknown(std::string id, std::string object,
                                           UnixMillis now) override;
  Task<Result<std::optional<SpendRecord>>> find_spend(std::string id) override;
  Task<Result<std::optional<SpendRecord>>> find_spend_of(std::string vendor,
                                                         std::string object) override;
  Task<Result<std::vector<SpendRecord>>> list_spends(SpendFilter filter) override;
  Task<Result<std::vector<SpendUsage>>> usage(std::string prefix, UnixMillis at) override;
  Task<Result<SweepReport>> sweep(UnixMillis now, int limit) override;
  Task<Result<std::int64_t>> prune_spends(UnixMillis before, int limit) override;

 private:
  struct Window {
    SpendUsage usage;
    UnixMillis seen;  // the latest call that it counted
  };
  using Windows = std::map<std::string, std::map<std::int64_t, Window>>;  // by scope, by start
  struct Part {
    Hold hold;
    UnixMillis starts;  // of the window that it counts in
  };
  struct Entry {
    SpendRecord record;
    std::vector<Part> parts;
    std::optional<DedupeClaim> dedupe;
    std::int64_t order = 0;  // of creation
  };
  struct Claim {
    std::string id;
    UnixMillis until;
  };

  [[nodiscard]] Result<> begin() const;
  [[nodiscard]] Window* window_for(const Hold& hold, UnixMillis now, bool& went_back);
  [[nodiscard]] std::optional<ReserveOutcome> seen_locked(const Reservation& r);
  [[nodiscard]] std::optional<ReserveOutcome> refused_locked(const Reservation& r);
  void free_id_locked(const std::string& id, UnixMillis now);
  void change_locked(Entry& entry, SpendState to, MicroUsd settled, UnixMillis now);
  [[nodiscard]] ChangeOutcome changed_locked(const Entry& entry) const;
  void unclaim_locked(Entry& entry);

  mutable std::mutex mutex_;
  bool unavailable_ = false;
  std::int64_t next_order_ = 1;
  std::map<std::string, Entry> entries_;
  std::map<Digest, Claim> claims_;
  Windows windows_;
};

}  // namespace octroi::ledger
