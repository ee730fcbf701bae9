// octroi/adapters/sql/spend_rows.h: the rows of the spend ledger read back into its types. For the
// operations of this module.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/spend_ledger.h"

namespace octroi::sql {

#define OCTROI_SPEND_COLUMNS                                                                     \
  "id, fingerprint, state, amount, settled, assumed, attempt, created_at, changed_at,"           \
  " answer_by, give_up_at, replay_until, vendor, operation, policy, key_id, run, object, holds," \
  " dedupe"

#define OCTROI_USAGE_COLUMNS "scope, unit, starts_at, ends_at, held, settled"
#define OCTROI_WINDOW_COLUMNS OCTROI_USAGE_COLUMNS ", id, seen_at"

/// One hold as its reservation keeps it.
struct StoredHold {
  std::int64_t window = 0;  // the row's id
  ledger::SpendUnit unit = ledger::SpendUnit::micro_usd;
  std::int64_t amount = 0;
  bool returns = true;
};

/// A row of spends.
struct StoredSpend {
  ledger::SpendRecord record;
  std::vector<StoredHold> holds;
  std::optional<ledger::Digest> dedupe;
};

/// A row of spend_windows.
struct StoredWindow {
  std::int64_t id = 0;
  ledger::SpendUsage usage;
  UnixMillis seen;  // the latest call that it counted
};

/// A reservation as its row begins. Its holds and dedupe are the caller's to fill in.
[[nodiscard]] StoredSpend new_stored_spend(const ledger::Reservation& r, UnixMillis created,
                                           std::int64_t attempt);
/// Nothing is written when a row of this id is there: ask db.changes().
[[nodiscard]] Result<> insert_spend(Connection& db, const StoredSpend& spend);
/// Writes what can change of a row that is there.
[[nodiscard]] Result<> update_spend(Connection& db, const ledger::SpendRecord& record);

/// The counts of a window, whatever they were.
[[nodiscard]] Result<> update_window(Connection& db, const StoredWindow& window);

[[nodiscard]] std::string to_text(const std::vector<StoredHold>& holds);
[[nodiscard]] Result<std::vector<StoredHold>> holds_from_text(std::string_view text);

/// The next row of a query over OCTROI_SPEND_COLUMNS; nothing at its end.
[[nodiscard]] Result<std::optional<StoredSpend>> next_spend(Query& q);
/// The next row of a query over OCTROI_USAGE_COLUMNS.
[[nodiscard]] Result<std::optional<ledger::SpendUsage>> next_usage(Query& q);
/// The next row of a query over OCTROI_WINDOW_COLUMNS.
[[nodiscard]] Result<std::optional<StoredWindow>> next_window(Query& q);

}  // namespace octroi::sql
