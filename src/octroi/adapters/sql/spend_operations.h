// octroi/adapters/sql/spend_operations.h: the statements of ledger::SpendLedger. Each function is
// one operation, run inside the caller's transaction, and undoes itself when it fails or refuses.
//
// Locks are taken in one order, the reservation's row and then its windows by scope, so that two
// operations that share windows rarely wait for each other in a circle.
//
// Where a connection has a CallBuffer, reserving and changing happen there.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/spend_rows.h"
#include "octroi/ledger/spend_ledger.h"

namespace octroi::sql {

/// Rows as they stand, locked.
[[nodiscard]] Result<std::optional<StoredSpend>> lock_spend(Connection& db, std::string_view id);
[[nodiscard]] Result<std::optional<StoredWindow>> newest_window(Connection& db,
                                                                std::string_view scope);

[[nodiscard]] Result<ledger::ReserveOutcome> reserve_spend(Connection& db,
                                                           const ledger::Reservation& r);
[[nodiscard]] Result<ledger::ChangeOutcome> settle_spend(Connection& db, std::string_view id,
                                                         MicroUsd actual, std::string_view object,
                                                         UnixMillis now);
[[nodiscard]] Result<ledger::ChangeOutcome> release_spend(Connection& db, std::string_view id,
                                                          UnixMillis now);
/// Only while it stands as it was reserved at that time.
[[nodiscard]] Result<ledger::ChangeOutcome> undo_spend(Connection& db, std::string_view id,
                                                       UnixMillis reserved_at, UnixMillis now);
[[nodiscard]] Result<ledger::ChangeOutcome> mark_spend_unknown(Connection& db, std::string_view id,
                                                               std::string_view object,
                                                               UnixMillis now);
[[nodiscard]] Result<ledger::SweepReport> sweep_spends(Connection& db, UnixMillis now, int limit);
[[nodiscard]] Result<std::int64_t> prune_spends(Connection& db, UnixMillis before, int limit);

[[nodiscard]] Result<std::optional<ledger::SpendRecord>> find_spend(Connection& db,
                                                                    std::string_view id);
[[nodiscard]] Result<std::optional<ledger::SpendRecord>> find_spend_of(Connection& db,
                                                                       std::string_view vendor,
                                                                       std::string_view object);
[[nodiscard]] Result<std::vector<ledger::SpendRecord>> list_spends(
    Connection& db, const ledger::SpendFilter& filter);
[[nodiscard]] Result<std::vector<ledger::SpendUsage>> spend_usage(Connection& db,
                                                                  std::string_view prefix,
                                                                  UnixMillis at);

}  // namespace octroi::sql
