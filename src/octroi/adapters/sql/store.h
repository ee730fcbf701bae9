// octroi/adapters/sql/store.h: ledger::Store over lanes of database connections, for any engine.
//
// The engine's adapter says which lane an operation goes to; everything else is here.
//
// Thread   operations from any thread (see lane.h). Outside a loop they block.
// Source   architecture 3.6.
#pragma once

#include <memory>
#include <string>

#include "octroi/adapters/sql/approval_store.h"
#include "octroi/adapters/sql/audit_store.h"
#include "octroi/adapters/sql/bundle_store.h"
#include "octroi/adapters/sql/call_store.h"
#include "octroi/adapters/sql/lane.h"
#include "octroi/adapters/sql/report_store.h"
#include "octroi/adapters/sql/service_store.h"
#include "octroi/adapters/sql/session_store.h"
#include "octroi/adapters/sql/spend_store.h"
#include "octroi/adapters/sql/vault_key_store.h"
#include "octroi/adapters/sql/vault_policy_store.h"
#include "octroi/base/clock.h"
#include "octroi/ledger/store.h"

namespace octroi::sql {

/// An open database. Lives as long as the store.
class Lanes {
 public:
  virtual ~Lanes() = default;
  /// The one lane for what has this key: its calls are done in their order.
  [[nodiscard]] virtual Lane& writer(std::uint64_t key) = 0;
  /// For look-ups: sees what was acknowledged before, of calls after show_calls().
  [[nodiscard]] virtual Lane& reader() = 0;
  /// Whether other processes write the same database.
  [[nodiscard]] virtual bool shared() const { return true; }
  /// For look-ups of single reservations, which need no show_calls() there.
  [[nodiscard]] virtual Lane& calls() { return reader(); }
  /// What calls changed so far can be looked up then (call_buffer.h).
  virtual Task<Result<>> show_calls() { co_return Result<>{}; }
};

/// What has the same key is over the same thing, in every process.
[[nodiscard]] std::uint64_t key_of(const PaymentHash& hash);
[[nodiscard]] std::uint64_t key_of(std::string_view text);

class SqlStore : public ledger::Store {
 public:
  /// `boot` (32 characters) is this process's own mark on what it is delivering; `clock` must
  /// outlive the store.
  SqlStore(std::unique_ptr<Lanes> lanes, Clock& clock, std::string boot);

  [[nodiscard]] ledger::SessionStore* sessions() override { return &sessions_; }
  [[nodiscard]] ledger::ServiceCatalog* services() override { return &services_; }
  [[nodiscard]] ledger::BundleStore* bundles() override { return &bundles_; }
  [[nodiscard]] ledger::UsageReports* usage_reports() override { return &reports_; }
  [[nodiscard]] audit::Journal* journal() override { return &journal_; }
  [[nodiscard]] ledger::SpendLedger* spends() override { return &spends_; }
  [[nodiscard]] ledger::CallBook* calls() override { return &calls_; }
  [[nodiscard]] ledger::VaultKeys* vault_keys() override { return &vault_keys_; }
  [[nodiscard]] ledger::VaultPolicies* vault_policies() override { return &vault_policies_; }
  [[nodiscard]] ledger::Approvals* approvals() override { return &approvals_; }
  [[nodiscard]] ledger::Allowances* allowances() override { return &allowances_; }

  Task<Result<>> record_invoices(std::vector<ledger::InvoiceRecord> invoices) override;
  Task<Result<std::optional<ledger::InvoiceRecord>>> find_invoice(PaymentHash hash) override;
  Task<Result<>> record_transactions(std::vector<ledger::TransactionRecord> rows) override;
  Task<Result<bool>> settle(PaymentHash hash, UnixMillis when) override;
  Task<Result<std::vector<ledger::Transaction>>> list_transactions(
      ledger::TransactionFilter filter) override;
  Task<Result<std::vector<ledger::Revenue>>> revenue(ledger::RevenueFilter filter) override;
  Task<Result<>> extend_invoice(PaymentHash hash, UnixMillis keep_until) override;

  Task<Result<ledger::ConsumeOutcome>> consume(ledger::ConsumeRequest request) override;
  Task<Result<bool>> is_consumed(PaymentHash hash) override;
  Task<Result<>> finish_consume(PaymentHash hash, ledger::StoredResponse response) override;
  void keep_answer(PaymentHash hash, ledger::StoredResponse response) override;
  Task<Result<bool>> claim_nonce(std::string scope, ledger::Digest nonce,
                                 UnixMillis keep_until) override;

  Task<Result<>> revoke_token(TokenId id, UnixMillis keep_until, UnixMillis now) override;
  Task<Result<std::vector<TokenId>>> revoked_tokens() override;

  Task<Result<bool>> take_free(std::string service, std::string client, std::int64_t limit,
                               Millis window, UnixMillis now) override;

  Task<Result<Secret>> get_or_put_secret(std::string name, Secret initial) override;
  Task<Result<std::optional<std::string>>> get_value(std::string name) override;
  Task<Result<>> put_value(std::string name, std::string value) override;

  using Store::prune;
  Task<Result<ledger::PruneReport>> prune(UnixMillis now, ledger::Retention keep) override;
  Task<Result<>> ping() override;
  /// Writes the audit's rows for at most `limit` sales that have none; how many there were.
  Task<Result<int>> tell_sales(int limit);

 protected:
  [[nodiscard]] const std::string& boot() const { return *boot_; }
  [[nodiscard]] const std::shared_ptr<const std::string>& shared_boot() const { return boot_; }
  [[nodiscard]] Lanes& lanes() { return *lanes_; }
  /// consume() under a mark that begins with boot().
  Task<Result<ledger::ConsumeOutcome>> consume_as(ledger::ConsumeRequest request, std::string mark);
  /// keep_answer() that tells of its failure, on any thread.
  void post_answer(PaymentHash hash, std::shared_ptr<const ledger::StoredResponse> response,
                   UniqueFunction<void(const Error&)> failed);
  /// The mark under which a hash is pending.
  Task<Result<std::optional<std::string>>> pending_mark(PaymentHash hash);

 private:
  template <class T = void, class Work>
  Task<Result<T>> write(std::uint64_t key, Work work) {
    return lanes_->writer(key).call<T>(key, std::move(work));
  }
  template <class T, class Work>
  Task<Result<T>> read(Work work) {
    return lanes_->reader().call<T>(0, std::move(work));
  }

  Clock& clock_;
  std::shared_ptr<const std::string> boot_;
  std::unique_ptr<Lanes> lanes_;
  SqlSessions sessions_;
  SqlServices services_;
  SqlBundles bundles_;
  SqlReports reports_;
  SqlJournal journal_;
  SqlSpends spends_;
  SqlCalls calls_;
  SqlVaultKeys vault_keys_;
  SqlVaultPolicies vault_policies_;
  SqlApprovals approvals_;
  SqlAllowances allowances_;
};

}  // namespace octroi::sql
