// octroi/ledger/store.h: the port behind which money is remembered, and the operations that must be
// atomic. Each is one statement or one transaction in every adapter; a caller is resumed only after
// the commit is durable.
//
// Thread   callable from any loop's thread; resumes on the caller's loop.
// Errors   Errc::unavailable when the store cannot commit: fail closed, nothing was accepted.
// Source   architecture 3.6, 3.7; Payment core sections on replay and idempotency.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::audit {
class Journal;
}

namespace octroi::ledger {

enum class Errc : std::uint8_t {
  unavailable,   // the store cannot be reached or has turned read-only
  newer_schema,  // the database was written by a newer octroi
  locked,        // another server holds this database
  corrupt,       // what is stored makes no sense
  not_pending,   // finish_consume of a hash that this process is not delivering
  bad_amount,    // an amount of a session that cannot be booked: a fault of the caller
};
ErrorInfo error_info(Errc e);

using Digest = std::array<std::uint8_t, 32>;

enum class Scheme : std::uint8_t { l402, mpp_charge, mpp_session };
/// "l402", "mpp_charge", "mpp_session": the auth_type of a transaction.
[[nodiscard]] std::string_view to_string(Scheme s);
[[nodiscard]] std::optional<Scheme> scheme_from_string(std::string_view text);

/// An invoice our node made. Recorded when it is made, so that a proof over any other hash, even
/// one with a valid HMAC, is worth nothing.
struct InvoiceRecord {
  PaymentHash hash;
  Msat amount;
  UnixMillis created;
  UnixMillis expires;
  std::uint64_t node_index = 0;  // lnd add_index, for resuming the subscription
};

/// A challenge handed to a client: becomes one transaction row, pending until proven or settled.
struct TransactionRecord {
  PaymentHash hash;
  std::string service;
  Scheme scheme = Scheme::l402;
  Msat amount;
  std::string challenge_id;         // Payment id, or empty for L402
  std::optional<TokenId> token_id;  // L402
  std::string request_id;
  UnixMillis created;
  UnixMillis expires;  // of the challenge
};
enum class TransactionState : std::uint8_t { pending, settled };
struct Transaction {
  std::int64_t id = 0;
  TransactionRecord record;
  TransactionState state = TransactionState::pending;
  std::optional<UnixMillis> settled;
};
struct TransactionFilter {
  std::string service;  // empty: any
  std::optional<Scheme> scheme;
  std::optional<TransactionState> state;
  std::optional<UnixMillis> from, to;  // created
  std::int64_t before_id = 0;          // cursor: rows with a smaller id; 0 = newest
  int limit = 50;                      // 1…1000
};

/// The first durable step of spending a proof (3.7).
struct ConsumeRequest {
  PaymentHash hash;
  Scheme scheme = Scheme::mpp_charge;
  std::string service;
  std::string challenge_id;
  Digest payload{};             // SHA-256 of the decoded credential payload with its challenge
  std::string idempotency_key;  // empty: none
  UnixMillis now;
  UnixMillis keep_until;  // the record may be pruned after it
  // For the books, where the row of the challenge is not there (lost, or still on its way): the
  // sale is written with the invoice's amount.
  std::optional<TokenId> token_id = {};  // L402
  std::string request_id = {};
};
/// What is kept of an answer, to be given again to the same credential only.
struct StoredResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool body_kept = true;  // false: it was larger than the limit
};
enum class ConsumeState : std::uint8_t {
  fresh,         // ours to deliver: consumed now, pending
  unknown_hash,  // we never made an invoice with this hash, or it was pruned: nothing was written
  replay,        // the same credential (and Idempotency-Key): `response` is its answer
  pending,       // the same credential is being delivered now by this process
  unfinished,    // the same credential was consumed, but its answer was lost (crash, body not kept)
  spent,         // already used by another credential, challenge or key
};
struct ConsumeOutcome {
  ConsumeState state = ConsumeState::spent;
  std::optional<StoredResponse> response;
};

