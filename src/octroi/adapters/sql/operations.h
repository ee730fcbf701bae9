// octroi/adapters/sql/operations.h: the statements of the ledger. Each function is one operation
// of ledger::Store, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/adapters/sql/offer_index.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

[[nodiscard]] Result<> record_invoices(Connection& db,
                                       const std::vector<ledger::InvoiceRecord>& invoices);
[[nodiscard]] Result<std::optional<ledger::InvoiceRecord>> find_invoice(Connection& db,
                                                                        const PaymentHash& hash);
[[nodiscard]] Result<bool> is_consumed(Connection& db, const PaymentHash& hash);
[[nodiscard]] Result<> record_transactions(Connection& db,
                                           const std::vector<ledger::TransactionRecord>& rows);
/// The invoice and its rows; inside the caller's savepoint. True when this did it first.
[[nodiscard]] Result<bool> mark_settled(Connection& db, const PaymentHash& hash, UnixMillis when);
/// The row of what was consumed, where the row of its challenge is not there; inside the caller's
/// savepoint.
[[nodiscard]] Result<> book_sale(Connection& db, const ledger::ConsumeRequest& sale);
/// Moves the rows of challenges over `hash` into the books; inside the caller's savepoint. True
/// when the books did not have them.
[[nodiscard]] Result<bool> book_offers(Connection& db, const PaymentHash& hash, UnixMillis when);
/// A paid token outlives its invoice by an amount only the paywall knows, so it is kept for good.
[[nodiscard]] Result<> keep_paid_token(Connection& db, const PaymentHash& hash);
[[nodiscard]] Result<bool> settle(Connection& db, const PaymentHash& hash, UnixMillis when);
[[nodiscard]] Result<std::vector<ledger::Transaction>> list_transactions(
    Connection& db, const ledger::TransactionFilter& filter);
/// Adds the settled transaction `id` to the sums of its day; inside the caller's savepoint.
[[nodiscard]] Result<> count_sale(Connection& db, std::int64_t id);
[[nodiscard]] Result<std::vector<ledger::Revenue>> revenue(Connection& db,
                                                           const ledger::RevenueFilter& filter);
/// Brings together what the connections of earlier days summed each for itself.
[[nodiscard]] Result<> fold_sums(Connection& db, UnixMillis now);
[[nodiscard]] Result<> extend_invoice(Connection& db, const PaymentHash& hash,
                                      UnixMillis keep_until);

/// `boot` is this process's own mark (kBootSize characters): a pending row under another one lost
/// its answer. `mark` is written to the row: `boot`, perhaps with more behind it that tells this
/// attempt from others.
inline constexpr std::size_t kBootSize = 32;
[[nodiscard]] Result<ledger::ConsumeOutcome> consume(Connection& db,
                                                     const ledger::ConsumeRequest& request,
                                                     std::string_view boot, std::string_view mark);
[[nodiscard]] inline Result<ledger::ConsumeOutcome> consume(Connection& db,
                                                            const ledger::ConsumeRequest& request,
                                                            std::string_view boot) {
  return consume(db, request, boot, boot);
}
/// The mark of a claim whose answer is not known yet.
[[nodiscard]] Result<std::optional<std::string>> pending_mark(Connection& db,
                                                              const PaymentHash& hash);
[[nodiscard]] Result<> finish_consume(Connection& db, const PaymentHash& hash,
                                      const ledger::StoredResponse& response,
                                      std::string_view boot);
[[nodiscard]] Result<bool> claim_nonce(Connection& db, std::string_view scope,
                                       const ledger::Digest& nonce, UnixMillis keep_until);

/// The value that is another one after each revocation, for whoever keeps a copy of them.
inline constexpr std::string_view kRevocationsMark = "octroi.revocations";
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

/// For an engine that looks offers up in memory: all there are.
[[nodiscard]] Result<> fill_offer_index(Connection& db, OfferIndex& index);
/// At most `limit` rows that ended at or before `horizon`; adds their number to `count`. True when
/// there may be more.
[[nodiscard]] Result<bool> prune_offers(Connection& db, UnixMillis horizon, std::int64_t limit,
                                        std::int64_t& count);

struct PruneStep {
  ledger::PruneReport report;
  bool more = false;  // call again
};
/// A bounded number of rows, so that no payment waits long behind the broom.
[[nodiscard]] Result<PruneStep> prune_step(Connection& db, UnixMillis now,
                                           const ledger::Retention& keep);

}  // namespace octroi::sql
