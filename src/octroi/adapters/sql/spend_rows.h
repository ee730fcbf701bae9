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

[[nodiscard]] std::string to_text(const std::vector<StoredHold>& holds);
[[nodiscard]] Result<std::vector<StoredHold>> holds_from_text(std::string_view text);

/// The next row of a query over OCTROI_SPEND_COLUMNS; nothing at its end.
[[nodiscard]] Result<std::optional<StoredSpend>> next_spend(Query& q);
/// The next row of a query over scope, unit, starts_at, ends_at, held, settled.
[[nodiscard]] Result<std::optional<ledger::SpendUsage>> next_usage(Query& q);

}  // namespace octroi::sql