/// How long every row outlives the moment it names: clocks differ between machines, and a node that
/// was unreachable reports its settlements late.
inline constexpr Millis kPruneMargin = std::chrono::hours(24);

/// How long what is over is kept. Never shorter than something over it can be valid.
struct Retention {
  std::optional<Millis> transactions;  // settled ones, from their settlement; empty: for good
  std::optional<Millis> sessions;      // closed ones whose refund has ended; empty: for good
  Millis expired = kPruneMargin;       // everything else, from the moment that it names
  /// Tickets that are used, denied or expired, from the last of their times (approvals.h); empty:
  /// for good.
  std::optional<Millis> approvals = std::nullopt;
};
struct PruneReport {
  std::int64_t invoices = 0;
  std::int64_t transactions = 0;  // pending ones only; settled ones are the books
  std::int64_t consumed = 0;      // and claimed nonces
  std::int64_t settled = 0;       // settled transactions; their sums stay (revenue())
  std::int64_t sessions = 0;      // their sums stay (session_totals())
  std::int64_t approvals = 0;     // what they let pass, and the audit, stay
};

/// What was settled, summed; the rows may be gone.
struct RevenueFilter {
  std::string service;                 // empty: any
  std::optional<UnixMillis> from, to;  // days (UTC) of settlement: from this one, before that one
};
struct Revenue {
  std::string service;
  Scheme scheme = Scheme::l402;
  UnixMillis day;  // its beginning, UTC
  std::int64_t sales = 0;
  Msat amount;
};
inline constexpr Millis kDay = std::chrono::hours(24);

class SessionStore;
class ServiceCatalog;
class BundleStore;
class UsageReports;
class Allowances;
class Approvals;
class CallBook;
class SpendLedger;
class VaultKeys;
class VaultPolicies;

class Store {
 public:
  virtual ~Store() = default;

  /// The part that keeps prepaid sessions (sessions.h), as long as the store itself. Null: this
  /// store keeps none, and a configuration that sells them is refused.
  [[nodiscard]] virtual SessionStore* sessions() { return nullptr; }
  /// Reports to price sources (usage_reports.h). Null: this store keeps none, and a configuration
  /// with metered services is refused.
  [[nodiscard]] virtual UsageReports* usage_reports() { return nullptr; }
  /// What the reference price server keeps (allowances.h); null likewise.
  [[nodiscard]] virtual Allowances* allowances() { return nullptr; }
  /// The part that counts what L402 tokens may use (bundles.h), likewise.
  [[nodiscard]] virtual BundleStore* bundles() { return nullptr; }

  /// The services that were added while octroi ran (services.h), as long as the store itself. Null:
  /// this store keeps none.
  [[nodiscard]] virtual ServiceCatalog* services() { return nullptr; }
  /// The audit (audit/journal.h), likewise.
  [[nodiscard]] virtual audit::Journal* journal() { return nullptr; }
  /// What vault keys spend (spend_ledger.h), likewise.
  [[nodiscard]] virtual SpendLedger* spends() { return nullptr; }
  /// Both at once (call_book.h), where there are both.
  [[nodiscard]] virtual CallBook* calls() { return nullptr; }
  /// The keys of the vault door (vault_keys.h), likewise.
  [[nodiscard]] virtual VaultKeys* vault_keys() { return nullptr; }
  /// Its policies that were made while octroi ran (vault_policies.h), likewise.
  [[nodiscard]] virtual VaultPolicies* vault_policies() { return nullptr; }
  /// What waits for a human (approvals.h), likewise.
  [[nodiscard]] virtual Approvals* approvals() { return nullptr; }

