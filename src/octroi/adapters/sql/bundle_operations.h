// octroi/adapters/sql/bundle_operations.h: the statements of counted L402 tokens. Each function is
// one operation of ledger::BundleStore, run inside the caller's transaction, and undoes itself when
// it fails.
//
// What is left is compared by the UPDATE that takes from it, so that the answer is the same over
// any number of processes.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/bundles.h"

namespace octroi::sql {

/// `boot` is this process's own mark, as for consume().
[[nodiscard]] Result<ledger::OpenBundleOutcome> open_bundle(Connection& db,
                                                            const ledger::OpenBundle& request,
                                                            std::string_view boot);
[[nodiscard]] Result<std::optional<ledger::Bundle>> find_bundle(Connection& db, const TokenId& id);
[[nodiscard]] Result<ledger::BundleResult> debit_bundle(Connection& db, const TokenId& id,
                                                        std::int64_t units, std::int64_t bound,
                                                        UnixMillis now);
[[nodiscard]] Result<ledger::BundleResult> return_units(Connection& db, const TokenId& id,
                                                        std::int64_t units, UnixMillis now);
[[nodiscard]] Result<std::vector<ledger::Bundle>> list_bundles(Connection& db,
                                                               const ledger::BundleFilter& filter);
[[nodiscard]] Result<std::vector<ledger::BundleTotals>> bundle_totals(Connection& db);

}  // namespace octroi::sql
