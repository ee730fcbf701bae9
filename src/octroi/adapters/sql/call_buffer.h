// octroi/adapters/sql/call_buffer.h: what calls of the vault change, kept in memory and told to a
// log, before their tables get it many calls at a time.
//
// A call is a reservation, the windows that it counts in and two rows of the audit: with tables, a
// dozen statements over eight trees, twice. Here it is a few look-ups in memory and a record in a
// log, which is what is synced. The tables get each row once, as it is then, when something else is
// committed, somebody wants to look, or the log is full.
//
// For       an engine whose one writer is alone with the database, and has the log (SQLite).
// Frame     take_frame() is what changed since it was asked last; it is synced before callers go
//           on. Frames replayed in order (call_frames.h) over the tables of the same generation
//           give what was here.
// Generation  counts the times that the tables took everything. It stands in the database, written
//           in the same transaction, so a log that is older than its tables is known by it.
// Undo      nothing is taken back one by one: who rolls back a transaction in which this was used
//           calls forget() and replays the log.
// Tables    whoever reads or writes spends, spend_windows or audit_rows by a statement of his own
//           calls write_out_calls() first, in the same transaction.
// Thread    its connection's, inside a transaction; pending() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/spend_rows.h"

namespace octroi::sql {

/// Where reservations are found and changed: their tables, or what is kept before them.
class SpendPlace {
 public:
  virtual ~SpendPlace() = default;
  /// Null: there is none. It stands until the next call.
  virtual Result<StoredSpend*> find(std::string_view id) = 0;
  /// Moves what it counts in its windows, and keeps it. Whether it may is asked before.
  virtual Result<ledger::ChangeOutcome> change(StoredSpend& spend, ledger::SpendState to,
                                               MicroUsd settled, UnixMillis now) = 0;
};

class CallBuffer final : public SpendPlace {
 public:
  /// `db` must outlive it.
  explicit CallBuffer(Connection& db) : db_(db) {}

  /// Nothing: this one needs the tables (write_out() first).
  [[nodiscard]] Result<std::optional<ledger::ReserveOutcome>> reserve(const ledger::Reservation& r);
  [[nodiscard]] Result<StoredSpend*> find(std::string_view id) override;
  [[nodiscard]] Result<ledger::ChangeOutcome> change(StoredSpend& spend, ledger::SpendState to,
                                                     MicroUsd settled, UnixMillis now) override;
  /// As it is here; null: ask the tables.
  [[nodiscard]] const ledger::SpendRecord* kept(std::string_view id) const;
  /// The newest over a vendor's object, of those here and `stored`, the newest in the tables.
  /// Nothing: only the tables can tell (write_out() first).
  [[nodiscard]] std::optional<std::optional<ledger::SpendRecord>> newest_of(
      std::string_view vendor, std::string_view object,
      std::optional<ledger::SpendRecord> stored) const;
  /// As append_row().
  [[nodiscard]] Result<audit::RowId> append(ChainTip& tip, UnixMillis now,
                                            const audit::Event& event);

  /// Everything into the tables, as a part of the transaction; nothing is kept then. When a table
  /// refuses a row the transaction has half of it and must not be committed: broken().
  [[nodiscard]] Result<> write_out();
  [[nodiscard]] bool broken() const { return broken_; }
  /// The transaction is committed.
  void committed() { pending_.store(unwritten_, std::memory_order_release); }
  /// What is not in the tables is gone from here.
  void forget();

  [[nodiscard]] std::string take_frame() { return std::exchange(frame_, {}); }
  /// Whether something is here that a reader of the tables does not see.
  [[nodiscard]] bool pending() const { return pending_.load(std::memory_order_acquire); }

 private:
  struct Spend {
    StoredSpend stored;
    bool is_new = false;  // there is no row
    bool changed = false;
  };
  struct Window {
    StoredWindow stored;
    bool changed = false;
  };
  struct Row {
    audit::StoredRow stored;
    UnixMillis at;
    // Of its AuditColumns.
    std::string kind, call_id, run, agent, key_id, vendor, operation, policy;
    std::string_view verdict;  // a literal
  };

  [[nodiscard]] Result<Window*> newest(const std::string& scope);
  [[nodiscard]] Result<Window*> window(std::int64_t id);
  [[nodiscard]] Result<bool> is_stored(std::string_view id);
  [[nodiscard]] Result<> count_again(const StoredSpend& spend, ledger::SpendState to,
                                     MicroUsd settled, std::vector<ledger::SpendUsage>& usage);
  void note(Window& window);
  void mark_unwritten();
  [[nodiscard]] Result<> write_all();
  [[nodiscard]] Result<> write_windows();
  [[nodiscard]] Result<> write_spends();
  [[nodiscard]] Result<> write_rows();

  Connection& db_;
  std::unordered_map<std::string, Spend> spends_;         // by id
  std::unordered_map<std::int64_t, Window> windows_;      // by the row's id
  std::unordered_map<std::string, std::int64_t> newest_;  // by scope: the id of its newest window
  std::vector<Row> rows_;
  std::optional<ChainTip> tip_;  // with these rows; empty: as the tables say
  std::string frame_;
  bool broken_ = false;
  bool unwritten_ = false;  // something is here that the tables of this transaction do not have
  std::atomic<bool> pending_{false};
};

/// For operations on the tables of calls, before anything else.
[[nodiscard]] Result<> write_out_calls(Connection& db);
/// The generation of a database, whether or not calls are buffered.
[[nodiscard]] Result<std::int64_t> call_generation(Connection& db);
[[nodiscard]] Result<> set_call_generation(Connection& db, std::int64_t generation);

}  // namespace octroi::sql
