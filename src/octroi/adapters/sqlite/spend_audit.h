// octroi/adapters/sqlite/spend_audit.h: the audit of a wallet: its payments as rows of an audit
// chain, in the file and the commits of its journal (spend_journal.h).
//
// Chain      one a wallet, which its processes write in turn: whoever holds the write lock reads
//            where it ends. A process that lives for one payment needs no chain of its own.
// Signed     each commit that adds rows has a checkpoint over the last of them: no row waits for a
//            signature, and none costs a sync. The line in <journal>.checkpoints comes after the
//            commit and is not waited for: what is lost with the power stands in the journal.
// Key        <journal>.audit-key, 32 bytes, 0600, made by the first that opens the journal.
// Errors     those of audit::Journal and of sqlite::Database.
// Thread     one at a time; calls block for a file write.
#pragma once

#include <memory>
#include <string>

#include "octroi/adapters/sql/audit_operations.h"
#include "octroi/adapters/sqlite/database.h"
#include "octroi/audit/checkpoint.h"
#include "octroi/audit/journal.h"
#include "octroi/base/clock.h"
#include "octroi/ledger/spend_journal.h"

namespace octroi::sqlite {

/// What a row says about a payment.
struct PaymentTold {
  audit::Verdict verdict = audit::Verdict::allowed;
  std::string stage;           // "intent", "settled", "failed", "unknown", "refunded", "refused"
  Msat fee;                    // intent: the most; settled: what was paid
  std::string_view why;        // of a refusal: the code of its error
  std::optional<Msat> refund;  // what came back, instead of the amount
};
[[nodiscard]] audit::Event payment_event(const ledger::Spend& spend, const PaymentTold& told);

/// Writes the chain, inside transactions of the journal.
class SpendAudit {
 public:
  /// `clock` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<SpendAudit>> open(const std::string& journal,
                                                                Clock& clock);

  /// Adds a row. REQUIRES a transaction of `db` that has the write lock.
  [[nodiscard]] Result<audit::RowId> add(Database& db, audit::Event event);
  /// Signs what was added, commits, and tells it outside. Errors: nothing of it happened.
  [[nodiscard]] Result<> commit(Database& db);
  /// Rolls back: nothing of it happened.
  void undo(Database& db);

 private:
  SpendAudit(std::string journal, audit::Signer signer, Clock& clock)
      : journal_(std::move(journal)), signer_(std::move(signer)), clock_(clock) {}
  [[nodiscard]] Result<> find_chain(Database& db);
  [[nodiscard]] Result<> sign(Database& db);
  /// What fails is logged: the store has the checkpoint.
  void tell_outside();

  const std::string journal_;
  const audit::Signer signer_;
  Clock& clock_;
  sql::ChainTip tip_;
  bool added_ = false;
  std::string line_;  // that is to be told outside
};

/// The names of the files beside a journal.
[[nodiscard]] std::string spend_audit_key_file(const std::string& journal);
[[nodiscard]] std::string spend_checkpoint_file(const std::string& journal);
[[nodiscard]] Result<Secret> spend_audit_seed(const std::string& journal);

/// The audit of the wallet whose journal this is. `clock` must outlive it; SpendErrc::unavailable
/// when there is no such file.
[[nodiscard]] Result<std::unique_ptr<audit::Journal>> open_spend_audit(const std::string& journal,
                                                                       Clock& clock);

}  // namespace octroi::sqlite