  // --- invoices and transactions -------------------------------------------------------------
  virtual Task<Result<>> record_invoices(std::vector<InvoiceRecord> invoices) = 0;
  /// Whether our node made an invoice with this hash: an L402 token's first sight on a worker.
  virtual Task<Result<std::optional<InvoiceRecord>>> find_invoice(PaymentHash hash) = 0;
  /// Rows of challenges that were handed out: there are many, and most are never paid, so a store
  /// keeps them as cheaply as it can. Idempotent by (hash, scheme).
  virtual Task<Result<>> record_transactions(std::vector<TransactionRecord> rows) = 0;
  /// Marks the invoice and the row(s) of that hash settled; true when this call did it first. A row
  /// that is recorded after its invoice settled is settled from the start.
  virtual Task<Result<bool>> settle(PaymentHash hash, UnixMillis when) = 0;
  virtual Task<Result<std::vector<Transaction>>> list_transactions(TransactionFilter filter) = 0;
  /// Sums of the settled rows, those that were pruned included, by day, service and scheme: kept
  /// with each settlement, in its transaction.
  virtual Task<Result<std::vector<Revenue>>> revenue(RevenueFilter filter) = 0;
  /// Moves the validity of an invoice record: nothing is pruned while something over it can be
  /// valid (an L402 token lives longer than its invoice). Only ever forward; an unknown hash is no
  /// error.
  virtual Task<Result<>> extend_invoice(PaymentHash hash, UnixMillis keep_until) = 0;

  // --- consuming -----------------------------------------------------------------------------
  /// Claims the hash once across schemes and intents. Also settles its transaction, and writes it
  /// if it is not there: what was sold is always in the books. An empty idempotency key never
  /// replays: whoever comes second gets `spent`.
  virtual Task<Result<ConsumeOutcome>> consume(ConsumeRequest request) = 0;
  /// Whether the hash was claimed before, by whatever scheme. Only a hint for what to tell:
  /// consume() decides.
  virtual Task<Result<bool>> is_consumed(PaymentHash hash) = 0;
  /// The second step: what was answered, once. Errc::not_pending when this process did not consume
  /// the hash, or has finished it.
  virtual Task<Result<>> finish_consume(PaymentHash hash, StoredResponse response) = 0;
  /// The same without waiting for it, for an answer that nobody can ask for again. Until it is kept
  /// a second presentation finds `pending`.
  virtual void keep_answer(PaymentHash hash, StoredResponse response) = 0;
  /// A zero-amount proof has no invoice: its nonce is claimed once. True the first time.
  virtual Task<Result<bool>> claim_nonce(std::string scope, Digest nonce,
                                         UnixMillis keep_until) = 0;

  // --- L402 ------------------------------------------------------------------------------------
  virtual Task<Result<>> revoke_token(TokenId id, UnixMillis keep_until, UnixMillis now) = 0;
  virtual Task<Result<std::vector<TokenId>>> revoked_tokens() = 0;

  // --- counters ---------------------------------------------------------------------------------
  /// Takes one of `limit` in the window that started when the first was taken; false when none is
  /// left.
  virtual Task<Result<bool>> take_free(std::string service, std::string client, std::int64_t limit,
                                       Millis window, UnixMillis now) = 0;

  // --- small durable values ---------------------------------------------------------------------
  /// Returns the value under `name`, writing `initial` first when there is none. Several processes
  /// that race get the same value.
  virtual Task<Result<Secret>> get_or_put_secret(std::string name, Secret initial) = 0;
  virtual Task<Result<std::optional<std::string>>> get_value(std::string name) = 0;
  virtual Task<Result<>> put_value(std::string name, std::string value) = 0;

  // --- upkeep -----------------------------------------------------------------------------------
  /// Drops what nothing valid can refer to any more, `keep.expired` after its end. A consumed hash
  /// and its invoice go together or not at all (a forgotten claim over a known invoice could be
  /// claimed again), and the invoice of a settled L402 row stays: its token may be valid for years.
  /// A settled row that goes is not booked again by whatever comes over its hash later. A session
  /// goes with its deposit's claim once its refund has succeeded or there was none; its return
  /// invoice stays taken.
  virtual Task<Result<PruneReport>> prune(UnixMillis now, Retention keep) = 0;
  Task<Result<PruneReport>> prune(UnixMillis now) { return prune(now, Retention{}); }
  /// For /readyz: a real write that commits.
  virtual Task<Result<>> ping() = 0;
};

}  // namespace octroi::ledger
