// octroi/adapters/sql/operations.h: the statements of the ledger. Each function is one operation
// of ledger::Store, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

[[nodiscard]] Result<> record_invoices(Connection& db,
                                       const std::vector<ledger::InvoiceRecord>& invoices);
[[nodiscard]] Result<std::optional<ledger::InvoiceRecord>> find_invoice(Connection& db,
                                                                        const PaymentHash& hash);
[[nodiscard]] Result<bool> is_consumed(Connection& db, const PaymentHash& hash);
[[nodiscard]] Result<> record_transactions(Connection& db,
                                           const std::vector<ledger::TransactionRecord>& rows);
/// By the hash and nothing else: anybody can make rows that wait, by asking for challenges.
inline constexpr std::string_view kSettleTransactions =
    "UPDATE transactions SET state = 'settled', settled_at = ?"
    " WHERE hash = ? AND settled_at IS NULL";
/// The invoice and its rows; inside the caller's savepoint. True when this did it first.
[[nodiscard]] Result<bool> mark_settled(Connection& db, const PaymentHash& hash, UnixMillis when);
/// The row of what was consumed, where the row of its challenge is not there; inside the caller's
/// savepoint.
[[nodiscard]] Result<> book_sale(Connection& db, const ledger::ConsumeRequest& sale);
[[nodiscard]] Result<bool> settle(Connection& db, const PaymentHash& hash, UnixMillis when);
[[nodiscard]] Result<std::vector<ledger::Transaction>> list_transactions(
    Connection& db, const ledger::TransactionFilter& filter);
[[nodiscard]] Result<> extend_invoice(Connection& db, const PaymentHash& hash,
                                      UnixMillis keep_until);

/// `boot` is this process's own mark: a pending row under another one lost its answer.
[[nodiscard]] Result<ledger::ConsumeOutcome> consume(Connection& db,
                                                     const ledger::ConsumeRequest& request,
                                                     std::string_view boot);
[[nodiscard]] Result<> finish_consume(Connection& db, const PaymentHash& hash,
                                      const ledger::StoredResponse& response,
                                      std::string_view boot);
[[nodiscard]] Result<bool> claim_nonce(Connection& db, std::string_view scope,
                                       const ledger::Digest& nonce, UnixMillis keep_until);

[[nodiscard]] Result<> revoke_token(Connection& db, const TokenId& id, UnixMillis keep_until,
                                    UnixMillis now);
[[nodiscard]] Result<std::vector<TokenId>> revoked_tokens(Connection& db);

[[nodiscard]] Result<bool> take_free(Connection& db, std::string_view service,
                                     std::string_view client, std::int64_t limit, Millis window,
                                     UnixMillis now);

[[nodiscard]] Result<Secret> get_or_put_secret(Connection& db, std::string_view name,
                                               const Secret& initial, UnixMillis now);
[[nodiscard]] Result<std::optional<std::string>> get_value(Connection& db, std::string_view name);
[[nodiscard]] Result<> put_value(Connection& db, std::string_view name, std::string_view value);

struct PruneStep {
  ledger::PruneReport report;
  bool more = false;  // call again
};
/// A bounded number of rows, so that no payment waits long behind the broom. `horizon`: everything
/// that ended at or before it may go.
[[nodiscard]] Result<PruneStep> prune_step(Connection& db, UnixMillis horizon);

}  // namespace octroi::sql
