// octroi/ledger/memory_store.h: a Store that forgets when it is destroyed: the fake for the tests
// of everything above the store, and the model that the databases are compared with.
//
// It keeps the whole contract of store.h (store_contract.h runs against it), answers without
// suspending, and can play the two failures that callers must survive: a store that cannot commit,
// and a process that died between the two steps of consuming.
//
// Thread   any thread; one mutex.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/call_book.h"
#include "octroi/ledger/consumption.h"
#include "octroi/ledger/memory_approvals.h"
#include "octroi/ledger/memory_bundles.h"
#include "octroi/ledger/memory_reports.h"
#include "octroi/ledger/memory_services.h"
#include "octroi/ledger/memory_sessions.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/memory_vault_keys.h"
#include "octroi/ledger/memory_vault_policies.h"
#include "octroi/ledger/store.h"

namespace octroi::ledger {

class MemoryStore final : public Store {
 public:
  /// While true every operation fails with Errc::unavailable and changes nothing.
  void set_unavailable(bool yes);
  /// As if the process had been killed and started again: what was pending is unfinished.
  void restart();
  /// How many operations were asked for, to prove that a path does not touch the store.
  [[nodiscard]] std::size_t operations() const;
  [[nodiscard]] std::size_t invoice_count() const;

  [[nodiscard]] SessionStore* sessions() override { return &sessions_; }
  [[nodiscard]] ServiceCatalog* services() override { return &services_; }
  [[nodiscard]] BundleStore* bundles() override { return &bundles_; }
  [[nodiscard]] UsageReports* usage_reports() override { return &reports_; }
  [[nodiscard]] audit::Journal* journal() override { return &journal_; }
  [[nodiscard]] SpendLedger* spends() override { return &spends_; }
  [[nodiscard]] CallBook* calls() override { return &calls_; }
  [[nodiscard]] VaultKeys* vault_keys() override { return &vault_keys_; }
  [[nodiscard]] VaultPolicies* vault_policies() override { return &vault_policies_; }
  [[nodiscard]] Approvals* approvals() override { return &approvals_; }
  [[nodiscard]] Allowances* allowances() override { return &allowances_; }
  Task<Result<>> record_invoices(std::vector<InvoiceRecord> invoices) override;
  Task<Result<std::optional<InvoiceRecord>>> find_invoice(PaymentHash hash) override;
  Task<Result<bool>> is_consumed(PaymentHash hash) override;
  Task<Result<>> record_transactions(std::vector<TransactionRecord> rows) override;
  Task<Result<bool>> settle(PaymentHash hash, UnixMillis when) override;
  Task<Result<std::vector<Transaction>>> list_transactions(TransactionFilter filter) override;
  Task<Result<std::vector<Revenue>>> revenue(RevenueFilter filter) override;
  Task<Result<>> extend_invoice(PaymentHash hash, UnixMillis keep_until) override;
  Task<Result<ConsumeOutcome>> consume(ConsumeRequest request) override;
  Task<Result<>> finish_consume(PaymentHash hash, StoredResponse response) override;
  void keep_answer(PaymentHash hash, StoredResponse response) override;
  Task<Result<bool>> claim_nonce(std::string scope, Digest nonce, UnixMillis keep_until) override;
  Task<Result<>> revoke_token(TokenId id, UnixMillis keep_until, UnixMillis now) override;
  Task<Result<std::vector<TokenId>>> revoked_tokens() override;
  Task<Result<bool>> take_free(std::string service, std::string client, std::int64_t limit,
                               Millis window, UnixMillis now) override;
  Task<Result<Secret>> get_or_put_secret(std::string name, Secret initial) override;
  Task<Result<std::optional<std::string>>> get_value(std::string name) override;
  Task<Result<>> put_value(std::string name, std::string value) override;
  using Store::prune;
  Task<Result<PruneReport>> prune(UnixMillis now, Retention keep) override;
  Task<Result<>> ping() override;

 private:
  friend class MemorySessions;
  friend class MemoryServices;
  friend class MemoryBundles;
  friend class MemoryReports;
  friend class MemoryAllowances;

  struct Invoice {
    InvoiceRecord record;
    UnixMillis keep_until;
    std::optional<UnixMillis> settled;
    bool booked = false;  // its rows are gone, their sums stay
  };
  struct Consumed {
    ConsumedRecord record;
    UnixMillis keep_until;
  };
  struct FreeWindow {
    UnixMillis start;
    UnixMillis end;
    std::int64_t used = 0;
  };

  /// Counts the operation and says whether it may run.
  [[nodiscard]] Result<> begin();
  Result<> finish_locked(const PaymentHash& hash, StoredResponse response);
  bool settle_locked(const PaymentHash& hash, UnixMillis when);
  void book_locked(const ConsumeRequest& sale);
  void count_locked(const Transaction& settled);
  void prune_settled_locked(UnixMillis horizon, PruneReport& report);
  void prune_sessions_locked(UnixMillis horizon, PruneReport& report);
  /// Why this hash cannot be claimed now; nullopt: it can.
  [[nodiscard]] std::optional<ConsumeOutcome> seen_locked(const ConsumeRequest& request) const;
  /// Claims a hash that can be claimed; the second form without a sale.
  ConsumeOutcome claim_locked(ConsumeRequest request);
  void remember_locked(ConsumeRequest request);
  [[nodiscard]] bool invoice_needed(const PaymentHash& hash, const Invoice& invoice,
                                    UnixMillis horizon) const;

  mutable std::mutex mutex_;
  bool unavailable_ = false;
  std::size_t operations_ = 0;
  std::int64_t next_id_ = 1;
  std::map<PaymentHash, Invoice> invoices_;
  std::map<std::int64_t, Transaction> transactions_;
  std::map<std::pair<PaymentHash, Scheme>, std::int64_t> transaction_ids_;
  std::map<PaymentHash, Consumed> consumed_;
  std::map<std::pair<std::string, Digest>, UnixMillis> nonces_;
  std::map<TokenId, UnixMillis> revoked_;
  std::map<std::pair<std::string, std::string>, FreeWindow> free_;
  std::map<std::string, Secret> secrets_;
  std::map<std::string, std::string> values_;
  std::map<std::tuple<UnixMillis, std::string, Scheme>, std::pair<std::int64_t, Msat>> revenue_;
  MemoryServices services_{*this};
  MemorySessions sessions_{*this};
  MemoryBundles bundles_{*this};
  MemoryReports reports_{*this};
  MemorySpends spends_;
  MemoryVaultKeys vault_keys_;
  MemoryVaultPolicies vault_policies_;
  MemoryApprovals approvals_;
  audit::MemoryJournal journal_{system_clock(), "memory"};
  SeparateCallBook calls_{spends_, journal_};
  int starts_ = 1;
  MemoryAllowances allowances_{*this};
};

}  // namespace octroi::ledger
